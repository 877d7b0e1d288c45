//! Everything that exists in a simulation and everything that may happen in it.

use super::listener::Listener;
use super::model::Client;
use super::place::{self, Place};
use super::socket::{Wire, WireState};
use crate::ear::Tick;
use crate::engine::frame::held_bytes;
use crate::engine::message::Message;
use crate::engine::placement::Placement;
use crate::engine::protocol::SlowPolicy;
use crate::engine::shard::Limits;
use crate::engine::topic::{Topic, TopicHasher};
use crate::mesh::NodeId;
use crate::metrics::{Drop, NodeMetrics};
use crate::router::Router;
use crate::server::spread::Spread;
use crate::wire::close::CloseCode;
use bytes::Bytes;
use fastrand::Rng;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

const TOPICS: usize = 5;
const OUTBOUND_BYTES_MAX: usize = 20 * held_bytes(100);
/// Followers of a topic on its owner above which further ones go elsewhere: most topics come to that.
const FOLLOWERS_ON_OWNER_MAX: usize = 2;

pub(super) struct World {
    seed: u64,
    random: Rng,
    shards: Vec<Place>,
    /// Where the owner of a topic sends its followers, on each shard.
    spreads: Vec<Spread>,
    router: Router,
    topics: Vec<Topic>,
    published: Vec<Vec<String>>,
    clients: Vec<Client>,
    /// Connections between the shard that accepted them and their owner.
    flying: Vec<VecDeque<usize>>,
    elapsed: Duration,
    slow_policy: SlowPolicy,
    /// Whether there are other ends for events than their client's or their connection's.
    may_miss: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let shards = random.usize(1..=4);
        let slow_policy = [SlowPolicy::Close, SlowPolicy::DropOldest, SlowPolicy::Latest][random.usize(..3)];
        let limits = Limits {
            outbound_bytes_max: OUTBOUND_BYTES_MAX,
            outbound_total_bytes_max: [usize::MAX, 2 * OUTBOUND_BYTES_MAX][random.usize(..2)],
            event_lifetime: [None, Some(Duration::from_secs(5))][random.usize(..2)],
            ..place::limits()
        };
        let hasher = TopicHasher::with_key((seed, 1));
        let topics = (0..TOPICS).map(|topic| hasher.topic(Bytes::from(format!("topic-{topic}")))).collect();
        let spreads = vec![Spread::above(FOLLOWERS_ON_OWNER_MAX); shards];
        let (shards, router, _) = place::build(shards, hasher, limits);
        Self {
            seed,
            random,
            flying: shards.iter().map(|_| VecDeque::new()).collect(),
            shards,
            spreads,
            router,
            topics,
            published: vec![Vec::new(); TOPICS],
            clients: Vec::new(),
            elapsed: Duration::ZERO,
            slow_policy,
            may_miss: slow_policy != SlowPolicy::Close || limits.event_lifetime.is_some(),
        }
    }

    /// One thing happens.
    pub(super) fn step(&mut self) {
        match self.random.u8(..20) {
            0..2 => self.connect(),
            2..8 => self.publish(),
            8..14 => {
                let shard = self.random.usize(..self.shards.len());
                self.turn(shard);
            }
            14 => self.router.take_control(),
            15..17 => self.client_speaks(),
            17..19 => self.wire_changes(),
            _ => self.time_passes(),
        }
    }

    /// Lets everything come to rest: all sockets take bytes, all lanes are emptied.
    pub(super) fn settle(&mut self) {
        for client in &self.clients {
            client.wire.borrow_mut().room = None;
        }
        place::settle(|| {
            self.router.take_control();
            self.router.resend();
            (0..self.shards.len()).for_each(|shard| self.turn(shard));
            self.flying.iter().all(VecDeque::is_empty) && place::rest(&self.shards, &self.router)
        });
    }

    pub(super) fn check(&self) {
        for (number, client) in self.clients.iter().enumerate() {
            client.check(&self.published[client.topic], self.may_miss, &format!("seed {}, client {number}", self.seed));
        }
        for (number, place) in self.shards.iter().enumerate() {
            check_counters(&place.metrics, &format!("seed {}, shard {number}", self.seed));
        }
    }

    /// Frames that were dropped for this reason, on all shards.
    pub(super) fn dropped(&self, reason: Drop) -> u64 {
        self.shards.iter().map(|place| place.metrics.dropped(reason).get()).sum()
    }

    /// A client comes in through any shard; its owner may be another one.
    fn connect(&mut self) {
        let topic = self.random.usize(..TOPICS);
        let room = self.random_room();
        let wire = Rc::new(RefCell::new(Wire { room, ..Wire::default() }));
        let accepted_by = NodeId::shard(self.random.usize(..self.shards.len()));
        let placement = Placement::Keyed(self.topics[topic].clone());
        let owner = placement.owner(accepted_by, self.shards.len());
        self.flying[owner.index()].push_back(self.clients.len());
        let (owner, wants_news) = (owner.index(), self.random.bool());
        self.clients.push(Client { topic, wire, owner, connected_at: None, has_left: false, wants_news });
    }

    fn publish(&mut self) {
        // As a broker does: what the shards have said first comes first.
        self.router.take_control();
        let topic = self.random.usize(..TOPICS);
        for _ in 0..self.random.usize(1..4) {
            let padding = "x".repeat(self.random.usize(..200));
            let event = format!("{topic}:{}:{padding}", self.published[topic].len());
            let message = Message::copied(self.topics[topic].clone(), &event);
            self.published[topic].push(event);
            self.router.route(message);
        }
        self.router.resend();
    }

    /// One shard's turn, if it does not sleep.
    fn turn(&mut self, shard: usize) {
        if self.flying[shard].is_empty() && self.shards[shard].sleeps() {
            return;
        }
        self.land(shard);
        let place = &mut self.shards[shard];
        place.take_deliveries(self.random.usize(1..20));
        place.hear();
        place.end_turn();
        for client in &mut self.clients {
            client.note_welcome(self.published[client.topic].len());
        }
    }

    /// Connections in flight get their seat, or are passed on by a shard that has many of their kind.
    fn land(&mut self, shard: usize) {
        while let Some(number) = self.flying[shard].pop_front() {
            let client = &mut self.clients[number];
            let placement = Placement::Keyed(self.topics[client.topic].clone());
            let (here, shards) = (NodeId::shard(shard), self.shards.len());
            if placement.owner(here, shards) == here {
                let followers = self.shards[shard].shard.subscriptions().count(&self.topics[client.topic]);
                client.owner = self.spreads[shard].home(here, followers, shards).index();
            }
            if client.owner != shard {
                self.flying[client.owner].push_back(number);
                continue;
            }
            let listener = Listener { slow_policy: self.slow_policy, wants_news: client.wants_news };
            self.shards[shard].arrive(&client.wire, listener, placement);
        }
    }

    fn client_speaks(&mut self) {
        let Some(client) = self.random_client() else { return };
        let (bytes, is_end): (&[u8], bool) = match self.random.u8(..8) {
            0 => (b"\x88\x82\0\0\0\0\x03\xe8", true),
            1 => (b"\xff\xff", true),
            2 => (b"\x81\x03not masked", true),
            3..6 => (b"\x89\x80\0\0\0\0", false),
            _ => (b"\x81\x85\0\0\0\0hello", false),
        };
        let client = &mut self.clients[client];
        if client.has_left {
            return;
        }
        client.has_left = is_end;
        client.wire.borrow_mut().to_server.extend(bytes);
    }

    fn wire_changes(&mut self) {
        let Some(client) = self.random_client() else { return };
        let room = self.random_room();
        let breaks = self.random.u8(..20) == 0;
        let client = &mut self.clients[client];
        client.has_left |= breaks;
        let mut wire = client.wire.borrow_mut();
        if breaks {
            wire.state = wire.state.max(WireState::Broken);
        }
        wire.room = room;
    }

    fn time_passes(&mut self) {
        self.elapsed += Duration::from_millis(self.random.u64(..3_000));
        for place in &mut self.shards {
            place.shard.tick(Tick::at(self.elapsed));
            place.mesh.doorbell().get_up();
        }
    }

    fn random_client(&mut self) -> Option<usize> {
        (!self.clients.is_empty()).then(|| self.random.usize(..self.clients.len()))
    }

    fn random_room(&mut self) -> Option<usize> {
        match self.random.u8(..6) {
            0 => Some(0),
            1 => Some(1),
            2 => Some(self.random.usize(..700)),
            _ => None,
        }
    }
}

/// Counters must agree with what is there.
fn check_counters(metrics: &NodeMetrics, context: &str) {
    let closed: u64 = CloseCode::ALL.into_iter().map(|code| metrics.closed(code).get()).sum();
    assert_eq!(metrics.late.get(), 0, "{context}: somebody is late though all sockets take bytes");
    assert!(closed > 0 || metrics.dropped(Drop::SlowConsumer).get() == 0, "{context}: drops without a close");
}
