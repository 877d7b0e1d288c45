//! What became of the events of one topic, or for one connection: a bounded record that each node keeps for itself
//! while somebody looks at it.

use super::{LEASE, Seat};
use crate::engine::message::Message;
use crate::engine::topic::Topic;
use crate::metrics::Drop;
use crate::wire::close::CloseCode;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Targets that are looked at at a time. Each message is compared with each of them.
const TRACES_MAX: usize = 8;

/// Records a node keeps of one target: five seconds' worth of a busy one.
const RECORDS_MAX: usize = 1024;

/// Events of one target that are recorded per second; of the others only the number is kept.
const EVENTS_PER_SECOND_MAX: u32 = 50;

/// Bytes of an event that are shown: enough to tell it from others.
const PREVIEW_BYTES_MAX: usize = 120;

/// Whose events are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everybody's who follows this topic.
    Topic(Topic),
    /// This connection's.
    Seat(Seat),
}

/// One event, as a person finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// A hash of its topic, its bytes and when it was received: the same on every node.
    pub name: u32,
    /// When it was read from the broker, in microseconds since 1970.
    pub received_us: u64,
    /// Length of its payload.
    pub bytes: usize,
    /// How it begins.
    pub preview: String,
}

impl Event {
    /// An event as it crosses the mesh.
    pub fn of(message: &Message) -> Self {
        let payload = message.payload();
        let mut hasher = DefaultHasher::new();
        (message.topic.hash(), payload, message.received_us).hash(&mut hasher);
        let text = String::from_utf8_lossy(&payload[..payload.len().min(PREVIEW_BYTES_MAX)]);
        Self {
            name: u32::try_from(hasher.finish() >> 32).expect("half of its bits"),
            received_us: message.received_us,
            bytes: payload.len(),
            // A character that was cut through is left out.
            preview: text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned(),
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The broker's node has read an event and sent it to the shards of so many followers; with none it ends here.
    Received(Event, u64),
    /// An event of so many bytes cannot be delivered to anybody.
    Undeliverable(Drop, usize),
    /// A shard has it for so many followers.
    Matched(Event, usize),
    /// The family cannot put it into its form.
    Unsealed(Event, Drop),
    /// The kernel has it for this connection, and all before it.
    Written(Event, Seat),
    /// It waits for this connection, among so many frames and bytes.
    Waits(Event, Seat, u32, usize),
    /// This connection has published it and does not get it.
    Own(Event, Seat),
    /// So many frames were dropped for this connection, which reads too slowly.
    Missed(Seat, u32),
    /// Everything that waited for this connection is in the kernel.
    CaughtUp(Seat),
    /// This connection is here, from this address, for so long.
    Here(Seat, SocketAddr, Duration),
    /// This connection has ended.
    Closed(Seat, CloseCode),
    /// This connection follows the topic no more.
    Left(Seat),
    /// The broker was away: nobody knows what was missed.
    Gap,
}

/// Something that has happened, and when.
#[derive(Clone, Debug)]
pub struct Record {
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What.
    pub what: What,
}

/// What one node has recorded since the last look.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// What has happened, in its order.
    pub records: Vec<Record>,
    /// What to ask for next.
    pub next: u64,
    /// Records that were not kept, or not long enough for this look.
    pub skipped: u64,
    /// Connections that get the target's events here.
    pub following: usize,
}

/// The record of one target, and what its node keeps beside.
#[derive(Debug)]
pub struct Trace<A> {
    /// Whose events are recorded.
    pub target: Target,
    /// What the node keeps beside.
    pub aside: A,
    until: Instant,
    records: VecDeque<Record>,
    /// How many there were.
    total: u64,
    skipped: u64,
    second: u64,
    events_of_second: u32,
}

impl<A> Trace<A> {
    /// Records what has happened.
    pub fn note(&mut self, at_us: u64, what: What) {
        if self.records.len() == RECORDS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(Record { at_us, what });
        self.total += 1;
    }

    /// Whether one more event, received at this moment, is to be recorded; one that is not is counted. All nodes agree
    /// about that, as far as they get the same events.
    pub fn samples(&mut self, received_us: u64) -> bool {
        let second = received_us / 1_000_000;
        if second != self.second {
            (self.second, self.events_of_second) = (second, 0);
        }
        self.events_of_second = self.events_of_second.saturating_add(1);
        let is_within = self.events_of_second <= EVENTS_PER_SECOND_MAX;
        self.skipped += u64::from(!is_within);
        is_within
    }

