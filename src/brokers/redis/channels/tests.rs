//! Channels against a Redis in memory: whatever happens in whatever order, who was told has what it was told.

use super::*;
use crate::engine::topic::TopicHasher;
use crate::mesh::NodeId;
use bytes::Bytes;
use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

const LINGER: Duration = Duration::from_secs(10);
const HASHER: TopicHasher = TopicHasher::with_key((3, 4));
/// More than an outbox has room for, at the length of these names.
const TOPICS: usize = 120;
const OUTBOX_BYTES_MAX: usize = 64 * 1024;

fn topic(number: usize) -> Topic {
    HASHER.topic(Bytes::from(format!("{number}:{}", "x".repeat(number * 37 % 500))))
}

fn number(name: &str) -> usize {
    name.split(':').next().and_then(|number| number.parse().ok()).expect("names begin with a number")
}

/// What Redis says.
enum Answer {
    Subscribed(usize),
    Unsubscribed,
    Pong,
}

/// A Redis that takes its time.
#[derive(Default)]
struct Redis {
    subscribed: BTreeSet<usize>,
    commands: VecDeque<Vec<String>>,
    answers: VecDeque<Answer>,
}

impl Redis {
    /// Takes everything the socket would.
    fn receive(&mut self, outbox: &Outbox) {
        let mut text = Vec::new();
        let taken = outbox.drain(|bytes| {
            text.extend_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        });
        taken.expect("it always takes all");
        let text = String::from_utf8(text).expect("names are text here");
        for word in text.split("\r\n").filter(|word| !word.starts_with('$') && !word.is_empty()) {
            if word.starts_with('*') {
                self.commands.push_back(Vec::new());
            } else {
                self.commands.back_mut().expect("words follow an array's head").push(word.to_owned());
            }
        }
    }

    fn obey(&mut self) {
        let Some(words) = self.commands.pop_front() else { return };
        let names = words[1..].iter().map(|name| number(name));
        match words[0].as_str() {
            "PING" => self.answers.push_back(Answer::Pong),
            "SUBSCRIBE" => names.for_each(|name| {
                assert!(self.subscribed.insert(name), "{name} is asked for twice");
                self.answers.push_back(Answer::Subscribed(name));
            }),
            "UNSUBSCRIBE" => names.for_each(|name| {
                assert!(self.subscribed.remove(&name), "{name} is left twice");
                self.answers.push_back(Answer::Unsubscribed);
            }),
            other => panic!("{other}"),
        }
    }

    /// Whether everything that is published from now on arrives.
    fn has_in_place(&self, name: usize) -> bool {
        let is_left = |words: &Vec<String>| words[0] == "UNSUBSCRIBE" && words[1..].iter().any(|it| number(it) == name);
        self.subscribed.contains(&name) && !self.commands.iter().any(is_left)
    }
}

struct World {
    random: Rng,
    channels: Channels,
    connection: Option<(Rc<Outbox>, Redis)>,
    followed: BTreeSet<usize>,
    waiting: BTreeMap<u64, usize>,
    tickets: u64,
    /// What was followed when the connection was made and still is.
    promised: BTreeSet<usize>,
    now: Instant,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            channels: Channels::new(LINGER),
            connection: None,
            followed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            promised: BTreeSet::new(),
            now: Instant::now(),
        }
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..30 => self.begin(),
            30..50 => self.end(),
            50..55 => self.connection.iter_mut().for_each(|(outbox, redis)| redis.receive(outbox)),
            55..70 => self.connection.iter_mut().for_each(|(_, redis)| redis.obey()),
            70..88 => self.hear(),
            88..98 => {
                let time = Duration::from_millis(self.random.u64(..4_000));
                self.time_passes(time);
            }
            _ if self.connection.is_none() => self.open(),
            98 => self.close(),
            _ => {}
        }
        let Channels { table, unasked, lingering, outbox, .. } = &self.channels;
        assert!(unasked.len() + lingering.len() <= table.len(), "nobody stands in line twice");
        assert!(outbox.as_ref().is_none_or(|outbox| outbox.is_calm()), "there is always room to read");
    }

    fn begin(&mut self) {
        let name = self.random.usize(..TOPICS);
        self.followed.insert(name);
        self.tickets += 1;
        self.waiting.insert(self.tickets, name);
        let waiter = (NodeId::shard(0), self.tickets);
        if let Some(waiter) = self.channels.begin(topic(name), Some(waiter)) {
            self.told(waiter);
        }
        self.channels.go_on();
    }

    fn end(&mut self) {
        let names: Vec<usize> = self.followed.iter().copied().collect();
        let Some(&name) = self.random.choice(&names) else { return };
        // Who still waits follows it too: a shard counts both.
        if !self.waiting.values().any(|&awaited| awaited == name) {
            self.followed.remove(&name);
            self.promised.remove(&name);
            self.channels.end(&topic(name), self.now);
        }
    }

    fn hear(&mut self) {
        let Some((_, redis)) = &mut self.connection else { return };
        match redis.answers.pop_front() {
            Some(Answer::Subscribed(name)) => {
                let waiters = self.channels.confirmed(&topic(name), self.now);
                for waiter in waiters {
                    self.told(waiter);
                }
            }
            Some(Answer::Pong) => {
                assert!(self.channels.is_opening() && self.channels.pong() && !self.channels.is_opening());
                let (_, redis) = self.connection.as_ref().expect("just seen");
                assert!(self.promised.iter().all(|&name| redis.has_in_place(name)), "ready before everything is");
            }
            Some(Answer::Unsubscribed) | None => {}
        }
        self.channels.go_on();
    }

    fn told(&mut self, (_, ticket): Waiter) {
        let name = self.waiting.remove(&ticket).expect("a ticket is answered once");
        if let Some((_, redis)) = &self.connection {
            assert!(redis.has_in_place(name), "{name} is not in place");
        }
    }

    fn time_passes(&mut self, time: Duration) {
        self.now += time;
        self.channels.leave(self.now);
        assert!(self.channels.until_leave(self.now) <= LINGER.max(LEAVE_PERIOD));
    }

    fn open(&mut self) {
        assert!(self.waiting.is_empty(), "nobody waits for a connection");
        let outbox = Rc::new(Outbox::new(OUTBOX_BYTES_MAX));
        self.channels.open(&outbox);
        self.promised.clone_from(&self.followed);
        self.connection = Some((outbox, Redis::default()));
    }

    fn close(&mut self) {
        self.connection = None;
        for waiter in self.channels.close() {
            self.told(waiter);
        }
        assert!(self.waiting.is_empty(), "the loss of the connection releases everybody");
    }

    fn settle(&mut self) {
        if self.connection.is_none() {
            self.open();
        }
        for time in [Duration::ZERO, LINGER] {
            self.time_passes(time);
            for _ in 0..50 * TOPICS {
                self.connection.iter_mut().for_each(|(outbox, redis)| {
                    redis.receive(outbox);
                    redis.obey();
                });
                self.hear();
                self.channels.leave(self.now);
            }
        }
    }
}

