//! What crosses the mesh beside events: one closed list.

use crate::config::Config;
use crate::engine::mesh::{Adoption, Delivery, Interest};
use crate::engine::protocol::{Notice, PublishError};
use crate::engine::publication::{Publication, Ticket};
use crate::inspection::{Question, Reply};
use crate::mesh;
use std::time::Duration;

/// One node's ends of all its lanes.
pub type MeshNode = mesh::MeshNode<Control, Delivery>;

/// Everything but messages that may cross from one node to another.
pub enum Control {
    /// A connection for the shard that owns its topic, or that its owner has chosen.
    Adopt(Box<Adoption>),
    /// So many connections of the sending shard follow a topic from now on.
    Interest(Interest),
    /// An event from a client of the sending shard, for the broker to publish.
    Publish(Publication),
    /// What became of a publication.
    Published {
        /// Which one.
        ticket: Ticket,
        /// How many receivers the broker knows of.
        outcome: Result<u64, PublishError>,
    },
    /// News for the clients that asked for such.
    Notice(Notice),
    /// An administrator's question; the answer goes to the node that asks.
    Ask(Ticket, Question),
    /// What the sending node answers.
    Answer(Ticket, Box<Reply>),
    /// What can change while the server runs is to be as it stands here.
    Retune(Box<Config>),
    /// Close everything within this time and end.
    Drain(Duration),
    /// The sending shard has no connections left and ends.
    Drained,
}
