//! What clients got against what was published, exactly: losses, duplicates, reorderings, strangers' events.

use std::collections::BTreeMap;
use std::ops::Range;

/// Gaps that one connection remembers, in case the missing events come late. Beyond it the oldest count as lost for
/// good, and a late event of those as a duplicate: a connection with so many holes has failed in any case.
const GAPS_MAX: usize = 4_096;

/// The next event of a connection that accepts any as its first: it joined while events were on their way.
const ANY: u64 = u64::MAX;

/// What one connection expects of its topic.
#[derive(Debug)]
pub(crate) struct Expectation {
    /// The topic it listens to.
    pub(crate) topic: u32,
    pub(crate) standing: Standing,
    /// The server has said that events may be missing in front of the next one.
    is_warned: bool,
    next: u64,
    /// Nothing, for a connection that missed nothing.
    gaps: Option<Box<Gaps>>,
}

/// What a connection owes and is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There from before the first event to after the last.
    Steady,
    /// Comes and goes: from its first event on it is owed every one until it leaves.
    Passing,
    /// Does not read as it should: what it misses is its own doing and is counted apart.
    Excused,
}

/// Events that were skipped.
#[derive(Debug, Default)]
struct Gaps {
    /// In rising order.
    ranges: Vec<Range<u64>>,
    /// Of gaps that were forgotten.
    lost: u64,
    /// Events that the server had said may be missing.
    announced: u64,
}

/// How an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The first time, after all that were published before it or with a gap in front.
    New,
    /// The first time, but after a later one.
    Late,
    /// Not for the first time.
    Again,
}

impl Expectation {
    /// Of a connection that was there before the first event of its topic.
    pub(crate) fn from_the_first(topic: u32) -> Self {
        Self { topic, standing: Standing::Steady, is_warned: false, next: 0, gaps: None }
    }

    /// Of a connection that comes while events are on their way: whichever comes first is the beginning.
    pub(crate) fn from_now_on(topic: u32, standing: Standing) -> Self {
        Self { topic, standing, is_warned: false, next: ANY, gaps: None }
    }

    /// Takes the event with this sequence number.
    pub(crate) fn take(&mut self, sequence: u64) -> Arrival {
        let is_warned = std::mem::take(&mut self.is_warned);
        if sequence >= self.next {
            if sequence > self.next {
                self.skip(self.next..sequence, is_warned);
            }
            self.next = sequence + 1;
            return Arrival::New;
        }
        if self.next == ANY {
            self.next = sequence + 1;
            return Arrival::New;
        }
        if self.gaps.as_mut().is_some_and(|gaps| gaps.fill(sequence)) { Arrival::Late } else { Arrival::Again }
    }

    /// Events that were skipped and did not come.
    pub(crate) fn skipped(&self) -> u64 {
        self.gaps.as_ref().map_or(0, |gaps| gaps.lost + gaps.ranges.iter().map(|gap| gap.end - gap.start).sum::<u64>())
    }

    /// The server says that events may be missing between the last and the next one: those are no loss.
    pub(crate) fn warn(&mut self) {
        self.is_warned = true;
    }

    /// Events that did not come, of `published` in the topic: for a connection that was open to the end.
    pub(crate) fn missing(&self, published: u64) -> u64 {
        self.skipped() + if self.is_warned { 0 } else { self.unheard(published) }
    }

    /// Events that did not come where the server had said so, of `published` in the topic.
    pub(crate) fn announced(&self, published: u64) -> u64 {
        let skipped = self.gaps.as_ref().map_or(0, |gaps| gaps.announced);
        skipped + if self.is_warned { self.unheard(published) } else { 0 }
    }

    /// Events behind the last one that came.
    fn unheard(&self, published: u64) -> u64 {
        if self.next == ANY { 0 } else { published.saturating_sub(self.next) }
    }

    #[cold]
    fn skip(&mut self, gap: Range<u64>, is_announced: bool) {
        let gaps = self.gaps.get_or_insert_default();
        if is_announced {
            gaps.announced += gap.end - gap.start;
            return;
        }
        if gaps.ranges.len() == GAPS_MAX {
            let oldest = gaps.ranges.remove(0);
            gaps.lost += oldest.end - oldest.start;
        }
        gaps.ranges.push(gap);
    }
}

impl Gaps {
    /// Takes a late event out of its gap; false where it is in none.
    fn fill(&mut self, sequence: u64) -> bool {
        let Some(place) = self.ranges.iter().position(|gap| gap.contains(&sequence)) else { return false };
        let gap = self.ranges[place].clone();
        let parts = [gap.start..sequence, sequence + 1..gap.end];
        self.ranges.splice(place..=place, parts.into_iter().filter(|part| !part.is_empty()));
        true
    }
}

