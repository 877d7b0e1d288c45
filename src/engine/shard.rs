//! One core's share of the world: its connections, what they follow, and what waits to be sent to them.
//!
//! A turn is: take messages ([`Shard::deliver`]), hear sockets ([`Shard::readable`], [`Shard::writable`]), keep time
//! ([`Shard::tick`]), and at its end judge who is late and write to everybody who was touched ([`Shard::end_turn`]).
//! Between taking a message and the end of the turn nothing waits, locks or reads a clock.
//!
//! Invariants:
//! - a connection that is `Open` follows its topics; from `Closing` on it follows nothing and gets nothing new;
//! - a connection with unsent frames is in `touched`, or its socket is watched for room;
//! - whoever is in `subscriptions` is in `connections`.

use super::close::{Close, CloseCode};
use super::connection::{Allowance, Connection, ConnectionId, Phase, Socket, Watch};
use super::frame::Frame;
use super::heartbeat::{Beat, Heartbeat, Rhythm};
use super::mesh::{Interest, Publication};
use super::message::Message;
use super::outbound::{Offer, Workbench};
use super::placement::Placement;
use super::protocol::{Action, Actions, Admission, ClientMessage, Notice, Pace, Seat};
use super::subscriptions::{Followers, Subscriptions, TopicKey};
use super::timers::{TICK, Tick, Wheel};
use super::topic::Topic;
use crate::metrics::{Drop, NodeMetrics};
use crate::wire::frame;
use crate::wire::ws::{Event, Input};
use bytes::Bytes;
use slotmap::{Key, KeyData, SlotMap};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a client gets to end its side after a close: as long as a slow mobile round trip, shorter than a drain.
const LINGER: Duration = Duration::from_secs(2);

/// Closes per second of a drain: fast enough for 20 000 clients in a few seconds, slow enough that the instances they
/// go to are not hit by all of them at once.
const DRAIN_CLOSES_PER_SECOND: usize = 8_000;

/// What bounds a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that may wait for one client.
    pub outbound_bytes_max: usize,
    /// Longest message of a client, in bytes, whole or in fragments.
    pub client_message_bytes_max: usize,
    /// Messages a client may send per second; 0 is without limit.
    pub client_messages_per_second: u32,
    /// Pings and silences.
    pub rhythm: Rhythm,
}

/// A shard's connections and everything that happens to them, without I/O of its own and without a clock.
pub struct Shard<S> {
    connections: SlotMap<ConnectionId, Connection<S>>,
    subscriptions: Subscriptions,
    waiting: SlotMap<Ticket, (TopicKey, Waiting<S>)>,
    /// Connections to be flushed at the end of the turn.
    touched: Vec<ConnectionId>,
    /// Connections whose queue was full for a frame of this turn.
    full: Vec<ConnectionId>,
    workbench: Workbench,
    timers: Wheel<ConnectionId>,
    expired: Vec<ConnectionId>,
    now: Tick,
    actions: Actions,
    outgoing: Outgoing,
    drain_ends: Option<Tick>,
    limits: Limits,
    metrics: Arc<NodeMetrics>,
}

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

slotmap::new_key_type! {
    /// Names something that waits until the broker knows of an interest.
    struct Ticket;
}

/// What happens once the broker knows of an interest.
enum Waiting<S> {
    /// The connection gets its seat.
    Arrival(Box<Arrival<S>>),
    /// The connection follows one more topic.
    Subscription(ConnectionId),
}

/// What the shard wants told to the broker; the turn passes it on before anything is flushed.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Topics and how many connections follow them now.
    pub interests: Vec<Interest>,
    /// Events from clients.
    pub publications: Vec<Publication>,
}

impl<S: Socket> Shard<S> {
    /// A shard without connections.
    pub fn new(limits: Limits, metrics: Arc<NodeMetrics>, now: Tick) -> Self {
        Self {
            connections: SlotMap::with_key(),
            subscriptions: Subscriptions::default(),
            waiting: SlotMap::with_key(),
            touched: Vec::new(),
            full: Vec::new(),
            workbench: Workbench::default(),
            timers: Wheel::new(now),
            expired: Vec::new(),
            now,
            actions: Vec::new(),
            outgoing: Outgoing::default(),
            drain_ends: None,
            limits,
            metrics,
        }
    }

