//! How a connection comes to a shard and gets its seat.

use super::Shard;
use super::waiting::Waiting;
use crate::engine::connection::{Allowance, Connection, Socket};
use crate::engine::frame::Frame;
use crate::engine::heartbeat::Heartbeat;
use crate::engine::placement::Placement;
use crate::engine::protocol::{Admission, Seat};
use crate::engine::subscriptions::Followers;
use crate::engine::timers::TICK;
use crate::engine::topic::TopicKey;
use bytes::Bytes;
use std::mem;
use std::net::SocketAddr;

/// A connection that has been handed to its shard.
pub struct Arrival<S> {
    /// The stream behind the request head.
    pub socket: S,
    /// The other end.
    pub peer: SocketAddr,
    /// Its conversation and place.
    pub admission: Admission,
    /// The answer to the upgrade request.
    pub response: Bytes,
    /// What the client sent behind its request.
    pub unread: Bytes,
}

impl<S: Socket> Shard<S> {
    /// Takes in a connection that belongs here. It gets its seat, and its client the answer, once the broker knows
    /// that its topic is followed.
    pub fn arrive(&mut self, arrival: Arrival<S>) {
        match &arrival.admission.placement {
            Placement::Keyed(topic) => {
                let topic = topic.clone();
                self.expect(&topic, Waiting::Arrival(Box::new(arrival)));
            }
            Placement::Anywhere => self.seat(arrival, None),
        }
    }

    /// Gives a connection its seat; the answer to its request is the first thing its client will read.
    pub(super) fn seat(&mut self, arrival: Arrival<S>, topic: Option<TopicKey>) {
        let Arrival { mut socket, peer, admission, response, unread } = arrival;
        let heartbeat = Heartbeat::new(self.now, &self.limits.rhythm);
        let allowance = Allowance::new(self.now, self.limits.client_messages_per_second);
        let id = self.connections.insert_with_key(|id| {
            socket.take_seat(id);
            Connection::new(socket, admission.protocol, heartbeat, allowance)
        });
        self.metrics.connections.add(1);
        self.timers.insert(heartbeat.due(&self.limits.rhythm), id);
        if let Some(ends) = self.drain_ends {
            self.timers.insert(ends.min(self.now.after(TICK)), id);
        }
        let offer = self.connections[id].outbound.send_preface(Frame::new(response), &mut self.workbench);
        self.note(id, offer);
        if let Some(topic) = topic {
            self.follow(id, topic);
        }
        let followers = topic.map(|key| self.subscriptions.followers(key));
        let seat =
            Seat { topic: followers.map(Followers::topic), followers: followers.map_or(0, Followers::following) };
        let mut actions = mem::take(&mut self.actions);
        self.connections[id].protocol.opened(peer, &seat, &mut actions);
        self.carry_out(id, actions);
        if !unread.is_empty() {
            self.received(id, &mut unread.to_vec());
        }
    }
}
