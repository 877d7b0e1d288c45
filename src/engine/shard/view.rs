//! What can be seen of a shard from outside.

use super::Shard;
use crate::ear::Tick;
use crate::engine::connection::{Connection, ConnectionId, Following, Phase, Socket};
use crate::engine::subscriptions::Subscriptions;
use crate::engine::topic::Topic;
use crate::mesh::NodeId;

impl<S: Socket> Shard<S> {
    /// Which node of the mesh it is.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// A connection that is open.
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection<S>> {
        self.connections.get(id).filter(|connection| connection.phase == Phase::Open)
    }

    /// Everybody whose connection is open, in no particular order.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &Connection<S>)> {
        self.connections.iter().filter(|(_, connection)| connection.phase == Phase::Open)
    }

    /// When its socket took bytes for the last time, or refused them for the first; `None` for one that keeps up.
    pub fn late_since(&self, id: ConnectionId) -> Option<Tick> {
        self.ladder.backlog.since(id)
    }

    /// What a connection follows; what it is about to follow is not among it.
    pub fn topics_of<'a>(&'a self, connection: &'a Connection<S>) -> impl Iterator<Item = &'a Topic> {
        let in_place = connection.topics.iter().filter(|it| matches!(it.state, Following::InPlace(_)));
        in_place.map(|subscription| self.subscriptions.followers(subscription.key).topic())
    }

    /// Who follows what.
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }
}
