//! One core's loop: the turn.
//!
//! ```text
//! keep time ─► take messages ─► hear sockets ─► tell the broker ─► write to everybody who was touched
//!     ▲                                                                             │
//!     └──── listen: at once while there is anything to do, else sleep ◄── tasks run ┘
//! ```

use super::entrance::Entrance;
use super::inspector::Inspector;
use super::lease::{Due, Leases};
use super::listener::Listener;
use super::outlet::KernelOutlet;
use super::pace::Pace;
use super::socket::{Arrival, TcpSocket, Tenure};
use super::spread::Spread;
use super::strain::{Strain, sleeps_of_thread};
use super::token::Token;
use super::tuning::{Bounds, Tuning};
use crate::config::Secret;
use crate::control::{Control, MeshNode};
use crate::ear::{Doorbell, Ear, Interest, Ready, TICK, Tick, Watched, wall_clock_us};
use crate::engine::connection::ConnectionId;
use crate::engine::frame::held_bytes;
use crate::engine::mesh::{Adoption, Delivery};
use crate::engine::placement::Placement;
use crate::engine::protocol::{Notice, PublishError};
use crate::engine::publication::{Asker, Ticket};
use crate::engine::shard::{Limits, Shard};
use crate::http::{self, Audience, ExchangeKey, Front, Site, Step};
use crate::inspection::{Question, Reply};
use crate::mesh::{CONTROLS_PER_LANE, NodeId};
use crate::metrics::{NodeMetrics, microseconds};
use crate::wire::close::Close;
use slotmap::KeyData;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bounds of a turn: after so many messages, or as much as they would hold in a queue, sockets and timers get their
/// share. 256 KiB is a quarter of the default outbound queue, so no client's queue fills only because its shard had no
/// time to write.
const MESSAGES_PER_TURN_MAX: usize = 256;
const HELD_BYTES_PER_TURN_MAX: usize = 256 * 1024;

const CONTROLS_PER_TURN_MAX: usize = 256;

/// What requests and handshakes may take of a turn: a whole look's handshakes take half of it, but 32 clients that each
/// ask for a page would hold up events for as long as 32 pages take.
const HTTP_PER_TURN_MAX: Duration = Duration::from_millis(1);

/// New connections per turn. Emptying the backlog at once makes everybody who is connected wait for it.
const ACCEPTS_PER_TURN_MAX: usize = 8;

/// Bytes read from a socket at once, shared by all connections of the shard: one whole largest frame of most clients.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Beyond so many sockets with something to say, hearing them takes longer than a kernel call.
const READY_FEW_MAX: usize = 8;

/// Everything one core owns.
pub(super) struct Core {
    shard: Shard<TcpSocket>,
    leases: Leases,
    spread: Spread,
    front: Front,
    inspector: Inspector,
    mesh: MeshNode,
    doorbell: Watched<Arc<Doorbell>>,
    ear: Ear,
    outlet: KernelOutlet,
    /// That of clients, until the drain.
    entrance: Option<Entrance>,
    /// That of those who watch this server, where there is one on this shard; until the end.
    monitors: Option<Entrance>,
    ready: Vec<Ready>,
    scratch: Box<[u8]>,
    clock: Clock,
    strain: Strain,
    held_bytes_per_turn_max: usize,
    pace: Pace,
    /// When the first event of this turn was received, in microseconds since 1970.
    first_received_us: Option<u64>,
    metrics: Arc<NodeMetrics>,
    drain_ends: Option<Tick>,
}

/// Where connections come from.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) clients: Listener,
    /// One shard has it, if there is one.
    pub(super) monitors: Option<Listener>,
}

/// The shard's time in ticks.
#[derive(Clone, Copy, Debug)]
struct Clock {
    started: Instant,
    now: Tick,
}

