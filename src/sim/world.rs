//! Everything that exists in a simulation and everything that may happen in it.

use super::model::{Client, WELCOME};
use super::socket::{PretendOutlet, PretendSocket, Wire, WireState};
use crate::ear::{Ear, Rhythm, Tick};
use crate::engine::mesh::{Adoption, Control, Delivery, MeshNode};
use crate::engine::message::Message;
use crate::engine::placement::{Placement, Spread};
use crate::engine::protocol::{
    Actions, Admission, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat, SlowPolicy,
};
use crate::engine::shard::{Limits, Shard};
use crate::engine::topic::{Topic, TopicHasher};
use crate::mesh;
use crate::mesh::NodeId;
use crate::metrics::{Drop, NodeMetrics};
use crate::router::Router;
use crate::wire::close::CloseCode;
use crate::wire::frame;
use bytes::Bytes;
use fastrand::Rng;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const TOPICS: usize = 5;
/// Turns after which nothing is left in any lane: a schedule publishes fewer than 600 events, a turn takes at least one.
const ROUNDS_TO_REST: usize = 600;
const OUTBOUND_BYTES_MAX: usize = 2_000;
/// Followers of a topic on its owner above which further ones go elsewhere: most topics come to that.
const FOLLOWERS_ON_OWNER_MAX: usize = 2;

