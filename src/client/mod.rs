//! A client of a running server, for terminals and scripts: `fanout publish`, `listen`, `trace` and `health`.
//!
//! ```text
//! requests.rs  HTTP: publish, trace                 output.rs   standard output, and whether anybody reads it
//! question.rs  one of them, soon answered or never  failure.rs  why it ends with 1
//! stream.rs    a socket, plain or TLS (tls.rs)      pause.rs    when it comes back
//! harmless.rs  what others say, shown on a terminal
//! listen/      a thread for each connection, which come back; one place that prints
//! trace/       what the server has recorded, in sentences
//! ```
//!
//! It speaks with the server as everybody does, and knows nothing else of it; plain blocking code.

mod clock;
mod failure;
mod harmless;
mod health;
mod listen;
mod output;
mod pause;
mod publish;
pub mod question;
mod requests;
mod stream;
mod tls;
mod trace;

pub(crate) use failure::Failure;
pub(crate) use harmless::harmless;
pub use health::health;
pub(crate) use requests::Requests;
pub(crate) use stream::{Stream, Way, is_pause, socket};

use crate::config::client::ClientOrder;
use crate::config::wish::Wish;
use failure::Cause;

/// Does what was asked for.
///
/// # Errors
/// In a sentence, where it cannot, with what to do about it in a line of its own.
pub fn run(order: &ClientOrder) -> Result<(), String> {
    let ClientOrder { server, wish } = order;
    let outcome = match wish {
        Wish::Publish(publish) => publish::run(server, publish),
        Wish::Listen(listen) => listen::run(server, listen),
        Wish::Trace(trace) => trace::run(server, trace),
    };
    match outcome {
        Err(failure) if failure.cause != Cause::ReaderGone => Err(failure.to_string()),
        _ => Ok(()),
    }
}