impl Core {
    /// A core that listens, with no connections yet. Must be called on the thread it will stay on.
    pub(super) fn new(mesh: MeshNode, ear: Ear, doors: Doors, site: Site, bounds: Bounds) -> io::Result<Self> {
        let Bounds { limits, spread } = bounds;
        let doorbell = ear.watch(Arc::clone(mesh.doorbell()))?;
        let metrics = Arc::clone(&site.registry.shards[mesh.id().index()]);
        let clock = Clock { started: Instant::now(), now: Tick::default() };
        let entrance =
            |listener, audience| Entrance::new(listener, audience, ear.clone(), Arc::clone(&metrics), clock.now);
        let clients = entrance(doors.clients, Audience::Clients)?;
        let monitors = doors.monitors.map(|listener| entrance(listener, Audience::Monitors)).transpose()?;
        Ok(Self {
            shard: Shard::new(mesh.id(), limits, Arc::clone(&metrics), clock.now),
            leases: Leases::new(clock.now),
            spread,
            front: Front::new(site, clock.now),
            inspector: Inspector::default(),
            doorbell,
            mesh,
            ear,
            outlet: KernelOutlet::new(),
            entrance: Some(clients),
            monitors,
            ready: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            clock,
            strain: Strain::new(clock.started),
            held_bytes_per_turn_max: held_bytes_per_turn_max(&limits),
            pace: Pace::new(Arc::clone(&metrics), clock.now),
            first_received_us: None,
            metrics,
            drain_ends: None,
        })
    }

    /// Turns until the shard has drained.
    pub(super) async fn run(mut self) {
        while !self.is_drained() {
            let began = Instant::now();
            self.metrics.entrance.behind_us.set(microseconds(self.strain.turn(began, sleeps_of_thread)));
            let is_done = self.turn(began);
            self.pace.turn(began.elapsed());
            let has_run = self.ear.let_tasks_run().await;
            self.listen(is_done && !has_run);
        }
        self.tell_broker();
        self.mesh.send(self.broker(), Control::Drained);
        while !self.mesh.resend() {
            self.ear.let_tasks_run().await;
        }
    }

    /// Says whether nothing of it is left to do: what has come meanwhile will be heard.
    fn turn(&mut self, began: Instant) -> bool {
        self.keep_time(began);
        self.take_controls();
        self.take_deliveries();
        if self.ready.len() > READY_FEW_MAX {
            // What came for others does not wait for all of these.
            self.tell_broker();
            self.shard.end_turn(&mut self.outlet);
        }
        self.hear_sockets();
        self.tell_broker();
        self.shard.end_turn(&mut self.outlet);
        self.show_turn(began);
        // Whoever ended at the end of the turn is told too.
        self.tell_broker();
        self.mesh.resend()
    }

    /// Shows what the turn has done with what it brought: how long that took, and what became of it.
    fn show_turn(&mut self, began: Instant) {
        if let Some(received_us) = self.first_received_us.take() {
            self.pace.delivered(began.elapsed(), received_us, wall_clock_us());
        }
        if self.inspector.is_looking() {
            self.inspector.turn_ended(&mut self.shard, self.clock.now);
        }
    }

    /// Hears what is ready. With nothing left to do this is the shard's sleep, until the next tick at most.
    fn listen(&mut self, is_done: bool) {
        let may_sleep = is_done && self.doorbell.get().lie_down(|| self.mesh.has_mail());
        let patience = if may_sleep { self.clock.until_next_tick(Instant::now()) } else { Duration::ZERO };
        let heard = self.ear.listen(Some(patience), &mut self.ready).expect("the epoll set is valid");
        self.doorbell.get().get_up();
        if may_sleep {
            self.strain.heard(heard);
        }
    }

