//! What administrators see of one shard: the answers to their questions, and a record of what they look at.
//!
//! The engine does not know of it: it looks at the shard from outside, at each message and at the end of each turn, and
//! only while somebody looks.

use super::socket::TcpSocket;
use super::tcp_info;
use crate::ear::{TICK, Tick, wall_clock_us};
use crate::engine::connection::ConnectionId;
use crate::engine::message::Message;
use crate::engine::protocol::{Encoding, Notice};
use crate::engine::shard::{self, view::View};
use crate::engine::subscriptions::Followers;
use crate::engine::topic::TopicKey;
use crate::inspection::{
    ConnectionRow, Connections, Event, LEASE, Order, Question, Reply, Seat, Selection, Target, TopicRow, Topics, Trace,
    Traces, What, Whom,
};
use crate::mesh::NodeId;
use crate::wire::close::{Close, CloseCode};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Connections of one target that are looked at: of a crowd the first ones tell enough.
const SEATS_MAX: usize = 32;

/// Sockets the kernel is asked about for one answer, at about ten microseconds each.
const ASKED_MAX: usize = 64;

/// Topics of a connection that are named.
const TOPICS_NAMED_MAX: usize = 8;

type Shard = shard::Shard<TcpSocket>;

/// What one shard keeps while somebody looks.
pub(super) struct Inspector {
    node: NodeId,
    traces: Traces<Audience>,
    counts: Option<Counts>,
}

/// Events by the place where their topic's followers are kept.
struct Counts {
    events: HashMap<TopicKey, u64>,
    since: Instant,
    until: Instant,
}

/// Those who get a target's events, as they stood after the last turn.
#[derive(Default)]
struct Audience {
    seats: HashMap<ConnectionId, Standing>,
    /// What this turn has brought.
    fresh: Vec<(Event, Message)>,
}

#[derive(Clone, Copy, Default)]
struct Standing {
    unsent_frames: u32,
    missed: u32,
}

impl Inspector {
    pub(super) fn new(node: NodeId) -> Self {
        Self { node, traces: Traces::default(), counts: None }
    }

    /// Whether it wants to hear of messages and turns.
    pub(super) fn is_looking(&self) -> bool {
        self.counts.is_some() || !self.traces.is_empty()
    }

    /// A message is about to be delivered to those at a place.
    #[cold]
    pub(super) fn delivered(&mut self, place: TopicKey, message: &Message, shard: &Shard) {
        if let Some(counts) = &mut self.counts {
            *counts.events.entry(place).or_default() += 1;
        }
        for trace in self.traces.iter_mut() {
            let is_meant = match &trace.target {
                Target::Topic(topic) => *topic == message.topic,
                Target::Seat(seat) => shard.topics_of(seat.id).any(|topic| *topic == message.topic),
            };
            if is_meant && trace.samples(message.received_us) {
                let event = Event::of(message);
                trace.note(
                    wall_clock_us(),
                    What::Matched(event.clone(), shard.subscriptions().members(&message.topic).count()),
                );
                trace.aside.fresh.push((event, message.clone()));
            }
        }
    }

    /// The server's own news.
    pub(super) fn hear(&mut self, notice: &Notice) {
        if let Notice::SourceReconnected = notice {
            self.traces.iter_mut().for_each(|trace| trace.note(wall_clock_us(), What::Gap));
        }
    }

    /// A turn has ended: what it has brought is in the kernel, or waits.
    #[cold]
    pub(super) fn turn_ended(&mut self, shard: &mut Shard, now: Tick) {
        let parted = shard.parted.take().unwrap_or_default();
        for trace in self.traces.iter_mut() {
            look(trace, self.node, shard, &parted, now);
        }
        let clock = Instant::now();
        self.traces.forget_old(clock);
        self.counts.take_if(|counts| counts.until < clock);
        shard.parted = (!self.traces.is_empty()).then(Vec::new);
    }

