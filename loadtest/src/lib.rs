//! The clients of every protocol, once: the end-to-end tests verify with them, the load tester measures with them.
//!
//! | noun | is |
//! |---|---|
//! | [`Launch`] | how a server is to be started |
//! | [`Server`] | the real `fanout` binary on free ports, ended by its process id |
//! | [`Redis`] | a real `redis-server` on a free port, to be killed and restarted |
//! | [`Foreign`] | any other program that a test needs, ended by its process id |
//! | [`Scratch`] | a directory of a test's own |
//! | [`Client`] | one ordinary WebSocket client |
//! | [`FluxClient`] | one client that subscribes, broadcasts and reads what it is told |
//! | [`Crowd`] | thousands of WebSocket clients in one thread, each counting losses, duplicates and strangers' events |
//! | [`RawSocket`] | bytes as they are, for what no ordinary client would send |
//! | [`Publisher`] | one RESP connection that publishes, to Redis and to the embedded broker alike |
//! | [`Event`] | one workflow event that says for whom it is and which one in the row |
//! | [`Row`] | events numbered in one row for a few users, and what must have become of each |
//!
//! [`tester`] is the load tester, `fanout-loadtest`.
//!
//! Everything else talks to loopback only and gives up after [`PATIENCE`].

mod answer;
mod binary;
mod client;
mod client_frame;
mod crowd;
mod event;
mod exposition;
mod flux_client;
mod foreign;
mod launch;
mod patience;
mod port;
mod publisher;
mod raw_socket;
mod redis;
mod row;
mod scratch;
mod server;
mod server_frame;
mod tally;
pub mod tester;

pub use answer::Answer;
pub use binary::{binary, foreign_packages};
pub use client::{Client, Received, Refused};
pub use client_frame::{ClientFrame, Opcode};
pub use crowd::Crowd;
pub use event::Event;
pub use flux_client::{FluxClient, Told};
pub use foreign::{Foreign, succeed};
pub use launch::Launch;
pub use patience::{PATIENCE, ended, eventually, outcome, within};
pub use port::free_port;
pub use publisher::{Publisher, Reply, words};
pub use raw_socket::{RawSocket, Rest, exchange, get, knock, upgrade_request};
pub use redis::Redis;
pub use row::{Heard, Row};
pub use scratch::Scratch;
pub use server::Server;
pub use server_frame::ServerFrame;
pub use tally::Tally;
