//! How a connection comes to a shard and gets its seat.

use super::Shard;
use super::waiting::Waiting;
use crate::ear::{Allowance, Heartbeat, TICK};
use crate::engine::connection::{Connection, Socket};
use crate::engine::frame::{Content, Frame};
use crate::engine::mesh::Adoption;
use crate::engine::placement::Placement;
use crate::engine::protocol::Seat;
use crate::engine::subscriptions::Followers;
use crate::engine::topic::TopicKey;

impl<S: Socket> Shard<S> {
    /// Takes in a connection that belongs here. It gets its seat, and its client the answer, once the broker knows
    /// that its topic is followed.
    pub fn arrive(&mut self, arrival: Adoption<S>) {
        match &arrival.admission.placement {
            Placement::Keyed(topic) => {
                let topic = topic.clone();
                self.expect(&topic, Waiting::Arrival(Box::new(arrival)));
            }
            Placement::Anywhere => self.seat(arrival, None),
        }
    }

    /// Gives a connection its seat; the answer to its request is the first thing its client will read.
    pub(super) fn seat(&mut self, arrival: Adoption<S>, topic: Option<TopicKey>) {
        let Adoption { mut socket, peer, admission, response, unread, lifetime: _, permit: _ } = arrival;
        let heartbeat = Heartbeat::new(self.now, &self.limits.rhythm);
        let allowance = Allowance::new(self.now, self.limits.client_messages_per_second);
        let id = self.connections.insert_with_key(|id| {
            socket.take_seat(id);
            Connection::new(socket, admission.protocol, heartbeat, allowance)
        });
        if let Some(origin) = self.connections[id].protocol.origin() {
            self.publishers.insert(origin, id);
        }
        self.metrics.connections.add(1);
        self.timers.insert(heartbeat.due(&self.limits.rhythm), id);
        if let Some(ends) = self.drain_ends {
            self.departures.insert(ends.min(self.now.after(TICK)), id);
        }
        let preface = Frame::new(response, Content::Control);
        let offer = self.connections[id].outbound.send_preface(preface, &mut self.turn.workbench);
        self.turn.note(id, offer);
        if let Some(key) = topic {
            self.follow(id, key);
        }
        let followers = topic.map(|key| self.subscriptions.followers(key));
        let topic = followers.map(|followers| followers.topic().clone());
        let seat = Seat { topic: topic.as_ref(), followers: followers.map_or(0, Followers::following) };
        self.consult(id, |protocol, actions| protocol.opened(peer, &seat, actions));
        if !unread.is_empty() {
            self.received(id, &mut unread.to_vec());
        }
    }
}
