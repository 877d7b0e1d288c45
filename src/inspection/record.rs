//! What has happened to an event or to a connection, as it is recorded.

use super::Seat;
use crate::engine::message::Message;
use crate::metrics::Drop;
use crate::wire::close::CloseCode;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of an event that are shown: enough to tell it from others.
const PREVIEW_BYTES_MAX: usize = 120;

/// One event, as a person finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// A hash of its topic, its bytes and when it was received: the same on every node.
    pub name: u32,
    /// When it was read from the broker, in microseconds since 1970.
    pub received_us: u64,
    /// Length of its payload.
    pub bytes: usize,
    /// How it begins.
    pub preview: String,
}

impl Event {
    /// An event as it crosses the mesh.
    pub fn of(message: &Message) -> Self {
        let payload = message.payload();
        let mut hasher = DefaultHasher::new();
        (message.topic.hash(), payload, message.received_us).hash(&mut hasher);
        let text = String::from_utf8_lossy(&payload[..payload.len().min(PREVIEW_BYTES_MAX)]);
        Self {
            name: u32::try_from(hasher.finish() >> 32).expect("half of its bits"),
            received_us: message.received_us,
            bytes: payload.len(),
            // A character that was cut through is left out.
            preview: text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned(),
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The broker's node has read an event and sent it to the shards of so many followers; with none it ends here.
    Received(Event, u64),
    /// An event of so many bytes cannot be delivered to anybody.
    Undeliverable(Drop, usize),
    /// A shard has it for so many followers.
    Matched(Event, usize),
    /// The family cannot put it into its form.
    Unsealed(Event, Drop),
    /// The kernel has it for this connection, and all before it.
    Written(Event, Seat),
    /// It waits for this connection, among so many frames and bytes.
    Waits(Event, Seat, u32, usize),
    /// This connection has published it and does not get it.
    Own(Event, Seat),
    /// So many frames were dropped for this connection, which reads too slowly.
    Missed(Seat, u32),
    /// Everything that waited for this connection is in the kernel.
    CaughtUp(Seat),
    /// This connection is here, from this address, for so long.
    Here(Seat, SocketAddr, Duration),
    /// This connection has ended.
    Closed(Seat, CloseCode),
    /// This connection follows the topic no more.
    Left(Seat),
    /// The broker was away: nobody knows what was missed.
    Gap,
}

/// Something that has happened, and when.
#[derive(Clone, Debug)]
pub struct Record {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What.
    pub what: What,
}
