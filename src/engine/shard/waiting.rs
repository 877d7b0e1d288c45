//! Who follows what, and who waits until the broker knows of it.

use super::Shard;
use super::arrival::Arrival;
use crate::engine::connection::{ConnectionId, Phase, Socket};
use crate::engine::mesh::Interest;
use crate::engine::topic::{Topic, TopicKey};
use slotmap::{Key, KeyData};
use std::mem;

slotmap::new_key_type! {
    /// Names something that waits until the broker knows of an interest.
    pub(super) struct Ticket;
}

/// What happens once the broker knows of an interest.
pub(super) enum Waiting<S> {
    /// The connection gets its seat.
    Arrival(Box<Arrival<S>>),
    /// The connection follows one more topic.
    Subscription(ConnectionId),
}

impl<S: Socket> Shard<S> {
    /// The broker knows of the interest with this ticket.
    pub fn listening(&mut self, ticket: u64) {
        let Some((topic, waiting)) = self.waiting.remove(KeyData::from_ffi(ticket).into()) else { return };
        match waiting {
            Waiting::Arrival(arrival) => self.seat(*arrival, Some(topic)),
            Waiting::Subscription(id) => self.subscribed(id, topic),
        }
    }

    pub(super) fn expect(&mut self, topic: &Topic, waiting: Waiting<S>) {
        let key = self.subscriptions.expect(topic);
        let ticket = self.waiting.insert((key, waiting));
        self.announce(key, Some(ticket.data().as_ffi()));
    }

    pub(super) fn follow(&mut self, id: ConnectionId, key: TopicKey) {
        self.distribute();
        let connection = &mut self.connections[id];
        self.subscriptions.follow(key, id, connection.protocol.encoding());
        connection.topics.push(key);
    }

    pub(super) fn subscribed(&mut self, id: ConnectionId, key: TopicKey) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let open = self.connections.get(id).filter(|connection| connection.phase == Phase::Open);
        let Some(connection) = open else { return self.give_up(key) };
        if connection.topics.contains(&key) {
            self.give_up(key);
        } else {
            self.follow(id, key);
        }
        let mut actions = mem::take(&mut self.actions);
        self.connections[id].protocol.subscribed(&topic, &mut actions);
        self.carry_out(id, actions);
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, topic: &Topic) {
        let subscriptions = &self.subscriptions;
        let is_it = |key: TopicKey| subscriptions.followers(key).topic() == topic;
        let is_asked = |(key, waiting): &(TopicKey, Waiting<S>)| waiting.is_subscription_of(id) && is_it(*key);
        let asked: Vec<Ticket> = self.waiting.iter().filter(|(_, asked)| is_asked(asked)).map(|(key, _)| key).collect();
        let followed = self.connections[id].topics.iter().position(|&key| is_it(key));
        for ticket in asked {
            let (key, _) = self.waiting.remove(ticket).expect("found above");
            self.give_up(key);
        }
        if let Some(index) = followed {
            let key = self.connections[id].topics.swap_remove(index);
            self.leave(key, id);
        }
    }

    pub(super) fn leave(&mut self, key: TopicKey, id: ConnectionId) -> (Topic, usize) {
        self.distribute();
        let topic = self.subscriptions.followers(key).topic().clone();
        let left = self.subscriptions.leave(key, id);
        self.announce_left(key, &topic, left);
        (topic, left)
    }

    pub(super) fn give_up(&mut self, key: TopicKey) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let left = self.subscriptions.give_up(key);
        self.announce_left(key, &topic, left);
    }

    pub(super) fn announce_left(&mut self, key: TopicKey, topic: &Topic, left: usize) {
        if left > 0 {
            return self.announce(key, None);
        }
        self.outgoing.interests.push(Interest { topic: topic.clone(), place: key, followers: 0, ticket: None });
        self.metrics.topics.set(self.subscriptions.topics() as u64);
    }

    pub(super) fn announce(&mut self, key: TopicKey, ticket: Option<u64>) {
        let followers = self.subscriptions.followers(key);
        let count = u32::try_from(followers.count()).expect("a process has fewer than 2^32 sockets");
        self.outgoing.interests.push(Interest {
            topic: followers.topic().clone(),
            place: key,
            followers: count,
            ticket,
        });
        self.metrics.topics.set(self.subscriptions.topics() as u64);
    }
}

impl<S> Waiting<S> {
    pub(super) fn is_subscription_of(&self, id: ConnectionId) -> bool {
        matches!(self, Self::Subscription(of) if *of == id)
    }
}
