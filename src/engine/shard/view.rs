//! What can be seen of a shard from outside, between two turns.

use super::Shard;
use crate::ear::Tick;
use crate::engine::connection::{ConnectionId, Phase, Socket};
use crate::engine::message::Origin;
use crate::engine::outbound::Outbound;
use crate::engine::protocol::Encoding;
use crate::engine::subscriptions::Subscriptions;
use crate::engine::topic::Topic;

/// One connection as it stands.
pub struct View<'a, S> {
    /// Which one.
    pub id: ConnectionId,
    /// Its socket.
    pub socket: &'a S,
    /// In which form it gets messages.
    pub encoding: &'static Encoding,
    /// Who it is as a publisher.
    pub origin: Option<Origin>,
    /// What it has not received yet.
    pub outbound: &'a Outbound,
    /// When its socket took bytes for the last time, or refused them for the first; `None` for one that keeps up.
    pub late_since: Option<Tick>,
}

impl<S: Socket> Shard<S> {
    /// A connection that is open.
    pub fn view(&self, id: ConnectionId) -> Option<View<'_, S>> {
        let connection = self.connections.get(id).filter(|connection| connection.phase == Phase::Open)?;
        Some(View {
            id,
            socket: &connection.socket,
            encoding: connection.protocol.encoding(),
            origin: connection.protocol.origin(),
            outbound: &connection.outbound,
            late_since: self.ladder.backlog.since(id),
        })
    }

    /// Everybody whose connection is open, in no particular order.
    pub fn views(&self) -> impl Iterator<Item = View<'_, S>> {
        self.connections.keys().filter_map(|id| self.view(id))
    }

    /// What a connection follows or is about to.
    pub fn topics_of(&self, id: ConnectionId) -> impl ExactSizeIterator<Item = &Topic> {
        let topics = self.connections.get(id).map_or(&[][..], |connection| &connection.topics);
        topics.iter().map(|subscription| self.subscriptions.followers(subscription.key).topic())
    }

    /// Who follows what.
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }
}
