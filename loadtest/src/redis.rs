//! A real `redis-server` of one's own, to be killed and restarted.

use crate::patience::{PATIENCE, within};
use crate::port::free_port;
use crate::publisher::Publisher;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

/// Starts that are tried: another program may take the port between the look and the use.
const STARTS_MAX: usize = 3;

/// A Redis on a free port, of 127.0.0.1 unless told otherwise, that stores nothing. Ends with this value.
#[derive(Debug)]
pub struct Redis {
    wrapper: Vec<String>,
    hosts: Vec<IpAddr>,
    port: u16,
    password: Option<&'static str>,
    process: Option<Child>,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// Where `redis-server` is not installed or does not start.
    pub fn start() -> io::Result<Self> {
        let mut outcome = Err(io::Error::other("never tried"));
        for _ in 0..STARTS_MAX {
            let mut redis = Self::stopped();
            outcome = redis.restart().map(|()| redis);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// A place where a Redis may run later: nobody listens on its port.
    pub fn stopped() -> Self {
        Self::stopped_at((Ipv4Addr::LOCALHOST, free_port()).into())
    }

    /// A place at this address of the machine where a Redis may run later.
    pub fn stopped_at(address: SocketAddr) -> Self {
        let hosts = vec![address.ip()];
        Self { wrapper: Vec::new(), hosts, port: address.port(), password: None, process: None }
    }

    /// A place in another network namespace where a Redis may run later: it starts through another program, such as
    /// `nsenter`, and listens at these addresses. The first one is where it is looked for.
    pub fn stopped_behind(wrapper: &[&str], hosts: &[IpAddr]) -> Self {
        let mut redis = Self::stopped();
        redis.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        redis.hosts = hosts.to_vec();
        redis
    }

    /// A place where a Redis that wants this password may run later.
    pub fn stopped_with_password(password: &'static str) -> Self {
        let mut redis = Self::stopped();
        redis.password = Some(password);
        redis
    }

    /// Starts it on the port it has, and waits until it answers.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        let hosts = self.hosts.iter().map(IpAddr::to_string);
        let words: Vec<&str> = self.wrapper.iter().map(String::as_str).chain(["redis-server"]).collect();
        let process = Command::new(words[0])
            .args(&words[1..])
            .arg("--bind")
            .args(hosts)
            .args(["--port", &self.port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--protected-mode", "no", "--dir", "/tmp"])
            .args(self.password.map(|password| ["--requirepass", password]).into_iter().flatten())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("redis-server (scripts/test installs it): {error}")))?;
        self.process = Some(process);
        self.wait_until_it_answers()
    }

    /// Ends it as `kill -9` does: no goodbye on any connection.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself: that is what was wanted.
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Where it listens, running or not.
    pub fn address(&self) -> SocketAddr {
        self.address_at(self.hosts[0])
    }

    /// Where it listens, running or not, by another of its addresses.
    pub fn address_at(&self, host: IpAddr) -> SocketAddr {
        (host, self.port).into()
    }

    /// A connection that publishes.
    pub fn publisher(&self) -> io::Result<Publisher> {
        let mut publisher = Publisher::connect(self.address())?;
        if let Some(password) = self.password {
            publisher.command(&["AUTH", password])?;
        }
        Ok(publisher)
    }

    fn wait_until_it_answers(&mut self) -> io::Result<()> {
        let answered = within(PATIENCE, || {
            if self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None))) {
                return Some(Err(io::Error::other("redis-server ended at once")));
            }
            self.publisher().and_then(|mut publisher| publisher.command(&["PING"])).is_ok().then_some(Ok(()))
        });
        answered.unwrap_or_else(|| Err(io::Error::other("redis-server does not answer")))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
