//! A Redis that stalls, dies and comes back, on the real subscriber's connection: patterns or channel by channel.
//!
//! - What arrived whole reaches everybody who follows it, once and in order; what was lost with a connection, nobody.
//! - Whoever asked hears of each gap exactly once, however often connections break.
//! - Ready means that nothing is missed: whatever is followed by somebody who was told so is subscribed to.

use super::listener::Listener;
use super::model::Client;
use super::place::{self, Place};
use super::redis::PretendRedis;
use super::seeds;
use super::socket::{Wire, WireState};
use crate::brokers::outbox::Outbox;
use crate::brokers::receive_buffer::ReceiveBuffer;
use crate::brokers::redis::{Redis, Subscriber, Subscribing};
use crate::config::RedisAddress;
use crate::engine::placement::Placement;
use crate::engine::protocol::SlowPolicy;
use crate::engine::topic::{Topic, TopicHasher};
use crate::metrics::BrokerStatus;
use crate::router::Router;
use bytes::Bytes;
use fastrand::Rng;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const HASHER: TopicHasher = TopicHasher::with_key((7, 8));
const TOPICS: usize = 4;
const CLIENTS_MAX: usize = 20;
const STEPS: usize = 600;
const EVENT_BYTES_MAX: usize = 1_000;
const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// So small that events are cut, and that it is made anew.
const CHUNK_BYTES: usize = 256;

/// One instance and its Redis.
struct Service {
    random: Rng,
    places: Vec<Place>,
    router: Rc<Router>,
    subscriber: Subscriber,
    status: Arc<BrokerStatus>,
    buffer: ReceiveBuffer,
    /// The connection, if there is one.
    redis: Option<PretendRedis>,
    /// So many steps long nobody answers.
    stalled: usize,
    topics: Vec<Topic>,
    /// What was published so far, of each topic.
    counts: Vec<usize>,
    /// What of it has arrived here.
    arrived: Vec<Vec<String>>,
    clients: Vec<Client>,
    /// How often each client's shard had said, when the client got its seat, that Redis is back.
    told: Vec<Option<u64>>,
}