pub(super) struct World {
    seed: u64,
    random: Rng,
    shards: Vec<Place>,
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

/// One shard's thread.
struct Place {
    shard: Shard<PretendSocket>,
    spread: Spread,
    mesh: MeshNode,
    metrics: Arc<NodeMetrics>,
}

/// A protocol that listens and says nothing.
struct Listener {
    slow_policy: SlowPolicy,
    wants_news: bool,
}

impl Protocol for Listener {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }
    fn slow_policy(&self) -> SlowPolicy {
        self.slow_policy
    }
    fn opened(&mut self, _peer: SocketAddr, _seat: &Seat<'_>, _actions: &mut Actions) {}
    fn received(&mut self, _message: ClientMessage<'_>, _actions: &mut Actions) {}
    fn notice(&self, notice: &Notice) -> Option<Bytes> {
        let Notice::Missed(missed) = notice else { return None };
        self.wants_news.then(|| frame::text(&format!("!{missed}")))
    }
    fn closed(&self, _seat: &Seat<'_>, _code: CloseCode) {}
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let shards = random.usize(1..=4);
        let slow_policy = [SlowPolicy::Close, SlowPolicy::DropOldest, SlowPolicy::Latest][random.usize(..3)];
        let limits = Limits {
            outbound_bytes_max: OUTBOUND_BYTES_MAX,
            outbound_total_bytes_max: [usize::MAX, 2 * OUTBOUND_BYTES_MAX][random.usize(..2)],
            write_timeout: Duration::from_secs(10),
            event_lifetime: [None, Some(Duration::from_secs(5))][random.usize(..2)],
            client_message_bytes_max: 1_000,
            topics_per_connection_max: 3,
            client_messages_per_second: 0,
            rhythm: Rhythm { ping_interval: None, pong_timeout: Duration::from_secs(60) },
        };
        let hasher = TopicHasher::with_key((seed, 1));
        let mut nodes = mesh::build(shards);
        nodes.pop();
        let broker = nodes.pop().expect("the broker's node");
        let (router, _) =
            Router::new(broker, hasher, Arc::default(), Ear::new(Duration::ZERO).expect("descriptors are left"));
        let topics = (0..TOPICS).map(|topic| hasher.topic(Bytes::from(format!("topic-{topic}")))).collect();
        Self {
            seed,
            random,
            shards: nodes.into_iter().map(|node| Place::new(node, limits)).collect(),
            router,
            topics,
            published: vec![Vec::new(); TOPICS],
            clients: Vec::new(),
            flying: (0..shards).map(|_| VecDeque::new()).collect(),
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
        for _ in 0..ROUNDS_TO_REST {
            self.router.take_control();
            while !self.router.resend() {
                self.turn_all();
            }
            self.turn_all();
        }
    }

    pub(super) fn check(&self) {
        for (number, client) in self.clients.iter().enumerate() {
            client.check(&self.published[client.topic], self.may_miss, &format!("seed {}, client {number}", self.seed));
        }
        for (number, place) in self.shards.iter().enumerate() {
            place.check(&format!("seed {}, shard {number}", self.seed));
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

    fn turn_all(&mut self) {
        self.router.take_control();
        for shard in 0..self.shards.len() {
            self.turn(shard);
        }
    }

    fn turn(&mut self, shard: usize) {
        self.land(shard);
        let place = &mut self.shards[shard];
        for _ in 0..self.random.usize(1..20) {
            match place.mesh.receive_delivery() {
                Some(Delivery::Message(topic, message)) => place.shard.deliver(topic, &message),
                Some(Delivery::Listening(ticket)) => place.shard.listening(ticket),
                None => break,
            }
        }
        self.hear_wires(shard);
        self.shards[shard].end_turn();
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
                let place = &mut self.shards[shard];
                client.owner =
                    place.spread.home(here, place.shard.followers(&self.topics[client.topic]), shards).index();
            }
            if client.owner != shard {
                self.flying[client.owner].push_back(number);
                continue;
            }
            let listener = Listener { slow_policy: self.slow_policy, wants_news: client.wants_news };
            self.shards[shard].shard.arrive(Adoption {
                socket: PretendSocket(Rc::clone(&client.wire)),
                peer: ([127, 0, 0, 1], 1).into(),
                admission: Admission { protocol: Box::new(listener), placement },
                response: Bytes::from_static(WELCOME),
                unread: Bytes::new(),
                lifetime: None,
                permit: None,
            });
        }
    }

    fn hear_wires(&mut self, shard: usize) {
        let mut scratch = [0; 512];
        for client in &self.clients {
            let Some(id) = client.wire.borrow().seat else { continue };
            if client.owner != shard || client.wire.borrow().state == WireState::Dropped {
                continue;
            }
            let (has_bytes, has_room) = {
                let wire = client.wire.borrow();
                let is_readable = !wire.to_server.is_empty() || wire.state == WireState::Broken;
                (is_readable, wire.watches_room && wire.room != Some(0))
            };
            let shard = &mut self.shards[shard].shard;
            if has_room {
                shard.writable(id);
            }
            if has_bytes {
                shard.readable(id, &mut scratch);
            }
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

impl Place {
    fn new(mesh: MeshNode, limits: Limits) -> Self {
        let metrics = Arc::<NodeMetrics>::default();
        let shard = Shard::new(mesh.id(), limits, Arc::clone(&metrics), Tick::default());
        Self { shard, spread: Spread::above(FOLLOWERS_ON_OWNER_MAX), mesh, metrics }
    }

    fn end_turn(&mut self) {
        let broker = NodeId::broker(self.mesh.shards());
        for interest in self.shard.outgoing().interests.drain(..) {
            self.mesh.send(broker, Control::Interest(interest));
        }
        self.shard.end_turn(&mut PretendOutlet);
        assert_eq!(self.shard.balance(), 0, "offered is delivered, queued or dropped");
        assert_eq!(self.shard.late_bytes(), self.metrics.bytes_queued.get(), "what waits is counted as it is");
    }

    /// Counters must agree with what is there.
    fn check(&self, context: &str) {
        let closed: u64 = CloseCode::ALL.into_iter().map(|code| self.metrics.closed(code).get()).sum();
        assert_eq!(self.metrics.late.get(), 0, "{context}: somebody is late though all sockets take bytes");
        assert!(closed > 0 || self.metrics.dropped(Drop::SlowConsumer).get() == 0, "{context}: drops without a close");
    }
}
