//! What must hold of every parser whatever it is given: a file for each, with its invariants at its head.
//!
//! The fuzz targets ask these functions about whatever libFuzzer makes up. `tests/hostile` asks them on every
//! `cargo test`, about the committed corpora and seeded mutations of them.

pub mod client_frames;
mod cuts;
mod flux_client;
pub mod flux_envelope;
pub mod flux_json;
pub mod query;
pub mod request_head;
pub mod resp_push;
pub mod resp_request;
mod sent;
pub mod tokens;
