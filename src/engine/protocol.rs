//! The seam to families of clients. Who is behind it stands in one table: `protocols/mod.rs`.

pub use crate::metrics::PublishError;

use super::message::{Message, Origin};
use super::topic::Topic;
use crate::metrics::Drop;
use crate::wire::close::{Close, CloseCode};
use bytes::Bytes;
use std::net::SocketAddr;

/// One connection's side of a conversation: what a family of clients says, hears and follows.
///
/// A value lives on one shard with its connection and costs as much memory as it has fields: keep it small.
/// It does no I/O and keeps no time; what it wants done it writes down in [`Actions`].
pub trait Protocol: Send {
    /// In which form this connection gets the messages of its topics.
    fn encoding(&self) -> &'static Encoding;

    /// How the engine treats what this client sends.
    fn pace(&self) -> Pace {
        Pace::Limited
    }

    /// What becomes of events that this client does not read in time.
    fn slow_policy(&self) -> SlowPolicy {
        SlowPolicy::Close
    }

    /// Who this client is as a publisher; `None` where its family knows no senders.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// The connection has its seat and, if it is keyed, follows its topic. Called once, before anything is received.
    fn opened(&mut self, peer: SocketAddr, seat: &Seat<'_>, actions: &mut Actions);

    /// What became of an [`Action::Subscribe`] or [`Action::Unsubscribe`]: each is answered once, those about one topic
    /// in their order.
    fn answered(&mut self, _topic: &Topic, _answer: Answer, _actions: &mut Actions) {}

    /// An [`Action::Publish`] has failed; of one that succeeds nothing is heard but the event itself.
    fn unpublished(&mut self, _topic: &Topic, _error: PublishError, _actions: &mut Actions) {}

    /// A message was not taken because the client sends too fast; see [`Pace::Warned`].
    fn refused(&mut self, _actions: &mut Actions) {}

    /// One whole text or binary message from the client.
    fn received(&mut self, message: ClientMessage<'_>, actions: &mut Actions);

    /// The server's own news as this family hears it: a sealed frame, or `None` where it was not asked for.
    fn notice(&self, notice: &Notice) -> Option<Bytes>;

    /// The connection has ended; `seat.followers` no longer counts it.
    fn closed(&self, seat: &Seat<'_>, code: CloseCode);
}

/// How the engine meters what a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At most the configured number of messages per second, else 1008.
    Limited,
    /// The same, but a burst's worth of messages is refused first, each with [`Protocol::refused`].
    Warned,
    /// As fast as the socket: for debugging protocols only.
    Free,
}

/// What becomes of events for a client that reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowPolicy {
    /// They wait; once the queue is full the client is closed with 4001.
    Close,
    /// They wait; once the queue is full the oldest give way.
    DropOldest,
    /// Of each topic only the newest waits.
    Latest,
}

/// Where a connection sits: what a protocol may know of it.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// The topic a keyed connection was placed by.
    pub topic: Option<&'a Topic>,
    /// How many connections of this shard follow that topic.
    pub followers: usize,
}

/// A whole message from a client, unmasked, joined and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// Valid UTF-8 (RFC 6455 §5.6).
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

/// Which form a message takes on the wire. Made at most once per message, encoding and shard.
#[derive(Debug)]
pub struct Encoding {
    /// The label in metrics.
    pub name: &'static str,
    /// Seals a message of a topic for the wire, or says why that cannot be. The topic is the followers' own, which
    /// knows its family's prefix.
    pub seal: fn(&Topic, &Message) -> Result<Sealed, Drop>,
}

/// A message in one encoding.
#[derive(Debug)]
pub struct Sealed {
    /// The frame.
    pub frame: Bytes,
    /// Whose own event this is: that client does not get it.
    pub except: Option<Origin>,
}

/// The published bytes in a text frame: sealed already where they were received.
pub static RAW_TEXT: Encoding =
    Encoding { name: "raw_text", seal: |_, message| Ok(Sealed { frame: message.text_frame().clone(), except: None }) };

/// What became of a wish to follow a topic, or to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The subscription is in place: from here on nothing of the topic is missed.
    Subscribed,
    /// The connection follows too many topics already.
    TooMany,
    /// Nothing of the topic comes any more.
    Unsubscribed,
    /// There was no such subscription.
    NotSubscribed,
}

/// The server's own news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Events may have been lost: the connection to the broker was interrupted. How many is unknown.
    SourceReconnected,
    /// So many frames were dropped because this client reads too slowly.
    Missed(u32),
    /// The server drains.
    Draining {
        /// In so many milliseconds this very connection is closed, and its client should connect again: who waits for
        /// the close and who counts for himself come back at the same moment, and others at others.
        reconnect_after_ms: u64,
    },
    /// What let the client in is good for so many more milliseconds; then the connection is closed.
    Expiring(u64),
}

/// What a protocol wants done, in order.
#[derive(Debug)]
pub enum Action {
    /// Follow a topic; [`Protocol::answered`] tells when. Following twice is one subscription, told twice.
    Subscribe(Topic),
    /// Stop following a topic, at once.
    Unsubscribe(Topic),
    /// Queue a sealed frame for this client.
    Send(Bytes),
    /// Give an event to the broker; it comes back like anybody's.
    Publish {
        /// Where to.
        topic: Topic,
        /// The event: valid UTF-8.
        payload: Bytes,
    },
    /// Queue a close frame and end the connection once it is out.
    Close(Close),
}

/// A list of [`Action`]s, reused for every call so that it costs no allocation.
pub type Actions = Vec<Action>;

/// How a family of clients lets a request in: the connection's protocol and where it must live.
pub struct Admission {
    /// The conversation, from its start.
    pub protocol: Box<dyn Protocol>,
    /// Which shard may own the connection.
    pub placement: super::placement::Placement,
}
