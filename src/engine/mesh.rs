//! What shards say and hear across the mesh. What else crosses it stands in `control`.

use super::message::Message;
use super::protocol::Admission;
use super::topic::{Topic, TopicKey};
use bytes::Bytes;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a shard tells the broker about one topic.
#[derive(Clone, Debug)]
pub struct Interest {
    /// What is followed.
    pub topic: Topic,
    /// Where the shard keeps those who follow it: comes back with every message, which is then not looked up again.
    pub place: TopicKey,
    /// By how many connections; 0 ends the interest.
    pub followers: u32,
    /// Who waits for it to be in place: comes back as [`Delivery::Listening`].
    pub ticket: Option<u64>,
}

/// What comes down a message lane, in the order in which the broker saw it.
#[derive(Debug)]
pub enum Delivery {
    /// An event for the followers at this place; who was there may have left since.
    Message(TopicKey, Message),
    /// The interest with this ticket is in place: every message of its topic from here on is in this lane.
    Listening(u64),
}

/// A connection on its way to its shard. The socket closes with this value, wherever it is dropped.
pub struct Adoption<S = TcpStream> {
    /// The stream behind the request head: non-blocking, with its options set.
    pub socket: S,
    /// The client's address.
    pub peer: SocketAddr,
    /// The answer to the upgrade request, to be sent first.
    pub response: Bytes,
    /// What the client sent behind its request.
    pub unread: Bytes,
    /// Its conversation and place.
    pub admission: Admission,
    /// How long it may live, from now on; `None` is for ever. Whoever holds its socket sees to that.
    pub lifetime: Option<Duration>,
    /// What it has for as long as its socket lives; whoever holds that one keeps this, too, and drops both together.
    pub permit: Option<Box<dyn Send>>,
}
