//! Which connections of this shard follow which topic, grouped by the form in which they get its messages.

use super::connection::ConnectionId;
use super::protocol::Encoding;
use super::topic::{Topic, TopicKey};
use hashbrown::HashTable;
use slotmap::SlotMap;
use smallvec::SmallVec;

/// The index from topics to connections.
#[derive(Debug, Default)]
pub struct Subscriptions {
    index: HashTable<TopicKey>,
    topics: SlotMap<TopicKey, Followers>,
}

/// Everybody on this shard who follows one topic or is about to; never empty.
#[derive(Debug)]
pub struct Followers {
    topic: Topic,
    /// Those who wait until the broker knows of them. They count, but nothing is delivered to them yet.
    expected: u32,
    groups: SmallVec<[Group; 1]>,
    /// Whether the broker is yet to be told how many they are.
    pub is_news: bool,
}

/// The followers that share an encoding: it is made once for all of them.
#[derive(Debug)]
pub struct Group {
    /// How messages are sealed for this group.
    pub encoding: &'static Encoding,
    /// The connections, in no particular order.
    pub members: SmallVec<[ConnectionId; 2]>,
    /// Where the messages that this turn has brought for them are collected, once there are any.
    pub mark: Option<u32>,
}

impl Subscriptions {
    /// The key of a topic, if anybody follows it.
    pub fn find(&self, topic: &Topic) -> Option<TopicKey> {
        self.index.find(topic.hash(), |&key| self.topics[key].topic == *topic).copied()
    }

    /// The followers behind a key, unless they have left: all that a message looks up here.
    pub fn get_mut(&mut self, key: TopicKey) -> Option<&mut Followers> {
        self.topics.get_mut(key)
    }

    /// One of the groups of a topic that has followers.
    pub fn group(&mut self, key: TopicKey, index: usize) -> &mut Group {
        &mut self.topics[key].groups[index]
    }

    /// Topics that have followers.
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// The followers behind a key that [`Subscriptions::expect`] gave.
    pub fn followers(&self, key: TopicKey) -> &Followers {
        &self.topics[key]
    }

    /// Every topic that has followers, and those.
    pub fn all(&self) -> impl Iterator<Item = (TopicKey, &Followers)> {
        self.topics.iter()
    }

    /// How many follow a topic or are about to.
    pub fn count(&self, topic: &Topic) -> usize {
        self.find(topic).map_or(0, |key| self.topics[key].count())
    }

    /// Those who get what is delivered to a topic now.
    pub fn members(&self, topic: &Topic) -> impl Iterator<Item = ConnectionId> {
        let groups = self.find(topic).into_iter().flat_map(|key| &self.topics[key].groups);
        groups.flat_map(|group| &group.members).copied()
    }

    /// Counts one more who is about to follow a topic; [`Subscriptions::follow`] or [`Subscriptions::give_up`] comes next.
    pub fn expect(&mut self, topic: &Topic) -> TopicKey {
        let key = self.find(topic).unwrap_or_else(|| {
            let topics = &mut self.topics;
            let nobody = Followers { topic: topic.detached(), expected: 0, groups: SmallVec::new(), is_news: false };
            let key = topics.insert(nobody);
            self.index.insert_unique(topic.hash(), key, |&key| topics[key].topic.hash());
            key
        });
        self.topics[key].expected += 1;
        key
    }

    /// Makes one who was expected a follower and says its place, which it leaves by. It must not follow the topic yet.
    pub fn follow(&mut self, key: TopicKey, id: ConnectionId, encoding: &'static Encoding) -> u32 {
        let followers = &mut self.topics[key];
        followers.expected -= 1;
        followers.join(id, encoding)
    }

    /// One who was expected does not come; says how many are left.
    pub fn give_up(&mut self, key: TopicKey) -> usize {
        self.topics[key].expected -= 1;
        self.forget_if_empty(key)
    }

    /// Takes the follower at a place, which has this encoding, from a topic's. Says how many are left, and who stands at
    /// that place now instead; a topic without followers is forgotten.
    pub fn leave(&mut self, key: TopicKey, place: u32, encoding: &'static Encoding) -> (usize, Option<ConnectionId>) {
        let moved = self.topics[key].part(place as usize, encoding);
        (self.forget_if_empty(key), moved)
    }