impl Service {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let (places, router, _) = place::build(random.usize(1..=3), HASHER, place::limits());
        let router = Rc::new(router);
        let subscribing = if random.bool() {
            Subscribing::Patterns(vec!["even:*".to_owned(), "odd:*".to_owned()])
        } else {
            Subscribing::Channels { linger: Duration::ZERO }
        };
        let status = Arc::new(BrokerStatus::new("pretend"));
        let address = RedisAddress::parse_url("redis://nowhere").expect("a sound address");
        let (_, subscriber) = Redis::new(address, subscribing, EVENT_BYTES_MAX, Arc::clone(&status)).split(&router);
        let name = |topic| format!("{}:{topic}", if topic % 2 == 0 { "even" } else { "odd" });
        Self {
            random,
            places,
            router,
            subscriber,
            status,
            buffer: ReceiveBuffer::new(CHUNK_BYTES),
            redis: None,
            stalled: 0,
            topics: (0..TOPICS).map(|topic| HASHER.topic(Bytes::from(name(topic)))).collect(),
            counts: vec![0; TOPICS],
            arrived: vec![Vec::new(); TOPICS],
            clients: Vec::new(),
            told: Vec::new(),
        }
    }

    fn step(&mut self) {
        self.stalled = self.stalled.saturating_sub(1);
        match self.random.u8(..40) {
            0..2 => self.somebody_comes(),
            2 => self.somebody_leaves(),
            3..5 => self.wire_changes(),
            5..13 => self.publish(),
            13..17 => self.redis_obeys(),
            17..23 => self.bytes_arrive(),
            23..33 => {
                let shard = self.random.usize(..self.places.len());
                self.turn(shard);
            }
            33..35 => self.router.take_control(),
            35..37 => self.subscriber.leave(),
            37 if self.random.u8(..4) == 0 => self.stalled = self.random.usize(..60),
            38 if self.random.u8(..6) == 0 => self.redis_dies(),
            _ => self.connection_changes(),
        }
        self.check_ready();
    }

    fn somebody_comes(&mut self) {
        if self.clients.len() == CLIENTS_MAX {
            return;
        }
        let (topic, wants_news) = (self.random.usize(..TOPICS), self.random.bool());
        let (wire, owner) = (Rc::new(RefCell::new(Wire::default())), self.random.usize(..self.places.len()));
        let listener = Listener { slow_policy: SlowPolicy::Close, wants_news };
        self.places[owner].arrive(&wire, listener, Placement::Keyed(self.topics[topic].clone()));
        self.clients.push(Client { topic, wire, owner, connected_at: None, has_left: false, wants_news });
        self.told.push(None);
    }

    fn somebody_leaves(&mut self) {
        if let Some(client) = self.random.choice(&mut self.clients) {
            client.has_left = true;
            let mut wire = client.wire.borrow_mut();
            wire.state = wire.state.max(WireState::Broken);
        }
    }

    fn wire_changes(&mut self) {
        let room = [None, None, Some(0), Some(1), Some(50)][self.random.usize(..5)];
        if let Some(client) = self.random.choice(&mut self.clients) {
            client.wire.borrow_mut().room = room;
        }
    }

    fn publish(&mut self) {
        let topic = self.random.usize(..TOPICS);
        let padding = "x".repeat(self.random.usize(..60));
        let event = format!("{topic}:{}:{padding}", self.counts[topic]);
        let Some(redis) = self.redis.as_mut().filter(|redis| !redis.is_dead && self.stalled == 0) else { return };
        self.counts[topic] += 1;
        redis.publish(self.topics[topic].name(), topic, &event);
    }

    fn redis_obeys(&mut self) {
        if let Some(redis) = self.redis.as_mut().filter(|redis| !redis.is_dead && self.stalled == 0) {
            redis.obey();
        }
    }

    fn bytes_arrive(&mut self) {
        let most = self.random.usize(1..600);
        let Some(redis) = &mut self.redis else { return };
        let events = redis.arrive(most, &mut self.buffer);
        self.subscriber.take_batch(&mut self.buffer).expect("it speaks RESP");
        for (topic, event) in events {
            self.arrived[topic].push(event);
        }
        self.router.resend();
    }

    fn redis_dies(&mut self) {
        if let Some(redis) = self.redis.as_mut().filter(|redis| !redis.is_dead) {
            redis.die(self.random.usize(..=redis.underway_bytes()));
        }
    }

    /// A dead connection is noticed, or a new one is made.
    fn connection_changes(&mut self) {
        match &self.redis {
            Some(redis) if redis.is_dead => {
                self.redis = None;
                self.buffer = ReceiveBuffer::new(CHUNK_BYTES);
                self.subscriber.close();
                self.router.resend();
            }
            Some(_) => {}
            None => {
                let outbox = Rc::new(Outbox::new(COMMAND_BYTES_MAX));
                self.subscriber.open(&outbox);
                self.redis = Some(PretendRedis::new(outbox));
            }
        }
    }

    /// One shard's turn, if it does not sleep. News and messages come down two lanes, in no order.
    fn turn(&mut self, shard: usize) {
        let place = &mut self.places[shard];
        if place.sleeps() {
            return;
        }
        let has_news_first = self.random.bool();
        if has_news_first {
            place.take_controls();
        }
        place.take_deliveries(self.random.usize(1..10));
        for (client, told) in self.clients.iter().zip(&mut self.told) {
            if client.owner == shard && client.wire.borrow().seat.is_some() {
                told.get_or_insert(place.notices);
            }
        }
        if !has_news_first {
            place.take_controls();
        }
        place.hear();
        place.end_turn();
        for client in &mut self.clients {
            client.note_welcome(self.arrived[client.topic].len());
        }
    }

    /// Whoever was told that he is connected misses nothing while the server says that it is ready.
    fn check_ready(&self) {
        let Some(redis) = self.redis.as_ref().filter(|redis| !redis.is_dead && self.status.is_subscribed()) else {
            return;
        };
        for client in self.clients.iter().filter(|client| client.is_there() && client.connected_at.is_some()) {
            let name = self.topics[client.topic].name();
            assert!(redis.sends(name), "ready, and {} is not subscribed to", name.escape_ascii());
        }
    }

    /// Redis comes back and stays, and everything that is under way arrives.
    fn settle(&mut self) {
        self.stalled = 0;
        for client in &self.clients {
            client.wire.borrow_mut().room = None;
        }
        place::settle(|| {
            if self.redis.as_ref().is_none_or(|redis| redis.is_dead) {
                self.connection_changes();
            }
            self.redis_obeys();
            self.bytes_arrive();
            self.router.take_control();
            self.router.resend();
            (0..self.places.len()).for_each(|shard| self.turn(shard));
            self.redis.as_ref().is_some_and(PretendRedis::rests) && place::rest(&self.places, &self.router)
        });
    }

    fn check(&self, seed: u64) {
        assert!(self.status.is_subscribed(), "seed {seed}: Redis is back, and nobody is ready");
        let outages = self.status.epoch.get();
        for (number, (client, told)) in self.clients.iter().zip(&self.told).enumerate() {
            let context = format!("seed {seed}, client {number}");
            client.check(&self.arrived[client.topic], false, &context);
            let heard = client.hear().outages;
            let due = told.filter(|_| client.wants_news).map_or(0, |told| outages - told);
            let is_right = if client.is_there() { heard == due } else { heard <= due };
            assert!(is_right, "{context}: it was told of {heard} outages, and there were {due}");
        }
    }
}

impl Client {
    /// Whether the conversation goes on.
    fn is_there(&self) -> bool {
        !self.has_left && self.wire.borrow().state == WireState::Whole
    }
}

#[test]
fn however_redis_dies_nothing_is_doubled_every_gap_is_told_once_and_ready_means_that_nothing_is_missed() {
    let (mut outages, mut events, mut lost) = (0, 0, 0);
    let are_many = seeds::play("outages", |seed| {
        let mut service = Service::new(seed);
        for _ in 0..STEPS {
            service.step();
        }
        service.settle();
        service.check(seed);
        let arrived: usize = service.arrived.iter().map(Vec::len).sum();
        outages += service.status.reconnects();
        events += arrived;
        lost += service.counts.iter().sum::<usize>() - arrived;
    });
    let is_enough = outages > 400 && events > 10_000 && lost > 1_000;
    assert!(is_enough || !are_many, "the schedules bring about what they are for: {outages}, {events}, {lost}");
}
