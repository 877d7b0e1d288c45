//! Who follows what, and who waits until the broker knows of it.

use super::{Outgoing, Shard};
use crate::engine::connection::{Connection, ConnectionId, Following, Socket, Subscription};
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
            match &mut self.connections[id].topics[index].state {
                Following::Expected { owed } => *owed = owed.saturating_add(1),
                Following::InPlace(_) => self.answer(id, topic, Answer::Subscribed),
            }
        } else if self.connections[id].topics.len() >= topics_max {
            self.answer(id, topic, Answer::TooMany);
        } else {
            let key = self.expect(topic, Waiting::Subscription(id));
            self.connections[id].topics.push(Subscription { key, state: Following::Expected { owed: 1 } });
        }
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, topic: &Topic) {
        let Some(index) = self.find_subscription(id, topic) else {
            return self.answer(id, topic, Answer::NotSubscribed);
        };
        self.distribute();
        let subscription = self.connections[id].topics.swap_remove(index);
        match subscription.state {
            Following::InPlace(place) => _ = self.leave(subscription.key, id, place),
            // It is given up when its ticket comes back; every wish has its answer all the same.
            Following::Expected { owed } => self.answer_owed(id, topic, owed),
        }
        self.answer(id, topic, Answer::Unsubscribed);
    }

    fn find_subscription(&self, id: ConnectionId, topic: &Topic) -> Option<usize> {
        let key = self.subscriptions.find(topic)?;
        self.connections[id].topics.iter().position(|subscription| subscription.key == key)
    }

    fn confirmed(&mut self, id: ConnectionId, key: TopicKey) {
        let wished = self.connections.get_mut(id).and_then(|connection| connection.forget_expected(key));
        let Some(owed) = wished else { return self.give_up(key) };
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

    /// Makes one who is expected a follower: from here on it gets what is delivered.
    pub(super) fn follow(&mut self, id: ConnectionId, key: TopicKey) {
        self.distribute();
        let connection = &mut self.connections[id];
        let place = self.subscriptions.follow(key, id, connection.protocol.encoding());
        connection.topics.push(Subscription { key, state: Following::InPlace(place) });
    }

    /// Makes a follower none. Distribute first.
    pub(super) fn leave(&mut self, key: TopicKey, id: ConnectionId, place: u32) -> (Topic, usize) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let (left, moved) = self.subscriptions.leave(key, place, self.connections[id].protocol.encoding());
        if let Some(moved) = moved {
            self.connections[moved].moved(key, place);
        }
        self.announce_left(key, &topic, left);
        (topic, left)
    }

    fn give_up(&mut self, key: TopicKey) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let left = self.subscriptions.give_up(key);
        self.announce_left(key, &topic, left);
    }

    /// The broker is told at once where nobody is left; how many are, once a turn: thousands may leave in one.
    fn announce_left(&mut self, key: TopicKey, topic: &Topic, left: usize) {
        if left == 0 {
            return self.announce(key, topic, 0, None);
        }
        let is_news = self.subscriptions.get_mut(key).map(|followers| mem::replace(&mut followers.is_news, true));
        if is_news == Some(false) {
            self.news.push(key);
        }
    }

    /// What is to be told to the broker before [`Shard::end_turn`].
    pub fn outgoing(&mut self) -> &mut Outgoing {
        let mut news = mem::take(&mut self.news);
        for place in news.drain(..) {
            if let Some(followers) = self.subscriptions.get_mut(place) {
                followers.is_news = false;
                let (topic, count) = (followers.topic().clone(), followers.count());
                self.announce(place, &topic, count, None);
            }
        }
        self.news = news;
        &mut self.outgoing
    }

    /// How much that is by now.
    pub fn wishes(&self) -> usize {
        self.outgoing.interests.len() + self.outgoing.publications.len() + self.news.len()
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
        self.topics.iter().any(|it| it.key == key && matches!(it.state, Following::InPlace(_)))
    }

    /// Takes the wish for a topic that the broker did not know of yet, if the connection still has it.
    fn forget_expected(&mut self, key: TopicKey) -> Option<u32> {
        let is_it = |it: &Subscription| it.key == key && matches!(it.state, Following::Expected { .. });
        let index = self.topics.iter().position(is_it)?;
        let Following::Expected { owed } = self.topics.swap_remove(index).state else { unreachable!("just matched") };
        Some(owed)
    }

    /// It stands at another place among the followers of a topic.
    fn moved(&mut self, key: TopicKey, place: u32) {
        let subscription = self.topics.iter_mut().find(|it| it.key == key);
        subscription.expect("a follower knows its topics").state = Following::InPlace(place);
    }
}
