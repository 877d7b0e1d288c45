//! Ways to hand the same bytes to many sockets.

use clap::ValueEnum;
use std::fmt;

/// How the floor server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Mode {
    /// One `send` for each client and event.
    Send,
    /// One `send` for each client, with all its frames that one read brought.
    Joined,
    /// As `send`, submitted through one `io_uring`.
    Uring,
    /// As `joined`, submitted through one `io_uring`.
    UringJoined,
}

impl Mode {
    /// Every way there is.
    pub const ALL: [Self; 4] = [Self::Send, Self::Joined, Self::Uring, Self::UringJoined];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Joined => "joined",
            Self::Uring => "uring",
            Self::UringJoined => "uring-joined",
        }
    }

    /// Whether the frames of one read are joined.
    pub(super) fn is_joined(self) -> bool {
        matches!(self, Self::Joined | Self::UringJoined)
    }

    /// Whether the kernel is entered through a ring.
    pub(super) fn needs_ring(self) -> bool {
        matches!(self, Self::Uring | Self::UringJoined)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "floor {}", self.name())
    }
}
