//! What administrators see of one shard: the answers to their questions.
//!
//! The engine does not know of it: it looks at the shard from outside, at each message and at the end of each turn, and
//! only while somebody looks.

mod recipients;
#[cfg(test)]
mod tests;

use self::recipients::{Recipients, audience};
use super::socket::TcpSocket;
use super::tcp_info;
use crate::ear::{TICK, Tick, wall_clock_us};
use crate::engine::connection::{self, ConnectionId};
use crate::engine::message::Message;
use crate::engine::protocol::Notice;
use crate::engine::shard;
use crate::engine::subscriptions::Followers;
use crate::engine::topic::TopicKey;
use crate::inspection::{
    Account, ConnectionRow, Connections, LEASE, Question, Reply, Seat, Selection, Target, TopicRow, Topics, Traces,
    What, Whom,
};
use crate::wire::close::Close;
use slotmap::SecondaryMap;
use std::time::{Duration, Instant};

/// Sockets the kernel is asked about for one answer, at about ten microseconds each.
const ASKED_MAX: usize = 64;

/// Topics of a connection that are named.
const TOPICS_NAMED_MAX: usize = 8;

type Shard = shard::Shard<TcpSocket>;
type Connection = connection::Connection<TcpSocket>;

/// What one shard keeps while somebody looks.
#[derive(Default)]
pub(super) struct Inspector {
    traces: Traces<Recipients>,
    counts: Option<Counts>,
}

/// Events by the place where their topic's followers are kept.
struct Counts {
    /// A place that is given away again is counted anew: there are never more of them than there were topics at a time.
    events: SecondaryMap<TopicKey, u64>,
    since: Instant,
    until: Instant,
}

impl Counts {
    fn new(now: Instant) -> Self {
        Self { events: SecondaryMap::new(), since: now, until: now }
    }

    fn note(&mut self, place: TopicKey) {
        // An event may come late, to a place that others have by now.
        if let Some(events) = self.events.entry(place) {
            *events.or_default() += 1;
        }
    }

    fn of(&self, place: TopicKey) -> u64 {
        self.events.get(place).copied().unwrap_or(0)
    }
}

impl Inspector {
    /// Whether it wants to hear of messages and turns.
    pub(super) fn is_looking(&self) -> bool {
        self.counts.is_some() || !self.traces.is_empty()
    }

    /// A message is about to be delivered to those at a place.
    #[cold]
    pub(super) fn delivered(&mut self, place: TopicKey, message: &Message, shard: &Shard) {
        if let Some(counts) = &mut self.counts {
            counts.note(place);
        }
        self.traces.iter_mut().for_each(|trace| trace.delivered(message, shard));
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
        self.traces.iter_mut().for_each(|trace| trace.look(shard, &parted, now));
        let clock = Instant::now();
        self.traces.forget_old(clock);
        self.counts.take_if(|counts| counts.until < clock);
        shard.parted = (!self.traces.is_empty()).then(Vec::new);
    }

    /// Answers a question.
    pub(super) fn answer(&mut self, question: &Question, shard: &mut Shard, now: Tick) -> Reply {
        match question {
            Question::Dismiss(whom) => Reply::Dismissed(dismiss(whom, shard)),
            Question::Connections(selection) => Reply::Connections(connections(selection, shard, now)),
            Question::Topics(rows_max) => Reply::Topics(self.topics(*rows_max, shard)),
            Question::Trace(target, from) => Reply::Trace(self.trace(target, from, shard, now)),
        }
    }

    fn trace(&mut self, target: &Target, from: &[u64], shard: &mut Shard, now: Tick) -> Option<Account> {
        let trace = self.traces.attend(target, Instant::now())?;
        // Whoever begins to look sees who is here in the first answer.
        let parted = shard.parted.take().unwrap_or_default();
        trace.look(shard, &parted, now);
        shard.parted = Some(parted);
        Some(Account { following: audience(target, shard).count(), ..trace.account(from, shard.node()) })
    }

