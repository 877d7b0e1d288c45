//! The speed of light: the least a server could do on this kernel. Shares no code with the engine.
//!
//! The floor server speaks just enough for the unchanged tester to load it: a WebSocket handshake, `PUBLISH`, and
//! nothing else. It sends in one of four ways ([`Mode`]); with several usernames it looks up who listens, and so is the
//! bare loop with routing.

mod command;
pub mod cores;
mod handshake;
mod inlet;
mod mode;
mod outlet;
mod patient;
mod process;
mod ring;
mod serve;
mod topics;

pub use mode::Mode;
pub use process::FloorProcess;
pub use serve::{Serve, serve};
