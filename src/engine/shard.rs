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

mod arrival;
mod ending;
mod hearing;
mod waiting;

pub use self::arrival::Arrival;

use self::waiting::{Ticket, Waiting};
use super::close::Close;
use super::connection::{Connection, ConnectionId, Phase, Socket, Watch};
use super::frame::Frame;
use super::heartbeat::Rhythm;
use super::mesh::{Interest, Publication};
use super::message::Message;
use super::outbound::{Offer, Workbench};
use super::protocol::{Actions, Notice};
use super::subscriptions::{Subscriptions, TopicKey};
use super::timers::{Tick, Wheel};
use crate::metrics::{Drop, NodeMetrics};
use slotmap::SlotMap;
use std::mem;
use std::sync::Arc;

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
        let open = self.connections.iter().filter(|(_, connection)| connection.phase == Phase::Open);
        let news: Vec<_> =
            open.filter_map(|(id, connection)| connection.protocol.notice(notice).map(|news| (id, news))).collect();
        for (id, news) in news {
            self.send(id, news);
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
}
