//! One core's share of the world: its connections, what they follow, and what waits to be sent to them.
//!
//! A turn is: take messages ([`Shard::deliver`]), hear sockets ([`Shard::readable`], [`Shard::writable`]), keep time
//! ([`Shard::tick`]), and at its end offer what came, judge who is full and write to everybody who was touched
//! ([`Shard::end_turn`]).
//! Between taking a message and the end of the turn nothing waits, locks or reads a clock.
//!
//! Invariants:
//! - a connection that is `Open` follows its topics; from `Closing` on it follows nothing and gets nothing new;
//! - a connection with unsent frames is in the turn's `touched`, once, or its socket is watched for room;
//! - what is in `marks` was delivered to those who follow *now*: before anybody comes or goes it is distributed;
//! - whoever is in `subscriptions` is in `connections`.

mod arrival;
mod ending;
mod hearing;
mod ladder;
mod marks;
mod view;
mod waiting;
mod writing;

use self::ladder::Ladder;
use self::marks::Marks;
use self::waiting::Waiting;
use self::writing::Turn;
use super::connection::{Connection, ConnectionId, Socket};
use super::frame::Frame;
use super::mesh::Interest;
use super::message::{Message, Origin};
use super::protocol::{Action, Actions, Notice, Sealed};
use super::publication::Publication;
use super::subscriptions::Subscriptions;
use super::topic::TopicKey;
use crate::ear::{Rhythm, Tick, Wheel};
use crate::mesh::NodeId;
use crate::metrics::{Drop, NodeMetrics};
use crate::wire::close::{Close, CloseCode};
use slotmap::SlotMap;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// How often events that cannot be delivered are mentioned in the log: a publisher that goes wrong does so often.
const LOSS_MENTIONED_EVERY: Duration = Duration::from_secs(60);

/// What bounds a connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that may wait for one client.
    pub outbound_bytes_max: usize,
    /// Bytes that may wait for all late clients of this shard; counted for each, though they share them.
    pub outbound_total_bytes_max: usize,
    /// How long a socket may take nothing of what waits for it.
    pub write_timeout: Duration,
    /// How old an event may grow in a queue; `None` is as old as it likes.
    pub event_lifetime: Option<Duration>,
    /// Longest message of a client, in bytes, whole or in fragments.
    pub client_message_bytes_max: usize,
    /// Topics one connection may follow.
    pub topics_per_connection_max: usize,
    /// Messages a client may send per second; 0 is without limit.
    pub client_messages_per_second: u32,
    /// Pings and silences.
    pub rhythm: Rhythm,
}

/// A shard's connections and everything that happens to them, without I/O of its own and without a clock.
pub struct Shard<S> {
    connections: SlotMap<ConnectionId, Connection<S>>,
    subscriptions: Subscriptions,
    waiting: SlotMap<waiting::Ticket, (TopicKey, Waiting<S>)>,
    /// Who is who as a publisher: nobody gets their own events.
    publishers: HashMap<Origin, ConnectionId>,
    /// What this turn has brought and nobody was offered yet.
    marks: Marks,
    turn: Turn,
    ladder: Ladder,
    timers: Wheel<ConnectionId>,
    /// Who is closed when in a drain.
    departures: Wheel<ConnectionId>,
    expired: Vec<ConnectionId>,
    now: Tick,
    actions: Actions,
    node: NodeId,
    outgoing: Outgoing,
    /// Topics of which the broker is to be told how many follow them still.
    news: Vec<TopicKey>,
    loss_is_news_from: Tick,
    drain_ends: Option<Tick>,
    /// Who has parted, and with which code: kept for whoever puts a list here and takes it.
    pub parted: Option<Vec<(ConnectionId, CloseCode)>>,
    limits: Limits,
    metrics: Arc<NodeMetrics>,
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
    /// A shard without connections, which is this node of the mesh.
    pub fn new(node: NodeId, limits: Limits, metrics: Arc<NodeMetrics>, now: Tick) -> Self {
        Self {
            connections: SlotMap::with_key(),
            subscriptions: Subscriptions::default(),
            waiting: SlotMap::with_key(),
            publishers: HashMap::new(),
            marks: Marks::default(),
            turn: Turn { outbound_bytes_max: limits.outbound_bytes_max, ..Turn::default() },
            ladder: Ladder::new(limits, Arc::clone(&metrics)),
            timers: Wheel::new(now),
            departures: Wheel::new(now),
            expired: Vec::new(),
            now,
            actions: Vec::new(),
            node,
            outgoing: Outgoing::default(),
            news: Vec::new(),
            loss_is_news_from: now,
            drain_ends: None,
            parted: None,
            limits,
            metrics,
        }
    }