    fn take_controls(&mut self) {
        for _ in 0..CONTROLS_PER_TURN_MAX {
            let Some((from, control)) = self.mesh.receive() else { break };
            match control {
                Control::Adopt(adoption) => self.adopt(*adoption),
                Control::Published { ticket, outcome } => self.published(ticket.asker, outcome),
                Control::Notice(notice) => self.pass_on(&notice),
                Control::Ask(ticket, question) => self.tell(ticket, &question),
                Control::Answer(ticket, reply) => self.answered(&ticket.asker, from, *reply),
                Control::Retune(config) => self.retune(Tuning::of(&config)),
                Control::Drain(window) => self.drain(window),
                Control::Interest(_) | Control::Publish(_) | Control::Drained => {
                    unreachable!("only the broker is sent this")
                }
            }
        }
    }

    fn retune(&mut self, tuning: Tuning) {
        let Tuning { bounds, http, places, secret } = tuning;
        self.shard.set_limits(bounds.limits);
        self.spread = bounds.spread;
        self.held_bytes_per_turn_max = held_bytes_per_turn_max(&bounds.limits);
        self.front.site_mut().retune(http, places, secret.as_ref().map(Secret::expose));
    }

    fn published(&mut self, asker: Asker, outcome: Result<u64, PublishError>) {
        match (asker, outcome) {
            (Asker::Request(request), outcome) => {
                let key = ExchangeKey::from(KeyData::from_ffi(request));
                self.step(key, |front, now| front.published(key, outcome, now));
            }
            (Asker::Connection(id, topic), Err(error)) => self.shard.unpublished(id, &topic, error),
            (Asker::Connection(..), Ok(_)) => {}
        }
    }

    fn pass_on(&mut self, notice: &Notice) {
        self.inspector.hear(notice);
        self.shard.notify(notice);
    }

    fn tell(&mut self, ticket: Ticket, question: &Question) {
        let reply = self.inspector.answer(question, &mut self.shard, self.clock.now);
        self.mesh.send(ticket.node, Control::Answer(ticket, Box::new(reply)));
    }

    fn answered(&mut self, asker: &Asker, from: NodeId, reply: Reply) {
        let Asker::Request(request) = asker else { unreachable!("only requests ask") };
        let key = ExchangeKey::from(KeyData::from_ffi(*request));
        self.step(key, |front, now| front.answered(key, from, reply, now));
    }

