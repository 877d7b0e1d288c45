//! What crosses cores: a topic, the publisher's bytes already sealed as a frame, and where they came from.

use super::topic::Topic;
use crate::wire::frame::{self, SealedText};
use bytes::Bytes;

/// Who published: an identity that is unique over all instances (a flux client's UUID, for example).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin(pub u128);

/// Where a message stands in its topic's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Changes whenever the numbering starts anew.
    pub epoch: u64,
    /// Counts up by one per message of the topic within an epoch.
    pub offset: u64,
}

/// One event on its way to the shards.
///
/// The payload is valid UTF-8 and stands directly behind a WebSocket header in one buffer, so the commonest
/// encoding (a text frame with exactly the published bytes) costs nothing on the shards.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who is to get it.
    pub topic: Topic,
    /// For "everyone but me"; `None` where the publisher is not a client.
    pub origin: Option<Origin>,
    /// For history and resume; `None` where the broker keeps none.
    pub position: Option<Position>,
    text: SealedText,
}

impl Message {
    /// A message around a payload that was sealed in place in its receive buffer.
    pub fn sealed(topic: Topic, text: SealedText) -> Self {
        Self { topic, origin: None, position: None, text }
    }

    /// A message around a payload that stands alone: seals it by copying it once.
    pub fn copied(topic: Topic, payload: &str) -> Self {
        Self::sealed(topic, frame::seal_copied(payload))
    }

    /// The publisher's bytes.
    pub fn payload(&self) -> &[u8] {
        self.text.payload()
    }

    /// The whole text frame: header and payload.
    pub fn text_frame(&self) -> &Bytes {
        self.text.frame()
    }
}