    /// Other limits hold from now on, for who is here as well: what waits already may exceed them.
    pub fn set_limits(&mut self, limits: Limits) {
        self.turn.outbound_bytes_max = limits.outbound_bytes_max;
        self.ladder.limits = limits;
        self.limits = limits;
    }

    /// Whether nobody is here: no connection, not even one that is closing or has yet to get its seat.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.waiting.is_empty()
    }

    /// Takes a message for the followers at a place; they are offered it at the end of the turn.
    pub fn deliver(&mut self, place: TopicKey, message: &Message) {
        self.metrics.messages_in.add(1);
        let Some(followers) = self.subscriptions.get_mut(place) else { return };
        tracing::debug!(topic = %message.topic.display(), clients = followers.following(), "broadcast");
        let (topic, groups) = followers.parts();
        let mut lost = None;
        for (index, group) in groups.iter_mut().enumerate() {
            match (group.encoding.seal)(topic, message) {
                Ok(Sealed { frame, except }) => {
                    self.metrics.encodes(group.encoding.name).add(1);
                    let publisher = except.and_then(|origin| self.publishers.get(&origin).copied());
                    self.marks.of(place, index, group).add(frame, publisher);
                }
                Err(reason) => lost = Some(reason),
            }
        }
        if let Some(reason) = lost {
            self.lose(message, reason);
        }
    }

    /// A message cannot be put as its followers' family puts messages.
    fn lose(&mut self, message: &Message, reason: Drop) {
        self.metrics.dropped(reason).add(1);
        if self.now >= self.loss_is_news_from {
            self.loss_is_news_from = self.now.after(LOSS_MENTIONED_EVERY);
            tracing::warn!(topic = %message.topic.display(), reason = reason.label(), "event dropped");
        }
    }

    /// Tells the server's own news to the clients whose protocol passes it on.
    pub fn notify(&mut self, notice: &Notice) {
        self.distribute();
        for id in self.connections.keys().collect::<Vec<_>>() {
            self.tell(id, notice);
        }
    }

    /// Tells a piece of news to one client, if it is here and its protocol passes it on.
    pub fn tell(&mut self, id: ConnectionId, notice: &Notice) {
        self.consult(id, |protocol, actions| actions.extend(protocol.notice(notice).map(Action::Send)));
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self, id: ConnectionId) {
        if self.connections.get_mut(id).is_some_and(|connection| connection.outbound.retry()) {
            self.turn.touched.push(id);
        }
    }

    /// Time has come to `now`: pings, silences, lingering closes and drains fall due.
    pub fn tick(&mut self, now: Tick) {
        self.now = now;
        let mut expired = mem::take(&mut self.expired);
        self.departures.advance(now, &mut expired);
        for id in expired.drain(..) {
            self.close(id, Close::RESTART.code, Close::RESTART.reason);
        }
        self.timers.advance(now, &mut expired);
        for id in expired.drain(..) {
            self.fell_due(id);
        }
        self.expired = expired;
        self.give_up_stalled();
    }

    fn send_last(&mut self, id: ConnectionId, last: Frame) {
        let outbound = &mut self.connections[id].outbound;
        let offer = outbound.send_last(last, &mut self.turn.workbench);
        self.ladder.backlog.waits(id, outbound.waiting_bytes());
        self.turn.note(id, offer);
    }
}