    fn forget_if_empty(&mut self, key: TopicKey) -> usize {
        let left = self.topics[key].count();
        if left == 0 {
            let hash = self.topics[key].topic.hash();
            let entry = self.index.find_entry(hash, |&candidate| candidate == key);
            entry.expect("a topic with followers is in the index").remove();
            self.topics.remove(key);
        }
        left
    }
}

impl Followers {
    /// What they follow.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// What they follow, and they themselves by encoding.
    pub fn parts(&mut self) -> (&Topic, &mut [Group]) {
        (&self.topic, &mut self.groups)
    }

    /// How many they are, those who are about to follow included.
    pub fn count(&self) -> usize {
        self.expected as usize + self.following()
    }

    /// How many get what is delivered now.
    pub fn following(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }

    fn join(&mut self, id: ConnectionId, encoding: &'static Encoding) -> u32 {
        let place = self.groups.iter().position(|group| std::ptr::eq(group.encoding, encoding));
        let place = place.unwrap_or_else(|| {
            self.groups.push(Group { encoding, members: SmallVec::new(), mark: None });
            self.groups.len() - 1
        });
        let members = &mut self.groups[place].members;
        members.push(id);
        u32::try_from(members.len() - 1).expect("a process has fewer than 2^32 sockets")
    }

    fn part(&mut self, place: usize, encoding: &'static Encoding) -> Option<ConnectionId> {
        let index = self.groups.iter().position(|group| std::ptr::eq(group.encoding, encoding));
        let index = index.expect("a connection only leaves what it follows");
        let members = &mut self.groups[index].members;
        members.swap_remove(place);
        let moved = members.get(place).copied();
        if members.is_empty() {
            self.groups.swap_remove(index);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::RAW_TEXT;
    use crate::engine::topic::TopicHasher;
    use bytes::Bytes;
    use std::collections::{BTreeMap, BTreeSet};

    type Seat = (TopicKey, u32, &'static Encoding);

    static OTHER: Encoding = Encoding { name: "other", seal: RAW_TEXT.seal };

    #[test]
    fn the_index_agrees_with_a_plain_model_after_any_number_of_comings_and_goings() {
        let mut random = fastrand::Rng::with_seed(3);
        let hasher = TopicHasher::with_key((1, 2));
        let mut ids = SlotMap::<ConnectionId, ()>::with_key();
        let ids: Vec<ConnectionId> = (0..50).map(|_| ids.insert(())).collect();
        let mut subscriptions = Subscriptions::default();
        let mut model: BTreeMap<String, BTreeMap<ConnectionId, Seat>> = BTreeMap::new();
        for _ in 0..20_000 {
            let name = format!("topic-{}", random.u8(..20));
            let id = ids[random.usize(..ids.len())];
            let topic = hasher.topic(Bytes::from(name.clone()));
            let followers = model.entry(name.clone()).or_default();
            if let Some((key, place, encoding)) = followers.remove(&id) {
                let (left, moved) = subscriptions.leave(key, place, encoding);
                assert_eq!(left, followers.len());
                if let Some(moved) = moved {
                    followers.get_mut(&moved).expect("only who follows is moved").1 = place;
                }
            } else {
                let encoding = if random.bool() { &RAW_TEXT } else { &OTHER };
                let key = subscriptions.expect(&topic);
                let place = subscriptions.follow(key, id, encoding);
                followers.insert(id, (key, place, encoding));
            }
            model.retain(|_, followers| !followers.is_empty());
            let found: BTreeSet<ConnectionId> = subscriptions
                .find(&topic)
                .map(|key| {
                    subscriptions
                        .get_mut(key)
                        .expect("just found")
                        .parts()
                        .1
                        .iter()
                        .flat_map(|group| group.members.iter().copied())
                        .collect()
                })
                .unwrap_or_default();
            let expected = model.get(&name).map(|followers| followers.keys().copied().collect()).unwrap_or_default();
            assert_eq!(found, expected);
            assert_eq!(subscriptions.topics(), model.len());
        }
    }
}
