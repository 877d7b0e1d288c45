//! One client's seat in a shard.

use super::outbound::Outbound;
use super::protocol::Protocol;
use super::topic::TopicKey;
use crate::ear::{Allowance, Heartbeat, Tick};
use crate::wire::ws::Decoder;
use smallvec::SmallVec;
use std::io;

slotmap::new_key_type! {
    /// Names a connection of this shard; never reused for another one.
    pub struct ConnectionId;
}

/// Sends that are made together. More would fit into a call; of so many the connections are still in the nearest cache
/// when their sends are settled.
pub const SENDS_PER_BATCH_MAX: usize = 256;

/// What the engine needs of a socket. Behind it are TCP, and the pretend sockets of the simulation.
pub trait Socket: io::Read {
    /// The connection has its seat: what the socket reports from now on is reported under this name.
    fn take_seat(&mut self, id: ConnectionId);

    /// Chooses what the shard wants to hear about: bytes to read always, room to write only for a late connection.
    fn watch(&mut self, interest: Watch);

    /// Sends everything and then the end of the stream; reading goes on.
    fn finish(&mut self);
}

/// What one socket is to be given.
#[derive(Debug)]
pub struct Send<'a, S> {
    /// The socket.
    pub socket: &'a S,
    /// The bytes, in one piece; never none.
    pub bytes: &'a [u8],
}

/// What gives bytes to many sockets at once: at most [`SENDS_PER_BATCH_MAX`] of them.
pub trait Outlet<S> {
    /// Makes every send once, without waiting, and appends to `taken`, in the same order, how many bytes each socket
    /// took. A socket that takes none now is [`io::ErrorKind::WouldBlock`].
    fn send(&mut self, sends: &[Send<'_, S>], taken: &mut Vec<io::Result<usize>>);
}

/// What a socket reports to its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Bytes have arrived.
    Reads,
    /// Bytes have arrived, or there is room for more to send.
    ReadsAndWrites,
}

/// Everything the shard keeps per client: about 200 bytes while idle.
pub struct Connection<S> {
    /// Where its bytes come from and go to.
    pub socket: S,
    /// Its conversation.
    pub protocol: Box<dyn Protocol>,
    pub(super) decoder: Decoder,
    /// What it has not received yet.
    pub outbound: Outbound,
    pub(super) topics: SmallVec<[Subscription; 1]>,
    pub(super) heartbeat: Heartbeat,
    pub(super) allowance: Allowance,
    pub(super) phase: Phase,
}

impl<S> Connection<S> {
    pub(super) fn new(socket: S, protocol: Box<dyn Protocol>, heartbeat: Heartbeat, allowance: Allowance) -> Self {
        let (decoder, outbound, topics) = Default::default();
        Self { socket, protocol, decoder, outbound, topics, heartbeat, allowance, phase: Phase::Open }
    }
}

/// A connection's interest in one topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) key: TopicKey,
    pub(super) state: Following,
}

/// How far a subscription is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Following {
    /// The broker does not know of it yet. So often the client is to be told once it does.
    Expected { owed: u32 },
    /// It is in place, and the connection stands at this place among the topic's followers of its encoding.
    InPlace(u32),
}

/// How far a connection has come. The phases follow each other in this order; any may be the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Events flow.
    Open,
    /// The close frame is queued; nothing follows it. What the client still sends is read and ignored.
    Closing {
        /// When the connection is given up.
        until: Tick,
    },
    /// The close frame is out and the stream is ended; the client's end of it is awaited.
    ///
    /// Closing the socket earlier, with bytes unread, would reset the connection and take the close frame with it.
    Lingering {
        /// When the connection is given up.
        until: Tick,
    },
}