    fn account(&mut self, from: u64) -> Account {
        let kept_from = self.total - self.records.len() as u64;
        let from = from.min(self.total);
        let lost = kept_from.saturating_sub(from);
        let start = usize::try_from(from.saturating_sub(kept_from)).expect("no more than are kept");
        let records = self.records.iter().skip(start).cloned().collect();
        Account { records, next: self.total, skipped: std::mem::take(&mut self.skipped) + lost, following: 0 }
    }
}

/// What is looked at on one node.
#[derive(Debug)]
pub struct Traces<A>(Vec<Trace<A>>);

impl<A> Default for Traces<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Default> Traces<A> {
    /// Whether nobody looks.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was recorded of a target from this number on, and goes on being recorded; `None` where too many others are.
    pub fn ask(&mut self, target: &Target, from: u64, now: Instant) -> Option<Account> {
        self.forget_old(now);
        let place = self.0.iter().position(|trace| trace.target == *target);
        if place.is_none() && self.0.len() == TRACES_MAX {
            return None;
        }
        let place = place.unwrap_or_else(|| {
            self.0.push(Trace {
                target: target.clone(),
                aside: A::default(),
                until: now,
                records: VecDeque::new(),
                total: 0,
                skipped: 0,
                second: 0,
                events_of_second: 0,
            });
            self.0.len() - 1
        });
        self.0[place].until = now + LEASE;
        Some(self.0[place].account(from))
    }

    /// Forgets what nobody looks at any more.
    pub fn forget_old(&mut self, now: Instant) {
        self.0.retain(|trace| trace.until >= now);
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Trace<A>> {
        self.0.iter_mut()
    }

    /// The one that looks at this topic.
    pub fn of_topic(&mut self, topic: &Topic) -> Option<&mut Trace<A>> {
        self.0.iter_mut().find(|trace| matches!(&trace.target, Target::Topic(its) if its == topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::topic::TopicHasher;

    fn target(name: &str) -> Target {
        Target::Topic(TopicHasher::with_key((1, 2)).prefixed("t:", name))
    }

    #[test]
    fn each_look_brings_what_has_happened_since_the_last_one_and_says_what_it_leaves_out() {
        let (mut traces, now) = (Traces::<()>::default(), Instant::now());
        assert_eq!(traces.ask(&target("a"), 0, now).unwrap().next, 0);
        let trace = traces.iter_mut().next().unwrap();
        (0..3).for_each(|at_us| trace.note(at_us, What::Gap));
        let first = traces.ask(&target("a"), 0, now).unwrap();
        assert_eq!((first.records.len(), first.next, first.skipped), (3, 3, 0));
        assert_eq!(traces.ask(&target("a"), 3, now).unwrap().records.len(), 0);
        let trace = traces.iter_mut().next().unwrap();
        (0..RECORDS_MAX as u64 + 5).for_each(|at_us| trace.note(at_us, What::Gap));
        let late = traces.ask(&target("a"), 3, now).unwrap();
        assert_eq!((late.records.len(), late.skipped), (RECORDS_MAX, 5));
        assert_eq!(traces.ask(&target("a"), u64::MAX, now).unwrap().records.len(), 0, "a number from another life");
    }

    #[test]
    fn a_busy_target_is_sampled() {
        let mut traces = Traces::<()>::default();
        traces.ask(&target("a"), 0, Instant::now()).unwrap();
        let trace = traces.iter_mut().next().unwrap();
        let taken = (0..1_000).filter(|at| trace.samples(7_000_000 + at)).count();
        assert_eq!(taken, EVENTS_PER_SECOND_MAX as usize);
        assert!(trace.samples(8_000_000), "the next second begins anew");
        assert_eq!(
            traces.ask(&target("a"), 0, Instant::now()).unwrap().skipped,
            1_000 - u64::from(EVENTS_PER_SECOND_MAX)
        );
    }

    #[test]
    fn what_nobody_looks_at_is_forgotten_and_makes_room() {
        let (mut traces, now) = (Traces::<()>::default(), Instant::now());
        for number in 0..TRACES_MAX {
            assert!(traces.ask(&target(&number.to_string()), 0, now).is_some());
        }
        assert!(traces.ask(&target("more"), 0, now).is_none(), "too many look at something else");
        assert!(traces.ask(&target("3"), 0, now + LEASE).is_some());
        assert!(traces.ask(&target("more"), 0, now + LEASE * 2).is_some());
        assert_eq!(traces.iter_mut().count(), 2);
    }
}