    /// Answers a question.
    pub(super) fn answer(&mut self, question: &Question, shard: &mut Shard, now: Tick) -> Reply {
        match question {
            Question::Dismiss(whom) => Reply::Dismissed(self.dismiss(whom, shard)),
            Question::Connections(selection) => Reply::Connections(self.connections(selection, shard, now)),
            Question::Topics(rows_max) => Reply::Topics(self.topics(*rows_max, shard)),
            Question::Trace(target, from) => {
                let from = from.get(self.node.index()).copied().unwrap_or(0);
                // Whoever begins to look sees who is here in the first answer.
                let _ = self.traces.ask(target, from, Instant::now());
                self.turn_ended(shard, now);
                let account = self.traces.ask(target, from, Instant::now());
                Reply::Trace(account.map(|mut account| {
                    account.following = audience(target, self.node, shard).len();
                    account
                }))
            }
        }
    }

    /// Disconnects these clients with 4002. Who has no seat yet is not among them.
    fn dismiss(&self, whom: &Whom, shard: &mut Shard) -> usize {
        let gone: Vec<ConnectionId> = match whom {
            Whom::Publisher(origin) => {
                shard.views().filter(|view| view.origin == Some(*origin)).map(|view| view.id).collect()
            }
            Whom::Followers(topic) => shard.subscriptions().members(topic).collect(),
            Whom::Seat(seat) => audience(&Target::Seat(*seat), self.node, shard),
        };
        for &id in &gone {
            shard.close(id, Close::DISMISSED.code, Close::DISMISSED.reason);
        }
        gone.len()
    }

    fn connections(&self, selection: &Selection, shard: &Shard, now: Tick) -> Connections {
        let selected = shard.views().filter(|view| is_selected(view, selection, shard));
        let rank = |view: View<'_, TcpSocket>| (rank(&view, selection.order, shard, now), view.id);
        let ranked: Vec<_> = selected.map(rank).collect();
        let matched = ranked.len();
        let first = first(ranked, selection.rows_max).filter_map(|id| shard.view(id));
        let mut found = Connections { matched, rows: first.map(|view| self.row(&view, shard, now)).collect() };
        if selection.asks_kernel {
            ask_kernel(&mut found.rows, shard);
        }
        found
    }

    fn row(&self, view: &View<'_, TcpSocket>, shard: &Shard, now: Tick) -> ConnectionRow {
        let topics = shard.topics_of(view.id);
        let arrival = view.socket.arrival();
        ConnectionRow {
            seat: Seat { shard: self.node, id: view.id },
            address: arrival.address,
            topics_total: topics.len(),
            topics: topics.take(TOPICS_NAMED_MAX).map(|topic| topic.display().into_owned()).collect(),
            age: since(arrival.at, now),
            unsent_frames: view.outbound.unsent_frames(),
            unsent_bytes: view.outbound.unsent_bytes(),
            late: view.late_since.map(|late| since(late, now)),
            tcp: None,
        }
    }

    fn topics(&mut self, rows_max: usize, shard: &Shard) -> Topics {
        let now = Instant::now();
        let counts = self.counts.get_or_insert_with(|| Counts { events: HashMap::new(), since: now, until: now });
        counts.until = now + LEASE;
        let events = |place: TopicKey| counts.events.get(&place).copied().unwrap_or(0);
        let rank = |(place, followers): (TopicKey, &Followers)| ((events(place), followers.following()), place);
        let ranked: Vec<_> = shard.subscriptions().all().map(rank).collect();
        let total = ranked.len();
        let row = |place| {
            let followers = shard.subscriptions().followers(place);
            let topic = followers.topic().display().into_owned();
            TopicRow { topic, followers: followers.following(), events: events(place) }
        };
        Topics { counted_for: now - counts.since, total, rows: first(ranked, rows_max).map(row).collect() }
    }
}

/// The ones with the highest ranks, in no particular order: so names are written for no more than are wanted.
fn first<R: Ord, T: Copy>(mut ranked: Vec<(R, T)>, wanted: usize) -> impl Iterator<Item = T> {
    if ranked.len() > wanted {
        ranked.select_nth_unstable_by(wanted, |(one, _), (other, _)| other.cmp(one));
        ranked.truncate(wanted);
    }
    ranked.into_iter().map(|(_, it)| it)
}

/// The higher, the sooner it is named; as [`Connections::cut`] orders rows.
fn rank(view: &View<'_, TcpSocket>, order: Order, shard: &Shard, now: Tick) -> (usize, Duration) {
    let age = since(view.socket.arrival().at, now);
    match order {
        Order::Queued => (view.outbound.unsent_bytes(), age),
        Order::Age => (0, age),
        Order::Topics => (shard.topics_of(view.id).len(), age),
    }
}

