//! The real `fanout` binary on free ports, ended by its process id.

use crate::answer::Answer;
use crate::exposition::sums;
use crate::patience::{PATIENCE, ended, eventually, within};
use crate::publisher::Publisher;
use crate::raw_socket::{exchange, get};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempPath;

/// A running server. Ends with this value.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where its clients connect.
    pub address: SocketAddr,
    /// Where its events are published: its own broker or the one it was told to use.
    pub broker: SocketAddr,
    log: TempPath,
}

impl Server {
    /// Starts what is to listen there.
    pub(crate) fn spawn(mut command: Command, address: SocketAddr, broker: SocketAddr) -> io::Result<Self> {
        let (file, log) = tempfile::Builder::new().prefix("fanout-").suffix(".log").tempfile()?.into_parts();
        let process = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { process, address, broker, log })
    }

    pub(crate) fn wait_for(mut self, page: &str) -> io::Result<Self> {
        let is_served = within(PATIENCE, || match self.process.try_wait() {
            Ok(None) => self.get(page).is_ok_and(|answer| answer.status == 200).then_some(true),
            _ => Some(false),
        });
        if is_served == Some(true) {
            return Ok(self);
        }
        let ended = self.process.try_wait()?;
        Err(io::Error::other(format!("no 200 from {page} ({ended:?}); its log:\n{}", self.log())))
    }

    /// A page of the server.
    pub fn get(&self, page: &str) -> io::Result<Answer> {
        get(self.address, page)
    }

    /// Has an administrator disconnect a `username` or a `connection`; says how many that were.
    ///
    /// # Panics
    /// Where the server does not do it.
    pub fn dismiss(&self, member: &str, who: &str) -> u64 {
        let body = serde_json::json!({ member: who }).to_string();
        let head =
            format!("POST /admin/disconnect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = exchange(self.address, &format!("{head}{body}")).expect("the server answers");
        answer.json()["closed"].as_u64().unwrap_or_else(|| panic!("{who} was not disconnected: {answer:?}"))
    }

    /// `/admin/stats` as it stands; `Null` where there is none.
    pub fn stats(&self) -> serde_json::Value {
        self.get("/admin/stats").map(|answer| answer.json()).unwrap_or_default()
    }

    /// A number of `/admin/stats` by JSON pointer, such as `/total/connections`; 0 where it is absent.
    pub fn count(&self, pointer: &str) -> u64 {
        self.stats().pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0)
    }

    /// A counter of `/metrics` over all its labels; 0 where it is absent.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole")]
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.get("/metrics").map(|answer| answer.text()).unwrap_or_default();
        sums(&page).get(name).map_or(0, |sum| *sum as u64)
    }

    /// Waits until a page has this status.
    ///
    /// # Panics
    /// Where it never has.
    pub fn wait_for_status(&self, page: &str, status: u16) {
        eventually(&format!("{page} says {status}"), || (self.get(page).ok()?.status == status).then_some(()));
    }

    /// Waits until a number of `/admin/stats` has this value.
    ///
    /// # Panics
    /// Where it never has.
    pub fn wait_until(&self, pointer: &str, value: u64) {
        eventually(&format!("{pointer} = {value}"), || (self.count(pointer) == value).then_some(()));
    }

    /// A connection that publishes events to this server.
    pub fn publisher(&self) -> io::Result<Publisher> {
        Publisher::connect(self.broker)
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) -> io::Result<()> {
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.process), signal)?)
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Where it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        ended(&mut self.process, patience)
            .map_err(|error| io::Error::other(format!("{error} after {patience:?}; its log:\n{}", self.log())))
    }

    /// Everything it wrote so far, standard output and standard error.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Memory in use, in bytes (`VmRSS` of proc(5)).
    pub fn resident_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kibibytes.map(|kibibytes| kibibytes * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: that is what was wanted.
        drop(self.process.kill());
        drop(self.process.wait());
        if thread::panicking() {
            eprintln!("log of the server at {}:\n{}", self.address, self.log());
        }
    }
}
