//! How a server is to be started.

use crate::binary::binary;
use crate::patience::PATIENCE;
use crate::port::free_port;
use crate::redis::Redis;
use crate::server::Server;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Starts that are tried: another program may take a port between the look and the use.
const STARTS_MAX: usize = 3;

/// How a server is to be started. Two shards, unless told otherwise, on any machine.
#[derive(Clone, Debug)]
pub struct Launch {
    wrapper: Vec<OsString>,
    program: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    broker: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The server itself, on a free port.
    Embedded,
    /// The server itself, here.
    EmbeddedAt(SocketAddr),
    /// Somebody else, here.
    Elsewhere(SocketAddr),
}

impl Launch {
    /// A server that is its own broker.
    pub fn embedded() -> Self {
        Self::new(Source::Embedded)
    }

    /// A server that is its own broker, here.
    pub fn embedded_at(broker: SocketAddr) -> Self {
        Self::new(Source::EmbeddedAt(broker))
    }

    /// A server that subscribes to this Redis, running or not.
    pub fn with_redis(redis: &Redis) -> Self {
        Self::beside(redis.address())
    }

    /// A server that subscribes to whatever speaks RESP there.
    pub fn beside(broker: SocketAddr) -> Self {
        Self::new(Source::Elsewhere(broker))
    }

    fn new(broker: Source) -> Self {
        let arguments = vec!["--shards".to_owned(), "2".to_owned()];
        Self { wrapper: Vec::new(), program: None, arguments, environment: Vec::new(), broker }
    }

    /// Adds an option. An option given again replaces the earlier one.
    #[must_use]
    pub fn option(mut self, flag: &str, value: &str) -> Self {
        if let Some(place) = self.arguments.iter().position(|argument| argument == flag) {
            self.arguments.drain(place..place + 2);
        }
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Leaves the number of shards to the server.
    #[must_use]
    pub fn without_shards(mut self) -> Self {
        self.arguments.clear();
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts through another program, such as `taskset -c 1`.
    #[must_use]
    pub fn through(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(OsString::from).collect();
        self
    }

    /// Starts this binary instead of the one beside the running test, which would be built first.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        self.program = Some(program.to_path_buf());
        self
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// With the server's log, where it ends or is not ready within [`PATIENCE`].
    pub fn start(self) -> io::Result<Server> {
        self.start_until("/ready")
    }

    /// Starts the server and waits until it serves, ready or not.
    pub fn start_unready(self) -> io::Result<Server> {
        self.start_until("/health")
    }

    fn start_until(self, page: &str) -> io::Result<Server> {
        let mut outcome = Err(io::Error::other("never tried"));
        for _ in 0..STARTS_MAX {
            outcome = self.spawn().and_then(|server| server.wait_for(page));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Runs the server where it is expected to end by itself: its exit code and all it wrote.
    ///
    /// # Errors
    /// Where it still runs after [`PATIENCE`].
    pub fn refusal(self) -> io::Result<(Option<i32>, String)> {
        let mut server = self.spawn()?;
        let status = server.wait(PATIENCE)?;
        Ok((status.code(), server.log()))
    }

    fn spawn(&self) -> io::Result<Server> {
        let (address, broker) = (self.address(), self.broker());
        Server::spawn(self.command(address, broker), address, broker)
    }

    /// The command line and environment with these two addresses.
    fn command(&self, address: SocketAddr, broker: SocketAddr) -> Command {
        let binary = self.program.as_ref().unwrap_or_else(|| binary()).as_os_str().to_owned();
        let words: Vec<OsString> = self.wrapper.iter().cloned().chain([binary]).collect();
        let mut command = Command::new(&words[0]);
        // Nothing of the caller's environment may configure the server.
        command.args(&words[1..]).args(&self.arguments).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NO_COLOR", "1");
        if !self.has_flag("--listen") && self.chosen_address().is_none() {
            command.arg("--listen").arg(address.to_string());
        }
        match self.broker {
            Source::Embedded | Source::EmbeddedAt(_) => command.arg("--broker-listen").arg(broker.to_string()),
            Source::Elsewhere(_) => {
                command.env("REDIS_HOST", broker.ip().to_string()).env("REDIS_PORT", broker.port().to_string())
            }
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Where the server will listen: as chosen, else on a free port.
    fn address(&self) -> SocketAddr {
        self.chosen_address().unwrap_or_else(|| (Ipv4Addr::LOCALHOST, free_port()).into())
    }

    /// Where its events will be published.
    fn broker(&self) -> SocketAddr {
        match self.broker {
            Source::Embedded => (Ipv4Addr::LOCALHOST, free_port()).into(),
            Source::EmbeddedAt(broker) | Source::Elsewhere(broker) => broker,
        }
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.arguments.iter().any(|argument| argument == flag)
    }

    fn chosen_address(&self) -> Option<SocketAddr> {
        let flag = self.arguments.iter().skip_while(|argument| *argument != "--listen").nth(1).cloned();
        let variable =
            || self.environment.iter().find(|(name, _)| name == "PORT").map(|(_, port)| format!("127.0.0.1:{port}"));
        flag.or_else(variable)?.parse().ok()
    }
}
