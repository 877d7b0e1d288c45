//! What became of the events of one topic, or for one connection: a bounded record that each node keeps for itself
//! while somebody looks at it.

use super::{LEASE, Record, Seat, What};
use crate::engine::topic::Topic;
use crate::mesh::NodeId;
use std::collections::VecDeque;
use std::time::Instant;

/// Targets that are looked at at a time. Each message is compared with each of them.
const TRACES_MAX: usize = 8;

/// Records a node keeps of one target: five seconds' worth of a busy one.
const RECORDS_MAX: usize = 1024;

/// Events of one target that are recorded per second; of the others only the number is kept.
const EVENTS_PER_SECOND_MAX: u32 = 50;

/// Whose events are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everybody's who follows this topic.
    Topic(Topic),
    /// This connection's.
    Seat(Seat),
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

    /// What was recorded since the last look, which said to this node what to ask for next.
    pub fn account(&mut self, from: &[u64], node: NodeId) -> Account {
        let kept_from = self.total - self.records.len() as u64;
        // A number that was not reached yet is of a record that was forgotten meanwhile: then all of this one is news.
        let from = from.get(node.index()).copied().filter(|&from| from <= self.total).unwrap_or(0);
        let lost = kept_from.saturating_sub(from);
        let start = usize::try_from(from.saturating_sub(kept_from)).expect("no more than are kept");
        let records = self.records.iter().skip(start).cloned().collect();
        Account { records, next: self.total, skipped: std::mem::take(&mut self.skipped) + lost, following: 0 }
    }
}

/// What is looked at on one node.
#[derive(Debug, Default)]
pub struct Traces<A>(Vec<Trace<A>>);

impl<A: Default> Traces<A> {
    /// Whether nobody looks.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is recorded of a target, from now on or for longer than it would have been; `None` where too many others are.
    pub fn attend(&mut self, target: &Target, now: Instant) -> Option<&mut Trace<A>> {
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
        let trace = &mut self.0[place];
        trace.until = now + LEASE;
        Some(trace)
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

    fn ask(traces: &mut Traces<()>, name: &str, from: u64, now: Instant) -> Option<Account> {
        let target = Target::Topic(TopicHasher::with_key((1, 2)).prefixed("t:", name));
        traces.attend(&target, now).map(|trace| trace.account(&[from], NodeId::shard(0)))
    }

    #[test]
    fn each_look_brings_what_has_happened_since_the_last_one_and_says_what_it_leaves_out() {
        let (mut traces, now) = (Traces::<()>::default(), Instant::now());
        assert_eq!(ask(&mut traces, "a", 0, now).unwrap().next, 0);
        let trace = traces.iter_mut().next().unwrap();
        (0..3).for_each(|at_us| trace.note(at_us, What::Gap));
        let first = ask(&mut traces, "a", 0, now).unwrap();
        assert_eq!((first.records.len(), first.next, first.skipped), (3, 3, 0));
        assert_eq!(ask(&mut traces, "a", 3, now).unwrap().records.len(), 0);
        let trace = traces.iter_mut().next().unwrap();
        (0..RECORDS_MAX as u64 + 5).for_each(|at_us| trace.note(at_us, What::Gap));
        let late = ask(&mut traces, "a", 3, now).unwrap();
        assert_eq!((late.records.len(), late.skipped), (RECORDS_MAX, 5));
        let other = ask(&mut traces, "a", u64::MAX, now).unwrap();
        assert_eq!(other.records.len(), RECORDS_MAX, "a number from another life knows nothing of this one");
    }

    #[test]
    fn a_busy_target_is_sampled() {
        let mut traces = Traces::<()>::default();
        ask(&mut traces, "a", 0, Instant::now()).unwrap();
        let trace = traces.iter_mut().next().unwrap();
        let taken = (0..1_000).filter(|at| trace.samples(7_000_000 + at)).count();
        assert_eq!(taken, EVENTS_PER_SECOND_MAX as usize);
        assert!(trace.samples(8_000_000), "the next second begins anew");
        assert_eq!(ask(&mut traces, "a", 0, Instant::now()).unwrap().skipped, 1_000 - u64::from(EVENTS_PER_SECOND_MAX));
    }

    #[test]
    fn what_nobody_looks_at_is_forgotten_and_makes_room() {
        let (mut traces, now) = (Traces::<()>::default(), Instant::now());
        for number in 0..TRACES_MAX {
            assert!(ask(&mut traces, &number.to_string(), 0, now).is_some());
        }
        assert!(ask(&mut traces, "more", 0, now).is_none(), "too many look at something else");
        assert!(ask(&mut traces, "3", 0, now + LEASE).is_some());
        assert!(ask(&mut traces, "more", 0, now + LEASE * 2).is_some());
        assert_eq!(traces.iter_mut().count(), 2);
    }
}
