//! A client of a running server, for terminals and scripts: `fanout publish`, `fanout listen`, `fanout trace`.
//!
//! ```text
//! requests.rs  HTTP: publish, trace                 output.rs   standard output, and whether anybody reads it
//! stream.rs    a socket, plain or TLS (tls.rs)      failure.rs  why it ends with 1
//! listen/      a thread for each connection, which come back; one place that prints
//! trace/       what the server has recorded, in sentences
//! ```
//!
//! It speaks with the server as everybody does, and knows nothing else of it; plain blocking code.

mod clock;
mod failure;
mod listen;
mod output;
mod pause;
mod publish;
mod requests;
mod stream;
mod tls;
mod trace;

use crate::config::client::{ClientOrder, Wish};
use failure::Failure;
use std::process::ExitCode;

/// Does what was asked for, and says why where it cannot: exit code 0 or 1.
pub fn run(order: &ClientOrder) -> ExitCode {
    let ClientOrder { server, wish } = order;
    let outcome = match wish {
        Wish::Publish(publish) => publish::run(server, publish),
        Wish::Listen(listen) => listen::run(server, listen),
        Wish::Trace(trace) => trace::run(server, trace),
    };
    match outcome {
        Ok(()) | Err(Failure::ReaderGone) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(&format!("fanout: {failure}"));
            ExitCode::FAILURE
        }
    }
}
