//! Who is connected: what a shard says of each, and which of them are wanted.

use super::Seat;
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Duration;

/// Which connections are wanted, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What the address, or the name of one of the topics, contains; empty for everybody.
    pub filter: String,
    /// Whom to name first.
    pub order: Order,
    /// How many to name.
    pub rows_max: usize,
    /// Whether the kernel is asked about those who are late.
    pub asks_kernel: bool,
}

/// Whom to name first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// For whom most bytes wait.
    Queued,
    /// Who is connected for longest.
    Age,
    /// Who follows most topics.
    Topics,
}

impl Order {
    /// The higher it is, the sooner a connection is named that has these.
    pub fn rank(self, unsent_bytes: usize, topics: usize, age: Duration) -> (usize, Duration) {
        match self {
            Self::Queued => (unsent_bytes, age),
            Self::Age => (0, age),
            Self::Topics => (topics, age),
        }
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionRow {
    /// Where it sits.
    pub seat: Seat,
    /// The client's address, behind trusted proxies its own.
    pub address: SocketAddr,
    /// Some of the topics it follows, by their full names.
    pub topics: Vec<String>,
    /// How many there are.
    pub topics_total: usize,
    /// How long it has been connected.
    pub age: Duration,
    /// Frames that are not wholly in the kernel's hands.
    pub unsent_frames: u32,
    /// What is left of them, in bytes.
    pub unsent_bytes: usize,
    /// For how long its socket has taken nothing; `None` for one that keeps up.
    pub late: Option<Duration>,
    /// What the kernel knows of its socket, if it was asked.
    pub tcp: Option<TcpState>,
}

/// What the kernel knows of a TCP connection (`tcp_info` of `inet_diag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpState {
    /// The smoothed round trip, in microseconds.
    pub round_trip_us: u32,
    /// Segments that are out and not acknowledged.
    pub unacknowledged: u32,
    /// Segments that were sent again, since the connection began.
    pub retransmitted: u32,
    /// Bytes that the kernel has and has not sent.
    pub not_sent_bytes: u32,
    /// Bytes that the client says it has room for.
    pub window_bytes: u32,
    /// Why the kernel does not send more.
    pub waits_for: WaitsFor,
}

/// Why the kernel does not send more to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The client has no room: its program does not read.
    Client,
    /// Segments were lost, or what is out was not acknowledged.
    Network,
    /// Nothing: it has sent everything.
    Nothing,
}

impl WaitsFor {
    /// As it is said.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Network => "network",
            Self::Nothing => "nothing",
        }
    }
}

/// What one shard, or all together, say of those who are connected.
#[derive(Debug, Default)]
pub struct Connections {
    /// How many match.
    pub matched: usize,
    /// Those who come first.
    pub rows: Vec<ConnectionRow>,
}

impl Connections {
    /// Puts those who come first in order, and forgets the others.
    pub fn cut(&mut self, selection: &Selection) {
        let rank = |row: &ConnectionRow| selection.order.rank(row.unsent_bytes, row.topics_total, row.age);
        self.rows.sort_unstable_by_key(|row| Reverse(rank(row)));
        self.rows.truncate(selection.rows_max);
    }

    /// Adds what another shard says.
    pub fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.rows.extend(other.rows);
    }
}
