//! One wheel of ticks per shard drives every deadline: pings, silences, handshakes, drains.

use std::time::Duration;

/// How long a tick is. Deadlines are met at most this much too late; keep-alives are counted in seconds.
pub const TICK: Duration = Duration::from_millis(100);

/// Slots of a wheel: 102 s at [`TICK`], beyond the longest usual deadline. Later ones go around more than once.
const SLOTS: usize = 1024;

/// A moment, counted in ticks since the shard began. Wraps after 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u32);

impl Tick {
    /// A moment that never comes.
    pub const NEVER: Self = Self(u32::MAX);

    /// The tick that is current so long after the beginning.
    pub fn at(since_start: Duration) -> Self {
        Self(ticks(since_start))
    }

    /// The moment at least `delay` later, and never the same tick.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(ticks(delay).max(1)))
    }

    /// Ticks from `earlier` until this moment; 0 if it is not earlier.
    pub fn ticks_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
}

/// Entries that fall due at a tick. Inserting and expiring cost O(1); nothing is ever removed early: an entry that
/// falls due is checked against what it is about, which may have gone or moved its deadline.
#[derive(Debug)]
pub struct Wheel<T> {
    slots: Vec<Vec<(Tick, T)>>,
    now: Tick,
}

impl<T> Wheel<T> {
    /// An empty wheel that stands at `now`.
    pub fn new(now: Tick) -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), now }
    }

    /// Files `entry` under `due`; a moment that has passed falls due at the next tick, [`Tick::NEVER`] is not kept.
    pub fn insert(&mut self, due: Tick, entry: T) {
        if due == Tick::NEVER {
            return;
        }
        let due = due.max(Tick(self.now.0 + 1));
        self.slots[due.0 as usize % SLOTS].push((due, entry));
    }

    /// Moves on to `now` and appends what has fallen due to `expired`.
    pub fn advance(&mut self, now: Tick, expired: &mut Vec<T>) {
        while self.now < now {
            self.now.0 += 1;
            let slot = &mut self.slots[self.now.0 as usize % SLOTS];
            let current = self.now;
            expired.extend(slot.extract_if(.., |(due, _)| *due <= current).map(|(_, entry)| entry));
            if slot.is_empty() && slot.capacity() > 64 {
                // A storm that came at once should not keep its memory for ever.
                *slot = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_fall_due_at_their_tick_and_not_before() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut wheel = Wheel::new(Tick(0));
        let dues: Vec<u32> = (0..5_000).map(|_| random.u32(1..5_000)).collect();
        for &due in &dues {
            wheel.insert(Tick(due), due);
        }
        let mut seen = 0;
        let mut expired = Vec::new();
        let mut now = 0;
        while now < 5_000 {
            let before = now;
            now += random.u32(1..40);
            wheel.advance(Tick(now), &mut expired);
            assert!(expired.iter().all(|due| (before + 1..=now).contains(due)), "{before}..{now}: {expired:?}");
            seen += expired.len();
            expired.clear();
        }
        assert_eq!(seen, dues.len());
    }

    #[test]
    fn a_moment_that_has_passed_falls_due_at_the_next_tick() {
        let mut wheel = Wheel::new(Tick(50));
        wheel.insert(Tick(3), "late");
        let mut expired = Vec::new();
        wheel.advance(Tick(51), &mut expired);
        assert_eq!(expired, ["late"]);
    }

    #[test]
    fn durations_are_rounded_up_to_whole_ticks() {
        assert_eq!(Tick::at(Duration::ZERO), Tick(0));
        assert_eq!(Tick(10).after(Duration::from_millis(1)), Tick(11));
        assert_eq!(Tick(10).after(Duration::from_secs(5)), Tick(60));
        assert_eq!(Tick(10).after(Duration::ZERO), Tick(11));
    }
}
