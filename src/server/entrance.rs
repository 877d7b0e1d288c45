//! The entrance of a shard: clients come in, and wait outside while descriptors are short.
//!
//! ```text
//!             a descriptor of the last ones, or the kernel has none
//!      Open ────────────────────────────────────────────────────────► Paused ◄─┐
//!       ▲                                                               │      │ still none
//!       └───────────── a client has come in ──── Trying ◄───────────────┘      │
//!                                                   └──────────────────────────┘
//! ```
//!
//! Nobody who was accepted is sent away for want of a descriptor, and nobody is accepted who would be: the others wait
//! in the backlog.

use super::listener::Listener;
use super::token::Token;
use crate::ear::{self, Ear, Interest, Tick};
use crate::http::Audience;
use crate::metrics::NodeMetrics;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// How often a pause is worth a line in the log.
const PAUSE_LOGGED_EVERY: Duration = Duration::from_secs(60);

/// Connections that were broken already and are passed over in search of one that is not. Each costs a call while whoever
/// is inside waits; the rest of them is as broken at the next turn.
const BROKEN_MAX: usize = 8;

/// One shard's listener, which may pause.
pub(super) struct Entrance {
    listener: Listener,
    audience: Audience,
    ear: Ear,
    mood: Mood,
    pause_is_news_from: Tick,
    metrics: Arc<NodeMetrics>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Open,
    Paused,
    /// Descriptors are there again; whether a client gets one is still to be seen.
    Trying,
}

impl Entrance {
    /// An entrance that is open.
    pub(super) fn new(
        listener: Listener,
        audience: Audience,
        ear: Ear,
        metrics: Arc<NodeMetrics>,
        now: Tick,
    ) -> io::Result<Self> {
        for socket in listener.sockets() {
            ear.add(socket, Token::Listener(audience).number(), Interest::Reads)?;
        }
        Ok(Self { listener, audience, ear, mood: Mood::Open, pause_is_news_from: now, metrics })
    }

    /// The next client, if one waits and may come in.
    pub(super) fn accept(&mut self, now: Tick) -> Option<(TcpStream, SocketAddr)> {
        for _ in 0..BROKEN_MAX {
            if self.mood == Mood::Paused {
                return None;
            }
            match self.listener.accept() {
                Ok(Some((socket, peer))) => {
                    if ear::is_scarce(socket.as_fd()) {
                        self.pause("few open files are left", now);
                    } else if self.mood == Mood::Trying {
                        self.mood = Mood::Open;
                        tracing::info!("accepting connections again");
                    }
                    return Some((socket, peer));
                }
                Ok(None) => return None,
                Err(error) if is_want(&error) => self.pause(&error.to_string(), now),
                // It broke while it waited (accept(2) lists how): nobody is there who could be told.
                Err(_) => self.metrics.entrance.broken.add(1),
            }
        }
        None
    }

    /// Connections that may wait outside.
    pub(super) fn backlog(&self) -> usize {
        self.listener.backlog()
    }

    /// Ends a pause that can end; says whether it goes on.
    pub(super) fn still_pauses(&mut self) -> bool {
        // The next client would get the number that a copy of any descriptor gets now.
        let is_free = |copy: io::Result<_>| copy.is_ok_and(|copy: std::os::fd::OwnedFd| !ear::is_scarce(copy.as_fd()));
        let any = &self.listener.sockets()[0];
        if self.mood == Mood::Paused && is_free(fcntl_dupfd_cloexec(any, 0).map_err(Into::into)) {
            self.mood = Mood::Trying;
            self.listen_for(Interest::Reads);
        }
        self.mood == Mood::Paused
    }

    fn pause(&mut self, cause: &str, now: Tick) {
        if self.mood == Mood::Open {
            self.metrics.entrance.pauses.add(1);
            if now >= self.pause_is_news_from {
                self.pause_is_news_from = now.after(PAUSE_LOGGED_EVERY);
                tracing::warn!(cause, "accepting connections pauses: raise the limit of open files (ulimit -n)");
            }
        }
        self.mood = Mood::Paused;
        self.listen_for(Interest::Nothing);
    }

    fn listen_for(&self, interest: Interest) {
        for socket in self.listener.sockets() {
            let changed = self.ear.change(socket, Token::Listener(self.audience).number(), interest);
            changed.expect("the listener is in the epoll set");
        }
    }
}

/// Whether the process or the machine lacks something; the connection still waits.
fn is_want(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_lacks_is_told_from_what_the_client_broke() {
        for (errno, expected) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOBUFS, true),
            (Errno::NOMEM, true),
            (Errno::CONNABORTED, false),
            (Errno::PERM, false),
            (Errno::PROTO, false),
            (Errno::HOSTUNREACH, false),
        ] {
            assert_eq!(is_want(&errno.into()), expected, "{errno}");
        }
        assert!(!is_want(&io::ErrorKind::Unsupported.into()));
    }
}
