//! A floor server that this program started: its own binary once more, ended with this value.

use super::serve::Serve;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A running floor server.
#[derive(Debug)]
pub struct FloorProcess {
    process: Child,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where events are published.
    pub publish: SocketAddr,
}

impl FloorProcess {
    /// Starts one and waits until it listens.
    pub fn start(options: &Serve) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", "serve", "--mode", options.mode.name()]);
        command.args(["--clients", &options.clients.to_string(), "--publishers", &options.publishers.to_string()]);
        command.args(options.core.map(|core| format!("--core={core}")));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let read = process.stdout.take().map(|output| BufReader::new(output).read_line(&mut line));
        let addresses = line.split_once(' ').and_then(|(one, other)| one.parse().ok().zip(other.trim().parse().ok()));
        let (Some(Ok(_)), Some((address, publish))) = (read, addresses) else {
            drop(process.kill());
            let status = process.wait()?;
            return Err(io::Error::other(format!("the floor server did not start ({status})")));
        };
        Ok(Self { process, address, publish })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for FloorProcess {
    fn drop(&mut self) {
        // It may have ended by itself, when its last publisher left: that is what was wanted.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