    /// Whether nobody is here: no connection, not even one that is closing or has yet to get its seat.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.waiting.is_empty()
    }

    /// What is to be told to the broker before [`Shard::end_turn`].
    pub fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

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

    /// The broker knows of the interest with this ticket.
    pub fn listening(&mut self, ticket: u64) {
        let Some((topic, waiting)) = self.waiting.remove(KeyData::from_ffi(ticket).into()) else { return };
        match waiting {
            Waiting::Arrival(arrival) => self.seat(*arrival, Some(topic)),
            Waiting::Subscription(id) => self.subscribed(id, topic),
        }
    }

    /// Offers a message to everybody on this shard who follows its topic.
    pub fn deliver(&mut self, message: &Message) {
        self.metrics.messages_in.add(1);
        let Some(followers) = self.subscriptions.find(&message.topic) else { return };
        tracing::debug!(topic = %message.topic.display(), clients = followers.following(), "broadcast");
        for group in followers.groups() {
            let frame = Frame::new((group.encoding.seal)(message));
            self.metrics.encodes.add(1);
            for &id in &group.members {
                let outbound = &mut self.connections[id].outbound;
                match outbound.offer(&frame, self.limits.outbound_bytes_max, &mut self.workbench) {
                    Offer::First => self.touched.push(id),
                    Offer::Queued => {}
                    Offer::Full => self.full.push(id),
                }
            }
        }
    }

    /// Tells the server's own news to the clients whose protocol passes it on.
    pub fn notify(&mut self, notice: &Notice) {
        for (id, connection) in self.connections.iter_mut().filter(|(_, connection)| connection.phase == Phase::Open) {
            let Some(news) = connection.protocol.notice(notice) else { continue };
            let frame = Frame::new(news);
            match connection.outbound.offer(&frame, self.limits.outbound_bytes_max, &mut self.workbench) {
                Offer::First => self.touched.push(id),
                Offer::Queued => {}
                Offer::Full => self.full.push(id),
            }
        }
    }

    /// The socket has bytes, or its end: reads once, into the shard's scratch buffer.
    pub fn readable(&mut self, id: ConnectionId, scratch: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.socket.read(scratch) {
            Ok(0) => self.hung_up(id),
            Ok(bytes) => self.received(id, &mut scratch[..bytes]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.hung_up(id),
        }
    }

    /// Bytes from the client: frames, whole or not.
    pub fn received(&mut self, id: ConnectionId, bytes: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.heartbeat.heard(self.now);
        let mut decoder = mem::take(&mut connection.decoder);
        let mut input = Input::new(bytes);
        while self.connections.get(id).is_some_and(|connection| connection.phase == Phase::Open) {
            match decoder.next(&mut input, self.limits.client_message_bytes_max) {
                Ok(Some(event)) => self.handle(id, event),
                Ok(None) => break,
                Err(violation) => self.close(id, CloseCode::of_number(violation.close_code()), violation.reason()),
            }
        }
        if let Some(connection) = self.connections.get_mut(id) {
            connection.decoder = decoder;
        }
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self, id: ConnectionId) {
        self.flush(id);
    }

    /// Judges those whose queue was full, then writes to everybody who was touched: one kernel call each.
    pub fn end_turn(&mut self) {
        while let Some(id) = self.full.pop() {
            self.metrics.dropped(Drop::SlowConsumer).add(1);
            self.close_at_once(id, Close::SLOW);
        }
        let mut touched = mem::take(&mut self.touched);
        for id in touched.drain(..) {
            self.flush(id);
        }
        self.touched = touched;
        self.workbench.clear();
    }

    /// Time has come to `now`: pings, silences, lingering closes and drains fall due.
    pub fn tick(&mut self, now: Tick) {
        self.now = now;
        let mut expired = mem::take(&mut self.expired);
        self.timers.advance(now, &mut expired);
        for id in expired.drain(..) {
            self.fell_due(id);
        }
        self.expired = expired;
    }

    /// Begins to close every connection with 1012, spread over at most `window`; what is left then is dropped.
    pub fn drain(&mut self, window: Duration) {
        let seconds_needed = self.connections.len() as f64 / DRAIN_CLOSES_PER_SECOND as f64;
        let spread = Duration::from_secs_f64(seconds_needed).min(window / 2);
        let reconnect_after_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        self.notify(&Notice::Draining { reconnect_after_ms });
        self.drain_ends = Some(self.now.after(window));
        for id in self.connections.keys() {
            self.timers.insert(self.now.after(spread.mul_f64(fastrand::f64())), id);
            self.timers.insert(self.now.after(window), id);
        }
    }

    fn handle(&mut self, id: ConnectionId, event: Event<'_>) {
        if let Event::Close(close) = event {
            return self.answer_close(id, close.map(|close| close.code));
        }
        if !self.may_send(id) {
            return self.close(id, CloseCode::Policy, Close::TOO_FAST.reason);
        }
        match event {
            Event::Text(text) => self.hear(id, ClientMessage::Text(text)),
            Event::Binary(bytes) => self.hear(id, ClientMessage::Binary(bytes)),
            Event::Ping(payload) => {
                let offer = self.connections[id].outbound.send_urgently(Frame::new(frame::pong(payload)), &mut self.workbench);
                self.note(id, offer);
            }
            Event::Pong(_) | Event::Close(_) => {}
        }
    }

    fn hear(&mut self, id: ConnectionId, message: ClientMessage<'_>) {
        self.metrics.client_messages.add(1);
        let mut actions = mem::take(&mut self.actions);
        self.connections[id].protocol.received(message, &mut actions);
        self.carry_out(id, actions);
    }

    fn may_send(&mut self, id: ConnectionId) -> bool {
        let rate = self.limits.client_messages_per_second;
        let connection = &mut self.connections[id];
        rate == 0 || connection.protocol.pace() == Pace::Free || connection.allowance.spend(self.now, rate)
    }

    fn carry_out(&mut self, id: ConnectionId, mut actions: Actions) {
        for action in actions.drain(..) {
            match action {
                Action::Subscribe(topic) => self.expect(&topic, Waiting::Subscription(id)),
                Action::Unsubscribe(topic) => self.unsubscribe(id, &topic),
                Action::Send(sealed) => self.send(id, sealed),
                Action::Publish { topic, payload } => {
                    self.outgoing.publications.push(Publication { topic, payload, ticket: None });
                }
                Action::Close(close) => self.close(id, close.code, close.reason),
            }
        }
        self.actions = actions;
    }

    fn send(&mut self, id: ConnectionId, sealed: Bytes) {
        let frame = Frame::new(sealed);
        let outbound = &mut self.connections[id].outbound;
        let offer = outbound.offer(&frame, self.limits.outbound_bytes_max, &mut self.workbench);
        self.note(id, offer);
    }

    fn send_last(&mut self, id: ConnectionId, last: Frame) {
        let offer = self.connections[id].outbound.send_last(last, &mut self.workbench);
        self.note(id, offer);
    }

    fn note(&mut self, id: ConnectionId, offer: Offer) {
        match offer {
            Offer::First => self.touched.push(id),
            Offer::Queued => {}
            Offer::Full => self.full.push(id),
        }
    }

    /// Gives a connection its seat; the answer to its request is the first thing its client will read.
    fn seat(&mut self, arrival: Arrival<S>, topic: Option<TopicKey>) {
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
        let seat = Seat { topic: followers.map(Followers::topic), followers: followers.map_or(0, Followers::following) };
        let mut actions = mem::take(&mut self.actions);
        self.connections[id].protocol.opened(peer, &seat, &mut actions);
        self.carry_out(id, actions);
        if !unread.is_empty() {
            self.received(id, &mut unread.to_vec());
        }
    }

    fn expect(&mut self, topic: &Topic, waiting: Waiting<S>) {
        let key = self.subscriptions.expect(topic);
        let ticket = self.waiting.insert((key, waiting));
        self.announce(key, Some(ticket.data().as_ffi()));
    }

    fn follow(&mut self, id: ConnectionId, key: TopicKey) {
        let connection = &mut self.connections[id];
        self.subscriptions.follow(key, id, connection.protocol.encoding());
        connection.topics.push(key);
    }

    fn subscribed(&mut self, id: ConnectionId, key: TopicKey) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let open = self.connections.get(id).filter(|connection| connection.phase == Phase::Open);
        let Some(connection) = open else { return self.give_up(key) };
        if connection.topics.contains(&key) {
            self.give_up(key);
        } else {
            self.follow(id, key);
        }
        let mut actions = mem::take(&mut self.actions);
        self.connections[id].protocol.subscribed(&topic, &mut actions);
        self.carry_out(id, actions);
    }

    fn unsubscribe(&mut self, id: ConnectionId, topic: &Topic) {
        let subscriptions = &self.subscriptions;
        let is_it = |key: TopicKey| subscriptions.followers(key).topic() == topic;
        let is_asked = |(key, waiting): &(TopicKey, Waiting<S>)| waiting.is_subscription_of(id) && is_it(*key);
        let asked: Vec<Ticket> = self.waiting.iter().filter(|(_, asked)| is_asked(asked)).map(|(key, _)| key).collect();
        let followed = self.connections[id].topics.iter().position(|&key| is_it(key));
        for ticket in asked {
            let (key, _) = self.waiting.remove(ticket).expect("found above");
            self.give_up(key);
        }
        if let Some(index) = followed {
            let key = self.connections[id].topics.swap_remove(index);
            self.leave(key, id);
        }
    }

    fn leave(&mut self, key: TopicKey, id: ConnectionId) -> (Topic, usize) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let left = self.subscriptions.leave(key, id);
        self.announce_left(key, &topic, left);
        (topic, left)
    }

    fn give_up(&mut self, key: TopicKey) {
        let topic = self.subscriptions.followers(key).topic().clone();
        let left = self.subscriptions.give_up(key);
        self.announce_left(key, &topic, left);
    }

    fn announce_left(&mut self, key: TopicKey, topic: &Topic, left: usize) {
        if left > 0 {
            return self.announce(key, None);
        }
        self.outgoing.interests.push(Interest { topic: topic.clone(), followers: 0, ticket: None });
        self.metrics.topics.set(self.subscriptions.topics() as u64);
    }

    fn announce(&mut self, key: TopicKey, ticket: Option<u64>) {
        let followers = self.subscriptions.followers(key);
        let count = u32::try_from(followers.count()).expect("a process has fewer than 2^32 sockets");
        self.outgoing.interests.push(Interest { topic: followers.topic().clone(), followers: count, ticket });
        self.metrics.topics.set(self.subscriptions.topics() as u64);
    }

    /// The client wants to end: its close is answered with the same code (RFC 6455 §5.5.1).
    fn answer_close(&mut self, id: ConnectionId, code: Option<u16>) {
        self.part(id, code.map_or(CloseCode::NoStatus, CloseCode::of_number));
        self.discard(id, Drop::ConnectionClosed);
        self.say_goodbye(id, frame::close(code, ""));
    }

    /// Ends a connection behind what it is still to get.
    fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        if self.connections.get(id).is_some_and(|connection| connection.phase == Phase::Open) {
            self.part(id, code);
            self.say_goodbye(id, frame::close(Some(code.number()), reason));
        }
    }

    /// Ends a connection instead of what it is still to get.
    fn close_at_once(&mut self, id: ConnectionId, close: Close) {
        if self.connections.get(id).is_some_and(|connection| connection.phase == Phase::Open) {
            self.discard(id, Drop::SlowConsumer);
            self.close(id, close.code, close.reason);
        }
    }

    fn say_goodbye(&mut self, id: ConnectionId, close_frame: Bytes) {
        let until = self.now.after(LINGER);
        self.connections[id].phase = Phase::Closing { until };
        self.send_last(id, Frame::new(close_frame));
        self.timers.insert(until, id);
    }

    fn discard(&mut self, id: ConnectionId, reason: Drop) {
        let discarded = self.connections[id].outbound.discard(&mut self.workbench);
        self.metrics.dropped(reason).add(discarded);
    }

    /// The connection stops being one that counts: it follows nothing any more.
    fn part(&mut self, id: ConnectionId, code: CloseCode) {
        debug_assert_eq!(self.connections[id].phase, Phase::Open, "a connection ends once");
        let topics = mem::take(&mut self.connections[id].topics);
        let mut first = None;
        for key in topics {
            let left = self.leave(key, id);
            first.get_or_insert(left);
        }
        self.metrics.connections.subtract(1);
        self.metrics.closed(code).add(1);
        let seat = Seat { topic: first.as_ref().map(|(topic, _)| topic), followers: first.as_ref().map_or(0, |(_, left)| *left) };
        self.connections[id].protocol.closed(&seat, code);
    }

    /// The stream has ended or broken.
    fn hung_up(&mut self, id: ConnectionId) {
        if self.connections[id].phase == Phase::Open {
            self.part(id, CloseCode::Abnormal);
        }
        self.remove(id);
    }

    fn remove(&mut self, id: ConnectionId) {
        self.discard(id, Drop::ConnectionClosed);
        if self.connections[id].outbound.is_late() {
            self.metrics.late.subtract(1);
        }
        self.connections.remove(id);
    }

    fn flush(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let was_late = connection.outbound.is_late();
        let Ok(flushed) = connection.outbound.flush(&mut connection.socket, &mut self.workbench) else {
            return self.hung_up(id);
        };
        self.metrics.kernel_sends.add(flushed.calls);
        self.metrics.frames_out.add(flushed.frames);
        self.metrics.bytes_out.add(flushed.bytes);
        match (was_late, connection.outbound.is_late()) {
            (false, true) => {
                self.metrics.late.add(1);
                connection.socket.watch(Watch::ReadsAndWrites);
            }
            (true, false) => {
                self.metrics.late.subtract(1);
                connection.socket.watch(Watch::Reads);
            }
            (true, true) | (false, false) => {}
        }
        if let Phase::Closing { until } = connection.phase
            && connection.outbound.unsent_bytes() == 0
        {
            connection.phase = Phase::Lingering { until };
            connection.socket.finish();
        }
    }

    fn fell_due(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        let is_drained = self.drain_ends.is_some_and(|ends| self.now >= ends);
        match connection.phase {
            _ if is_drained => self.hung_up(id),
            Phase::Open if self.drain_ends.is_some() => self.close(id, Close::RESTART.code, Close::RESTART.reason),
            Phase::Open => self.check_pulse(id),
            Phase::Closing { until } | Phase::Lingering { until } if self.now >= until => self.remove(id),
            Phase::Closing { .. } | Phase::Lingering { .. } => {}
        }
    }

    fn check_pulse(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id];
        let beat = connection.heartbeat.beat(self.now, &self.limits.rhythm);
        self.timers.insert(connection.heartbeat.due(&self.limits.rhythm), id);
        match beat {
            Beat::Wait => {}
            Beat::Ping => {
                let offer = connection.outbound.send_urgently(Frame::new(frame::ping()), &mut self.workbench);
                self.note(id, offer);
            }
            Beat::Silent => self.close(id, Close::SILENT.code, Close::SILENT.reason),
        }
    }
}

impl<S> Waiting<S> {
    fn is_subscription_of(&self, id: ConnectionId) -> bool {
        matches!(self, Self::Subscription(of) if *of == id)
    }
}
