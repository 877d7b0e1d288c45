//! Who follows what, and who waits until the broker knows of it.

use super::Shard;
use crate::engine::connection::{Connection, ConnectionId, Phase, Socket, Subscription};
use crate::engine::mesh::{Adoption, Interest};
use crate::engine::protocol::Answer;
use crate::engine::topic::{Topic, TopicKey};
use slotmap::{Key, KeyData};
use std::mem;

slotmap::new_key_type! {
    /// Names something that waits until the broker knows of an interest.
    pub(super) struct Ticket;
}

/// What happens once the broker knows of an interest. Until then it is expected among the topic's followers, whatever
/// becomes of the connection meanwhile.
pub(super) enum Waiting<S> {
    /// The connection gets its seat.
    Arrival(Box<Adoption<S>>),
    /// The connection follows one more topic, if it still wants to.
    Subscription(ConnectionId),
}

impl<S: Socket> Shard<S> {
    /// The broker knows of the interest with this ticket.
    pub fn listening(&mut self, ticket: u64) {
        let Some((key, waiting)) = self.waiting.remove(KeyData::from_ffi(ticket).into()) else { return };
        match waiting {
            Waiting::Arrival(arrival) => self.seat(*arrival, Some(key)),
            Waiting::Subscription(id) => self.confirmed(id, key),
        }
    }

    /// How many connections follow a topic here or are about to.
    pub fn followers(&self, topic: &Topic) -> usize {
        self.subscriptions.find(topic).map_or(0, |key| self.subscriptions.followers(key).count())
    }

    pub(super) fn expect(&mut self, topic: &Topic, waiting: Waiting<S>) -> TopicKey {
        let key = self.subscriptions.expect(topic);
        let ticket = self.waiting.insert((key, waiting));
        let followers = self.subscriptions.followers(key);
        let (topic, count) = (followers.topic().clone(), followers.count());
        self.announce(key, &topic, count, Some(ticket.data().as_ffi()));
        key
    }

    pub(super) fn subscribe(&mut self, id: ConnectionId, topic: &Topic) {
        let topics_max = self.limits.topics_per_connection_max;
        if let Some(index) = self.find_subscription(id, topic) {
            let subscription = &mut self.connections[id].topics[index];
            if subscription.owed == 0 {
                return self.answer(id, topic, Answer::Subscribed);
            }
            subscription.owed = subscription.owed.saturating_add(1);
        } else if self.connections[id].topics.len() >= topics_max {
            self.answer(id, topic, Answer::TooMany);
        } else {
            let key = self.expect(topic, Waiting::Subscription(id));
            self.connections[id].topics.push(Subscription { key, owed: 1 });
        }
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, topic: &Topic) {
        let Some(index) = self.find_subscription(id, topic) else {
            return self.answer(id, topic, Answer::NotSubscribed);
        };
        self.distribute();
        let Subscription { key, owed } = self.connections[id].topics.swap_remove(index);
        if owed == 0 {
            self.leave(key, id);
        }
        // What was not in place yet is given up when its ticket comes back; every wish has its answer all the same.
        self.answer_owed(id, topic, owed);
        self.answer(id, topic, Answer::Unsubscribed);
    }

    fn find_subscription(&self, id: ConnectionId, topic: &Topic) -> Option<usize> {
        let key = self.subscriptions.find(topic)?;
        self.connections[id].topics.iter().position(|subscription| subscription.key == key)
    }

    fn confirmed(&mut self, id: ConnectionId, key: TopicKey) {
        self.distribute();
        let wished = self.connections.get_mut(id).and_then(|connection| connection.expected(key));
        let Some(owed) = wished.map(|subscription| mem::take(&mut subscription.owed)) else {
            return self.give_up(key);
        };
        let topic = self.subscriptions.followers(key).topic().clone();
        self.follow(id, key);
        self.answer_owed(id, &topic, owed);
    }

    fn answer_owed(&mut self, id: ConnectionId, topic: &Topic, owed: u32) {
        for _ in 0..owed {
            self.answer(id, topic, Answer::Subscribed);
        }
    }

    fn answer(&mut self, id: ConnectionId, topic: &Topic, answer: Answer) {
        self.consult(id, |protocol, actions| protocol.answered(topic, answer, actions));
    }

    /// Makes one who is expected a follower: from here on it gets what is delivered. Distribute first.
    pub(super) fn follow(&mut self, id: ConnectionId, key: TopicKey) {
        self.subscriptions.follow(key, id, self.connections[id].protocol.encoding());
    }

    /// Makes a follower none. Distribute first.
    pub(super) fn leave(&mut self, key: TopicKey, id: ConnectionId) -> (Topic, usize) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let left = self.subscriptions.leave(key, id);
        self.announce(key, &topic, left, None);
        (topic, left)
    }

    fn give_up(&mut self, key: TopicKey) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let left = self.subscriptions.give_up(key);
        self.announce(key, &topic, left, None);
    }

    /// So many follow a topic from now on, those who are about to included.
    fn announce(&mut self, place: TopicKey, topic: &Topic, followers: usize, ticket: Option<u64>) {
        let followers = u32::try_from(followers).expect("a process has fewer than 2^32 sockets");
        self.outgoing.interests.push(Interest { topic: topic.clone(), place, followers, ticket });
        self.metrics.topics.set(self.subscriptions.topics() as u64);
    }
}

impl<S> Connection<S> {
    /// Whether it gets what is delivered to a topic.
    pub(super) fn follows(&self, key: TopicKey) -> bool {
        self.topics.iter().any(|subscription| subscription.key == key && subscription.owed == 0)
    }

    /// The connection's wish for a topic that the broker did not know of yet, if it still has it.
    fn expected(&mut self, key: TopicKey) -> Option<&mut Subscription> {
        let is_open = self.phase == Phase::Open;
        self.topics.iter_mut().find(|subscription| is_open && subscription.key == key && subscription.owed > 0)
    }
}
