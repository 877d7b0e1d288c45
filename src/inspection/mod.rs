//! What an administrator may ask of every node, what each answers, and what nodes keep while somebody looks.
//!
//! ```text
//!   GET /admin/trace?username=alice          shard 0 ┐
//!     http ── Control::Ask(ticket, question) ──► shard 1 ├─ Control::Answer(ticket, reply) ──► http ── JSON
//!                                              broker  ┘
//! ```
//!
//! While nobody asks nothing is kept: a shard and the router look once per message whether somebody does. Whoever looks
//! on asks again within [`LEASE`]; nothing has to be ended.

mod connections;
mod record;
mod topics;
mod trace;

pub use self::connections::{ConnectionRow, Connections, Order, Selection, TcpState, WaitsFor};
pub use self::record::{Event, Record, What};
pub use self::topics::{TopicRow, Topics};
pub use self::trace::{Account, Target, Trace, Traces};

use crate::engine::connection::ConnectionId;
use crate::engine::message::Origin;
use crate::engine::topic::Topic;
use crate::mesh::NodeId;
use slotmap::{Key, KeyData};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long nodes go on counting and recording after somebody has looked: several looks of a page that looks each
/// second or two.
pub const LEASE: Duration = Duration::from_secs(10);

/// What every node is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Disconnect these clients, and say how many they were.
    Dismiss(Whom),
    /// Who is connected?
    Connections(Selection),
    /// Which of the topics have the most events? At most so many of them.
    Topics(usize),
    /// What has become of this target's events, from these numbers on: one for each node, in the order of their ids.
    Trace(Target, Vec<u64>),
}

impl Question {
    /// How many nodes know something about it: the first of so many are the shards, and behind them is the broker's.
    pub fn nodes(&self, shards: usize) -> usize {
        match self {
            Self::Dismiss(_) | Self::Connections(_) | Self::Topics(_) => shards,
            Self::Trace(..) => NodeId::broker(shards).index() + 1,
        }
    }
}

/// What one node answers.
#[derive(Debug)]
pub enum Reply {
    /// So many clients were disconnected.
    Dismissed(usize),
    /// Those who are connected.
    Connections(Connections),
    /// Topics with the most events.
    Topics(Topics),
    /// What was recorded; `None` where too many others look at something else.
    Trace(Option<Account>),
}

/// Whom an administrator wants gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Everybody who follows this topic.
    Followers(Topic),
    /// The client that publishes under this name.
    Publisher(Origin),
    /// The client with this seat.
    Seat(Seat),
}

/// Which connection of which shard; never used again for another one while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// The shard it sits on.
    pub shard: NodeId,
    /// Its name there.
    pub id: ConnectionId,
}

impl fmt::Display for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.shard.index(), self.id.data().as_ffi())
    }
}

/// What is not written as a [`Seat`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSeat;

impl FromStr for Seat {
    type Err = NoSeat;

    fn from_str(text: &str) -> Result<Self, NoSeat> {
        let (shard, id) = text.split_once('-').ok_or(NoSeat)?;
        let shard = shard.parse::<u16>().map_err(|_| NoSeat)?;
        let id = id.parse().map_err(|_| NoSeat)?;
        let seat = Self { shard: NodeId::shard(shard.into()), id: KeyData::from_ffi(id).into() };
        // There is one way to write each.
        if seat.to_string() == text { Ok(seat) } else { Err(NoSeat) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_has_one_spelling() {
        for (text, is_one) in [
            ("0-4294967297", true),
            ("13-12884901889", true),
            ("13-8589934593", false),
            ("0-1", false),
            ("65535-4294967297", true),
            ("65536-4294967297", false),
            ("00-4294967297", false),
            ("0-+4294967297", false),
            ("-4294967297", false),
            ("0", false),
            ("", false),
            ("0-4294967297-1", false),
        ] {
            assert_eq!(
                text.parse::<Seat>().map(|seat| seat.to_string()).ok(),
                is_one.then(|| text.to_owned()),
                "{text}"
            );
        }
    }
}