/// Counts over any number of connections. Losses, duplicates, reorderings and foreign events are counted over the whole
/// run; `delivered` are those that were due after the warm-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Events that reached a client, once each, warm-up included.
    pub(crate) arrived: u64,
    /// Those of them whose client is there all the time: how many there will be is known.
    pub(crate) awaited: u64,
    /// Events that reached a client who reads, once each, and were due after the warm-up.
    pub(crate) delivered: u64,
    /// Events that did not reach a client that should have had them.
    pub(crate) lost: u64,
    /// Events that reached a client again.
    pub(crate) duplicated: u64,
    /// Events that reached a client after a later one of the same topic.
    pub(crate) reordered: u64,
    /// Events of another topic or run, and messages that are no event.
    pub(crate) foreign: u64,
    /// Connections that ended early, by close code.
    pub(crate) closed: BTreeMap<u16, u64>,
    /// What clients missed who did not read as they should.
    pub(crate) excused: u64,
    /// Events that did not reach a client, where the server had told it so.
    pub(crate) announced: u64,
    /// How often a client that stays was told that events may be missing.
    pub(crate) gaps: u64,
    /// Messages that are no event: greetings, answers and notices of the server.
    pub(crate) beside: u64,
    /// Connections that ended because their client wanted it, by the code the server answered with.
    pub(crate) goodbyes: BTreeMap<u16, u64>,
}

impl Ledger {
    /// Adds the counts of another.
    pub(crate) fn add(&mut self, other: &Self) {
        self.arrived += other.arrived;
        self.awaited += other.awaited;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.foreign += other.foreign;
        self.excused += other.excused;
        self.announced += other.announced;
        self.gaps += other.gaps;
        self.beside += other.beside;
        for (own, others) in [(&mut self.closed, &other.closed), (&mut self.goodbyes, &other.goodbyes)] {
            for (code, count) in others {
                *own.entry(*code).or_default() += count;
            }
        }
    }

    /// Connections that ended early.
    pub(crate) fn closed_total(&self) -> u64 {
        self.closed.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival::{Again, Late, New};
    use super::*;

    fn taken(mut expectation: Expectation, sequences: &[u64]) -> (Vec<Arrival>, Expectation) {
        let arrivals = sequences.iter().map(|&sequence| expectation.take(sequence)).collect();
        (arrivals, expectation)
    }

    fn check(sequences: &[u64], published: u64, arrivals: &[Arrival], missing: u64) {
        let (got, expectation) = taken(Expectation::from_the_first(3), sequences);
        assert_eq!((got.as_slice(), expectation.missing(published)), (arrivals, missing), "{sequences:?}");
    }

    #[test]
    fn every_kind_of_fault_is_told_apart() {
        check(&[0, 1, 2], 3, &[New, New, New], 0);
        check(&[0, 2], 3, &[New, New], 1);
        check(&[0, 1], 5, &[New, New], 3);
        check(&[], 4, &[], 4);
        check(&[0, 0, 1, 0], 2, &[New, Again, New, Again], 0);
        check(&[0, 2, 1], 3, &[New, New, Late], 0);
        check(&[0, 2, 1, 1], 3, &[New, New, Late, Again], 0);
        check(&[9, 4, 6, 5, 4], 12, &[New, Late, Late, Late, Again], 8);
    }

    #[test]
    fn late_events_fill_exactly_their_place_in_a_gap() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..300 {
            let mut sequences: Vec<u64> = (0..40).collect();
            random.shuffle(&mut sequences);
            let kept = random.usize(0..=40);
            let (arrivals, mut expectation) = taken(Expectation::from_the_first(0), &sequences[..kept]);
            assert!(!arrivals.contains(&Again), "{sequences:?}");
            assert_eq!(expectation.missing(40), 40 - kept as u64, "{sequences:?}");
            assert!(sequences[..kept].iter().all(|&sequence| expectation.take(sequence) == Again), "{sequences:?}");
        }
    }

    #[test]
    fn who_joins_in_the_middle_misses_nothing_that_was_before() {
        let (arrivals, expectation) = taken(Expectation::from_now_on(0, Standing::Passing), &[70, 71, 73, 70, 69]);
        assert_eq!((arrivals, expectation.missing(74)), (vec![New, New, New, Again, Again], 1));
        assert_eq!(Expectation::from_now_on(0, Standing::Passing).missing(74), 0);
    }

    #[test]
    fn what_is_missing_where_the_server_said_so_is_no_loss_and_nothing_else_is_excused_by_that() {
        let mut expectation = Expectation::from_the_first(0);
        let mut take = |sequences: &[u64]| sequences.iter().for_each(|&it| assert_eq!(expectation.take(it), New));
        take(&[0, 1, 3]);
        expectation.warn();
        let mut take = |sequences: &[u64]| sequences.iter().for_each(|&it| assert_eq!(expectation.take(it), New));
        take(&[8, 9, 11]);
        assert_eq!((expectation.missing(12), expectation.announced(12)), (2, 4));
        expectation.warn();
        assert_eq!((expectation.missing(15), expectation.announced(15)), (2, 7), "nothing came after it");
        assert_eq!((expectation.take(12), expectation.take(14)), (New, New));
        assert_eq!((expectation.missing(15), expectation.announced(15)), (3, 4), "a warning is about the next event");
    }

    #[test]
    fn gaps_are_bounded_and_forgotten_ones_stay_lost() {
        let mut expectation = Expectation::from_the_first(0);
        let holes = GAPS_MAX as u64 + 10;
        (0..holes).for_each(|hole| assert_eq!(expectation.take(2 * hole + 1), New));
        assert_eq!(expectation.skipped(), holes);
        assert_eq!((expectation.take(0), expectation.take(2 * holes - 2)), (Again, Late));
        assert_eq!(expectation.skipped(), holes - 1);
    }

    #[test]
    fn a_connection_s_expectation_is_small() {
        assert!(size_of::<Expectation>() <= 24);
    }
}