    fn take_deliveries(&mut self) {
        let mut bytes = 0;
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let Some(delivery) = self.mesh.receive_delivery() else { break };
            match delivery {
                Delivery::Message(place, message) => {
                    bytes += held_bytes(message.payload().len());
                    self.first_received_us.get_or_insert(message.received_us);
                    if self.inspector.is_looking() {
                        self.inspector.delivered(place, &message, &self.shard);
                    }
                    self.shard.deliver(place, &message);
                }
                Delivery::Listening(ticket) => self.shard.listening(ticket),
            }
            if bytes >= self.held_bytes_per_turn_max {
                break;
            }
        }
    }

    fn hear_sockets(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        let (mut somebody_comes, mut somebody_looks, mut http_ends) = (false, false, None);
        for socket in ready.drain(..) {
            match Token::of_number(socket.token) {
                Token::Listener(Audience::Clients) => somebody_comes = true,
                Token::Listener(Audience::Monitors) => somebody_looks = true,
                Token::Exchange(key) => {
                    // Who is not heard is reported again.
                    if Instant::now() < *http_ends.get_or_insert_with(|| Instant::now() + HTTP_PER_TURN_MAX) {
                        self.hear_exchange(key, socket);
                    }
                }
                Token::Connection(id) => self.hear_connection(id, socket),
            }
        }
        self.ready = ready;
        // Who is here is heard first, and a turn has one ration, in however many backlogs clients wait.
        if somebody_looks {
            self.accept(Audience::Monitors);
        }
        if somebody_comes {
            self.accept(Audience::Clients);
        }
    }

    /// A client is heard only while the broker takes what clients want: until then it is the socket's to keep, and is
    /// reported again.
    fn hear_connection(&mut self, id: ConnectionId, socket: Ready) {
        if socket.is_writable {
            self.shard.writable(id);
        }
        if socket.is_readable && self.mesh.has_room(self.broker()) && self.shard.wishes() < CONTROLS_PER_LANE {
            self.shard.readable(id, &mut self.scratch);
        }
    }

    fn hear_exchange(&mut self, key: ExchangeKey, socket: Ready) {
        if socket.is_writable {
            return self.step(key, |front, now| front.writable(key, now));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        self.step(key, |front, now| front.readable(key, &mut scratch, now));
        self.scratch = scratch;
    }

    /// One step of an exchange, and what it asks for.
    fn step(&mut self, key: ExchangeKey, step: impl FnOnce(&mut Front, Tick) -> Step) {
        let before = self.front.interest(key);
        let step = step(&mut self.front, self.clock.now);
        self.carry_out(key, before, step);
    }

    fn accept(&mut self, audience: Audience) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let entrance = match audience {
                Audience::Clients => &mut self.entrance,
                Audience::Monitors => &mut self.monitors,
            };
            let Some(entrance) = entrance else { return };
            let Some((socket, peer)) = entrance.accept(self.clock.now) else { return };
            let key = self.front.accepted(socket, peer, audience, self.clock.now);
            let socket = self.front.socket(key);
            let added = self.ear.add(socket, Token::Exchange(key).number(), Interest::Reads);
            added.expect("a new socket fits into the epoll set");
        }
    }

    /// Does what an exchange asks for; `before` is what its socket was watched for until now.
    fn carry_out(&mut self, key: ExchangeKey, before: http::Interest, step: Step) {
        match step {
            Step::Stay | Step::AwaitWritable => self.watch_exchange(key, before),
            Step::Upgrade(adoption) => self.hand_over(*adoption),
            Step::Publish(publication) if self.mesh.has_room(self.broker()) => {
                self.watch_exchange(key, before);
                self.mesh.send(self.broker(), Control::Publish(publication));
            }
            Step::Ask(ticket, question) => {
                self.watch_exchange(key, before);
                // This shard is one of them, and gets its mail like the others.
                for node in 0..question.nodes(self.mesh.shards()) {
                    self.mesh.send(NodeId::shard(node), Control::Ask(ticket.clone(), question.clone()));
                }
            }
            Step::Publish(_) => {
                self.metrics.unpublished(PublishError::Overloaded).add(1);
                self.step(key, |front, now| front.published(key, Err(PublishError::Overloaded), now));
            }
            Step::Gone => {}
        }
    }

    fn watch_exchange(&mut self, key: ExchangeKey, before: http::Interest) {
        let interest = self.front.interest(key);
        if interest == before {
            return;
        }
        let interest = match interest {
            http::Interest::Readable => Interest::Reads,
            http::Interest::Writable => Interest::Writes,
            http::Interest::Nothing => Interest::Nothing,
        };
        let token = Token::Exchange(key).number();
        let changed = self.ear.change(self.front.socket(key), token, interest);
        changed.expect("the socket is in the epoll set");
    }

    /// Brings an upgraded connection to the shard that owns its topic: the descriptor moves, the bytes read so far too.
    fn hand_over(&mut self, adoption: Adoption) {
        self.ear.remove(&adoption.socket).expect("the socket is in the epoll set");
        let owner = adoption.admission.placement.owner(self.mesh.id(), self.mesh.shards());
        if owner == self.mesh.id() {
            self.adopt(adoption);
        } else {
            self.mesh.send(owner, Control::Adopt(Box::new(adoption)));
        }
    }

    /// Takes in a connection, or passes it on if this shard has enough of its kind.
    fn adopt(&mut self, adoption: Adoption) {
        let home = self.home(&adoption.admission.placement);
        if home != self.mesh.id() {
            return self.mesh.send(home, Control::Adopt(Box::new(adoption)));
        }
        let Adoption { socket, peer, response, unread, admission, lifetime, permit } = adoption;
        let lease = lifetime.map(|lifetime| self.leases.grant(lifetime, self.clock.now));
        let arrival = Arrival { address: peer, at: self.clock.now };
        let socket = TcpSocket::new(socket, self.ear.clone(), arrival, Tenure { lease, permit });
        self.shard.arrive(Adoption { socket, peer, response, unread, admission, lifetime, permit: None });
    }

    /// Where a connection is to live; what was passed on by its owner stays.
    fn home(&mut self, placement: &Placement) -> NodeId {
        let (here, shards) = (self.mesh.id(), self.mesh.shards());
        match placement {
            Placement::Keyed(topic) if placement.owner(here, shards) == here => {
                self.spread.home(here, self.shard.subscriptions().count(topic), shards)
            }
            Placement::Keyed(_) | Placement::Anywhere => here,
        }
    }

    fn keep_time(&mut self, began: Instant) {
        let now = Tick::at(began.duration_since(self.clock.started));
        if now == self.clock.now {
            return;
        }
        self.clock.now = now;
        self.shard.tick(now);
        self.keep_leases(now);
        self.front.tick(now);
        let mut pauses = false;
        for entrance in self.entrance.iter_mut().chain(&mut self.monitors) {
            pauses |= entrance.still_pauses();
        }
        if pauses {
            self.front.make_room(now);
        }
        self.pace.share(now);
    }

    fn keep_leases(&mut self, now: Tick) {
        for due in self.leases.fell_due(now) {
            match due {
                Due::Warning(id, in_ms) => self.shard.tell(id, &Notice::Expiring(in_ms)),
                Due::End(id) => self.shard.close(id, Close::EXPIRED.code, Close::EXPIRED.reason),
            }
        }
    }

    fn tell_broker(&mut self) {
        let broker = self.broker();
        let outgoing = self.shard.outgoing();
        for interest in outgoing.interests.drain(..) {
            self.mesh.send(broker, Control::Interest(interest));
        }
        for publication in outgoing.publications.drain(..) {
            self.mesh.send(broker, Control::Publish(publication));
        }
    }

    fn drain(&mut self, window: Duration) {
        self.hear_what_came_before();
        self.entrance = None;
        self.front.drain();
        self.shard.drain(window);
        self.drain_ends = Some(self.clock.now.after(window).after(2 * TICK));
    }

    /// Requests that are in the kernel when the drain begins are still answered.
    fn hear_what_came_before(&mut self) {
        let backlog = self.entrance.as_ref().map_or(0, Entrance::backlog);
        for _ in 0..backlog / ACCEPTS_PER_TURN_MAX {
            self.ear.listen(Some(Duration::ZERO), &mut self.ready).expect("the epoll set is valid");
            if self.ready.is_empty() {
                return;
            }
            self.hear_sockets();
            self.tell_broker();
            self.shard.end_turn(&mut self.outlet);
        }
    }

    fn is_drained(&self) -> bool {
        // Whoever asks is answered by every shard, who is being handed over arrives, who watches sees the whole drain.
        let is_empty = self.shard.is_empty() && self.front.is_empty() && !self.front.anybody_is_connected();
        self.drain_ends.is_some_and(|ends| is_empty || self.clock.now >= ends)
    }

    fn broker(&self) -> NodeId {
        NodeId::broker(self.mesh.shards())
    }
}

fn held_bytes_per_turn_max(limits: &Limits) -> usize {
    HELD_BYTES_PER_TURN_MAX.min(limits.outbound_bytes_max / 4)
}

impl Clock {
    fn until_next_tick(&self, now: Instant) -> Duration {
        let into_this_one = now.duration_since(self.started).as_nanos() % TICK.as_nanos();
        TICK.saturating_sub(Duration::from_nanos(u64::try_from(into_this_one).expect("less than a tick")))
    }
}