#[test]
fn who_is_told_has_its_channel_and_at_rest_only_what_is_followed_is_subscribed_to() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        for _ in 0..world.random.usize(100..3_000) {
            world.step();
        }
        world.settle();
        let (_, redis) = world.connection.as_ref().expect("just opened");
        assert_eq!(redis.subscribed, world.followed, "seed {seed}");
        assert!(world.waiting.is_empty(), "seed {seed}: {:?}", world.waiting);
        let Channels { table, unasked, lingering, .. } = &world.channels;
        assert_eq!((table.len(), unasked.len(), lingering.len()), (world.followed.len(), 0, 0), "seed {seed}");
    }
}

#[test]
fn what_is_followed_at_once_is_asked_for_in_few_commands_and_waits_for_room() {
    let mut channels = Channels::new(LINGER);
    for number in 0..10_000 {
        channels.begin(HASHER.topic(Bytes::from(format!("workflow:events:{number}"))), None);
    }
    let (outbox, mut redis) = (Rc::new(Outbox::new(OUTBOX_BYTES_MAX)), Redis::default());
    channels.open(&outbox);
    assert!(outbox.is_calm() && !channels.unasked.is_empty(), "{}", outbox.waiting_bytes());
    let mut commands = 0;
    while !outbox.is_empty() {
        redis.commands.clear();
        redis.receive(&outbox);
        commands += redis.commands.len();
        channels.go_on();
    }
    assert!(channels.unasked.is_empty() && commands < 60, "{commands}");
    assert_eq!(redis.commands.back().expect("the last one"), &["PING"], "its answer comes behind all others");
}

#[test]
fn of_too_many_that_linger_the_first_ones_are_left_at_once() {
    const TOO_MANY: usize = 5;
    let (mut channels, outbox, now) = (Channels::new(LINGER), Rc::new(Outbox::new(OUTBOX_BYTES_MAX)), Instant::now());
    let mut redis = Redis::default();
    channels.open(&outbox);
    for number in 0..LINGERING_MAX + TOO_MANY {
        let topic = HASHER.topic(Bytes::from(format!("{number}:")));
        channels.begin(topic.clone(), None);
        channels.go_on();
        redis.receive(&outbox);
        channels.confirmed(&topic, now);
        channels.end(&topic, now);
    }
    redis.commands.clear();
    assert!(channels.has_too_many_lingering());
    channels.leave(now);
    redis.receive(&outbox);
    assert_eq!(redis.commands, [["UNSUBSCRIBE", "0:", "1:", "2:", "3:", "4:"].map(str::to_owned).to_vec()]);
    assert!(!channels.has_too_many_lingering());
}

#[test]
fn a_topic_takes_as_little_memory_as_it_says() {
    assert_eq!((size_of::<Channel>(), size_of::<Topic>(), size_of::<(Due, Topic)>()), (88, 48, 72));
}
