//! What crosses cores: a topic, the publisher's bytes already sealed as a frame, and when they came.

use super::topic::Topic;
use crate::wire::frame::{self, SealedText};
use bytes::Bytes;

/// Who published: an identity that is unique over all instances. How it travels is its family's affair, see
/// [`Sealed::except`](super::protocol::Sealed::except).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(pub u128);

/// One event on its way to the shards.
///
/// The payload is valid UTF-8 and stands directly behind a WebSocket header in one buffer, so the commonest
/// encoding (a text frame with exactly the published bytes) costs nothing on the shards.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who is to get it.
    pub topic: Topic,
    /// When this instance received it, in microseconds since 1970 by the wall clock. The router's stamp.
    pub received_us: u64,
    text: SealedText,
}

impl Message {
    /// A message around a payload that was sealed in place in its receive buffer.
    pub fn sealed(topic: Topic, text: SealedText) -> Self {
        Self { topic, received_us: 0, text }
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
