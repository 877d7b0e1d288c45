//! Steps of one shard: turns, their ends, and what idle clients cost.

use super::crowd::{Crowd, PING_INTERVAL};
use super::{CLIENTS, PAYLOAD_BYTES, Step, WARM_UP_TURNS};
use fanout::ear::{TICK, Tick};
use fanout::engine::message::Message;
use std::time::Duration;

/// A crowd that has had its first turns, and the messages of its next one.
fn warm(clients: usize, messages: usize) -> (Crowd, Vec<Message>) {
    let mut crowd = Crowd::new(clients, 1);
    let messages = crowd.events(0, messages, PAYLOAD_BYTES);
    for _ in 0..WARM_UP_TURNS {
        crowd.turn(&messages);
    }
    crowd.taken.calls.set(0);
    (crowd, messages)
}

/// A turn that brings one message: taken, offered to everybody who follows its topic, written.
pub(crate) struct Deliver {
    crowd: Crowd,
    messages: Vec<Message>,
}

impl Deliver {
    pub(crate) fn to(clients: usize) -> Self {
        let (crowd, messages) = warm(clients, 1);
        Self { crowd, messages }
    }
}

impl Step for Deliver {
    fn run(&mut self) {
        self.crowd.turn(&self.messages);
    }

    fn rest(&mut self) -> usize {
        self.crowd.taken.calls.take()
    }
}

/// The end of a turn that has brought messages: one write to each client, whatever the number of frames.
pub(crate) struct Flush {
    crowd: Crowd,
    messages: Vec<Message>,
}

impl Flush {
    pub(crate) fn of(frames: usize) -> Self {
        let (mut crowd, messages) = warm(CLIENTS, frames);
        crowd.deliver(&messages);
        Self { crowd, messages }
    }
}

impl Step for Flush {
    fn run(&mut self) {
        self.crowd.end_turn();
    }

    fn rest(&mut self) -> usize {
        self.crowd.deliver(&self.messages);
        self.crowd.taken.calls.take()
    }
}

/// A ping interval in which nothing happens: every tick of it, and a ping to each client.
pub(crate) struct KeepAlive {
    crowd: Crowd,
    clients: usize,
}

impl KeepAlive {
    pub(crate) fn of(clients: usize) -> Self {
        let (crowd, _) = warm(clients, 1);
        Self { crowd, clients }
    }
}

impl Step for KeepAlive {
    fn run(&mut self) {
        let mut passed = Duration::ZERO;
        while passed < PING_INTERVAL {
            passed += TICK;
            self.crowd.shard.tick(Tick::at(passed));
            self.crowd.end_turn();
        }
    }

    fn rest(&mut self) -> usize {
        let pinged = self.crowd.taken.calls.take();
        // These have not answered; the next run is for others.
        *self = Self::of(self.clients);
        pinged
    }
}
