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

use super::budget::compare::{self, Compare};
use std::io;
use std::process::ExitCode;

/// Compares the floor and the real server in turns; `serve` is the floor server alone.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Floor {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: Compare,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// The floor server: prints where clients connect and where events are published, and serves until its last
    /// publisher leaves.
    Serve(Serve),
}

/// Does what was asked for.
///
/// # Errors
/// Where nothing can be measured, or the floor server met what it does not understand.
pub fn run(floor: &Floor) -> io::Result<ExitCode> {
    match &floor.command {
        Some(Command::Serve(options)) => serve(options).map(|()| ExitCode::SUCCESS),
        None => compare::run(&floor.compare),
    }
}
