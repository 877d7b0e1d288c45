//! Events of clients on their way to the broker, and who is told what became of them.

use super::connection::ConnectionId;
use super::topic::Topic;
use crate::mesh::NodeId;
use bytes::Bytes;

/// An event on its way to the broker.
#[derive(Debug)]
pub struct Publication {
    /// Where to.
    pub topic: Topic,
    /// The event: valid UTF-8.
    pub payload: Bytes,
    /// Who wants to know what became of it.
    pub ticket: Option<Ticket>,
}

/// Where the answer to a publication goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The shard that asked.
    pub node: NodeId,
    /// Who asked there.
    pub asker: Asker,
}

/// Who wants to know what became of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The waiting request with this number; it is always answered.
    Request(u64),
    /// A connection that has published to this topic; it is only told of failures.
    Connection(ConnectionId, Topic),
}