    fn topics(&mut self, rows_max: usize, shard: &Shard) -> Topics {
        let now = Instant::now();
        let counts = self.counts.get_or_insert_with(|| Counts::new(now));
        counts.until = now + LEASE;
        let rank = |(place, followers): (TopicKey, &Followers)| ((counts.of(place), followers.following()), place);
        let ranked: Vec<_> = shard.subscriptions().all().map(rank).collect();
        let total = ranked.len();
        let row = |place| {
            let followers = shard.subscriptions().followers(place);
            let topic = followers.topic().display().into_owned();
            TopicRow { topic, followers: followers.following(), events: counts.of(place) }
        };
        Topics { counted_for: now - counts.since, total, rows: first(ranked, rows_max).map(row).collect() }
    }
}

/// Disconnects these clients with 4002, and says how many they were. Who has no seat yet is not among them.
fn dismiss(whom: &Whom, shard: &mut Shard) -> usize {
    let gone: Vec<ConnectionId> = match whom {
        Whom::Publisher(origin) => {
            let is_it = |connection: &Connection| connection.protocol.origin() == Some(*origin);
            shard.connections().filter(|(_, connection)| is_it(connection)).map(|(id, _)| id).collect()
        }
        Whom::Followers(topic) => shard.subscriptions().members(topic).collect(),
        Whom::Seat(seat) => audience(&Target::Seat(*seat), shard).collect(),
    };
    for &id in &gone {
        shard.close(id, Close::DISMISSED.code, Close::DISMISSED.reason);
    }
    gone.len()
}

fn connections(selection: &Selection, shard: &Shard, now: Tick) -> Connections {
    let selected = shard.connections().filter(|(_, connection)| is_selected(connection, selection, shard));
    let rank = |(id, connection): (ConnectionId, &Connection)| {
        let (unsent_bytes, topics) = (connection.outbound.unsent_bytes(), shard.topics_of(connection).count());
        (selection.order.rank(unsent_bytes, topics, age(connection, now)), id)
    };
    let ranked: Vec<_> = selected.map(rank).collect();
    let matched = ranked.len();
    let row = |id| shard.connection(id).map(|connection| row(id, connection, shard, now));
    let mut rows: Vec<ConnectionRow> = first(ranked, selection.rows_max).filter_map(row).collect();
    if selection.asks_kernel {
        ask_kernel(&mut rows, shard);
    }
    Connections { matched, rows }
}

fn row(id: ConnectionId, connection: &Connection, shard: &Shard, now: Tick) -> ConnectionRow {
    let topics = shard.topics_of(connection);
    ConnectionRow {
        seat: Seat { shard: shard.node(), id },
        address: connection.socket.arrival().address,
        topics: topics.take(TOPICS_NAMED_MAX).map(|topic| topic.display().into_owned()).collect(),
        topics_total: shard.topics_of(connection).count(),
        age: age(connection, now),
        unsent_frames: connection.outbound.unsent_frames(),
        unsent_bytes: connection.outbound.unsent_bytes(),
        late: shard.late_since(id).map(|late| since(late, now)),
        tcp: None,
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

/// Asks the kernel about those who are late, the first of them.
fn ask_kernel(rows: &mut [ConnectionRow], shard: &Shard) {
    for row in rows.iter_mut().filter(|row| row.late.is_some()).take(ASKED_MAX) {
        let ends = shard.connection(row.seat.id).and_then(|connection| connection.socket.ends());
        row.tcp = ends.and_then(|[own, other]| tcp_info::ask(own, other).ok());
    }
}

fn age(connection: &Connection, now: Tick) -> Duration {
    since(connection.socket.arrival().at, now)
}

fn since(earlier: Tick, now: Tick) -> Duration {
    TICK.saturating_mul(now.ticks_since(earlier))
}

fn is_selected(connection: &Connection, selection: &Selection, shard: &Shard) -> bool {
    let filter = selection.filter.as_str();
    filter.is_empty()
        || connection.socket.arrival().address.to_string().contains(filter)
        || shard.topics_of(connection).any(|topic| topic.display().contains(filter))
}
