//! How long a shard has been behind: with something to do all the time, and not one moment without.
//!
//! A shard that lies down finds out whether anything waits for it. As long as it finds something each time, what waits
//! may have waited since the last time it found nothing, in a queue of its own or in the kernel's; so this is the bound
//! of how late it hears and serves: events, clients' messages and handshakes alike. Fast turns do not help against that:
//! a shard that always finds more is behind, however short its turns are. A load that it can carry leaves pauses many
//! times a second, even at 95 % of the processor.
//!
//! It had nothing to do if it looked and heard nothing, or if the kernel put it to sleep because it waited. How long a
//! look took says nothing: on a machine that does other things, too, it is taken off its core whatever waits for it.

use nix::sys::resource::{UsageWho, getrusage};
use std::mem;
use std::time::{Duration, Instant};

/// How often the kernel is asked: the least that a server can be told to be patient for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The longest time between two looks that is work; whatever is longer was a halt of the process or of the machine, which
/// says nothing about the load.
const WORK_MAX: Duration = Duration::from_secs(1);

/// A shard's time without a pause, to a tenth of a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strain {
    behind: Duration,
    looked: Instant,
    /// Whether it has heard nothing since.
    has_paused: bool,
    /// How often the kernel had put it to sleep by then.
    sleeps: i64,
}

impl Strain {
    pub(super) fn new(now: Instant) -> Self {
        Self { behind: Duration::ZERO, looked: now, has_paused: true, sleeps: 0 }
    }

    /// The shard had nothing left to do, listened, and so many had something to say.
    pub(super) fn heard(&mut self, descriptors: usize) {
        self.has_paused |= descriptors == 0;
    }

    /// A turn begins: how long have there been no pauses? Now and then `sleeps` is asked how often the thread was put to
    /// sleep so far, see [`sleeps_of_thread`].
    pub(super) fn turn(&mut self, now: Instant, sleeps: impl FnOnce() -> i64) -> Duration {
        let worked = now.saturating_duration_since(self.looked);
        if worked >= LOOK_EVERY {
            let sleeps = sleeps();
            let has_slept = mem::replace(&mut self.sleeps, sleeps) != sleeps;
            let has_paused = mem::take(&mut self.has_paused) || has_slept;
            self.behind = if has_paused { Duration::ZERO } else { self.behind + worked.min(WORK_MAX) };
            self.looked = now;
        }
        self.behind
    }
}

/// How often this thread has waited in the kernel and was put to sleep for that; getrusage(2), `ru_nvcsw`. Waiting for a
/// lock that another shard holds counts, too, though it is no pause: there are few, held for a look into a table.
pub(super) fn sleeps_of_thread() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).expect("a thread may ask about itself").voluntary_context_switches()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const MILLI: Duration = Duration::from_millis(1);

    /// A shard whose turns take a millisecond each.
    struct Day {
        strain: Strain,
        now: Instant,
        sleeps: i64,
    }

    impl Day {
        fn new() -> Self {
            let now = Instant::now();
            let mut day = Self { strain: Strain::new(now), now, sleeps: 0 };
            assert_eq!(day.turns(100), Duration::ZERO, "it begins with a pause");
            day
        }

        /// So many turns, in which it always finds more to do.
        fn turns(&mut self, turns: u32) -> Duration {
            for _ in 0..turns {
                self.now += MILLI;
                self.strain.heard(7);
                self.strain.turn(self.now, || self.sleeps);
            }
            self.strain.turn(self.now, || self.sleeps)
        }
    }

    #[test]
    fn a_shard_that_always_finds_more_is_behind_since_its_last_pause() {
        let mut day = Day::new();
        assert_eq!(day.turns(5_000), 5_000 * MILLI);
        day.sleeps += 1;
        assert_eq!(day.turns(100), Duration::ZERO, "it slept");
        assert_eq!(day.turns(300), 300 * MILLI, "and is counted from there");
        day.strain.heard(0);
        assert_eq!(day.turns(100), Duration::ZERO, "nothing was there, though it did not sleep");
    }

    #[test]
    fn one_pause_in_a_hundred_turns_is_enough() {
        let mut day = Day::new();
        for _ in 0..1_000 {
            day.sleeps += 1;
            assert_eq!(day.turns(100), Duration::ZERO);
        }
    }

    #[test]
    fn a_halt_of_the_process_is_a_second_of_work() {
        let mut day = Day::new();
        day.now += Duration::from_secs(3_600);
        assert_eq!(day.turns(1), WORK_MAX);
        assert_eq!(day.turns(100), WORK_MAX + 100 * MILLI);
    }

    #[test]
    fn a_thread_that_waits_sleeps_and_one_that_is_taken_off_its_core_does_not() {
        let before = sleeps_of_thread();
        thread::sleep(MILLI);
        let after = sleeps_of_thread();
        assert!(after > before);
        (0..1_000).for_each(|_| thread::yield_now());
        assert_eq!(sleeps_of_thread(), after);
    }
}