/// Asks the kernel about those who are late, the first of them.
fn ask_kernel(rows: &mut [ConnectionRow], shard: &Shard) {
    for row in rows.iter_mut().filter(|row| row.late.is_some()).take(ASKED_MAX) {
        let ends = shard.view(row.seat.id).and_then(|view| view.socket.ends());
        row.tcp = ends.and_then(|[own, other]| tcp_info::ask(own, other).ok());
    }
}

fn since(earlier: Tick, now: Tick) -> Duration {
    TICK.saturating_mul(now.ticks_since(earlier))
}

fn is_selected(view: &View<'_, TcpSocket>, selection: &Selection, shard: &Shard) -> bool {
    let filter = selection.filter.as_str();
    filter.is_empty()
        || view.socket.arrival().address.to_string().contains(filter)
        || shard.topics_of(view.id).any(|topic| topic.display().contains(filter))
}

/// Everybody on this shard who gets a target's events.
fn audience(target: &Target, node: NodeId, shard: &Shard) -> Vec<ConnectionId> {
    match target {
        Target::Topic(topic) => shard.subscriptions().members(topic).collect(),
        Target::Seat(seat) => {
            Some(seat.id).filter(|&id| seat.shard == node && shard.view(id).is_some()).into_iter().collect()
        }
    }
}

/// Notes what a turn has changed for a target's audience.
fn look(trace: &mut Trace<Audience>, node: NodeId, shard: &Shard, parted: &[(ConnectionId, CloseCode)], now: Tick) {
    let at_us = wall_clock_us();
    let here = audience(&trace.target, node, shard).into_iter().take(SEATS_MAX);
    let fresh = std::mem::take(&mut trace.aside.fresh);
    let mut before = std::mem::take(&mut trace.aside.seats);
    let mut unsealed = Vec::new();
    for view in here.filter_map(|id| shard.view(id)) {
        let seat = Seat { shard: node, id: view.id };
        let known = before.remove(&view.id);
        if known.is_none() {
            let arrival = view.socket.arrival();
            trace.note(at_us, What::Here(seat, arrival.address, since(arrival.at, now)));
        }
        let known = known.unwrap_or_default();
        if view.outbound.missed() > known.missed {
            trace.note(at_us, What::Missed(seat, view.outbound.missed() - known.missed));
        }
        for (event, message) in &fresh {
            let fate = fate(event, message, &view, seat, shard);
            // That nobody gets it is said once.
            if !matches!(fate, What::Unsealed(..)) {
                trace.note(at_us, fate);
            } else if !unsealed.contains(&event.name) {
                unsealed.push(event.name);
                trace.note(at_us, fate);
            }
        }
        if known.unsent_frames > 0 && view.outbound.unsent_frames() == 0 {
            trace.note(at_us, What::CaughtUp(seat));
        }
        let standing = Standing { unsent_frames: view.outbound.unsent_frames(), missed: view.outbound.missed() };
        trace.aside.seats.insert(view.id, standing);
    }
    for id in before.into_keys() {
        let seat = Seat { shard: node, id };
        let code = parted.iter().find(|(gone, _)| *gone == id).map(|&(_, code)| code);
        trace.note(at_us, code.map_or(What::Left(seat), |code| What::Closed(seat, code)));
    }
}

/// What became of an event for one connection.
fn fate(event: &Event, message: &Message, view: &View<'_, TcpSocket>, seat: Seat, shard: &Shard) -> What {
    let Encoding { seal, .. } = view.encoding;
    match shard.topics_of(view.id).find(|topic| **topic == message.topic).map(|topic| seal(topic, message)) {
        Some(Err(reason)) => What::Unsealed(event.clone(), reason),
        Some(Ok(sealed)) if sealed.except.is_some() && sealed.except == view.origin => What::Own(event.clone(), seat),
        _ if view.outbound.unsent_frames() == 0 => What::Written(event.clone(), seat),
        _ => What::Waits(event.clone(), seat, view.outbound.unsent_frames(), view.outbound.unsent_bytes()),
    }
}
