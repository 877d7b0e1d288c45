//! How long a shard has been behind: with something to do all the time, and not one moment without.
//!
//! A shard that lies down finds out whether anything waits for it. As long as it finds something each time, what waits
//! may have waited since the last time it found nothing, in a queue of its own or in the kernel's; so this is the bound
//! of how late it hears and serves: events, clients' messages and handshakes alike. Fast turns do not help against that:
//! a shard that always finds more is behind, however short its turns are. A load that it can carry leaves pauses many
//! times a second, even at 95 % of the processor.

use std::time::{Duration, Instant};

/// A sleep from which the shard was woken: to be put to sleep and woken takes longer than to hear what was there.
const PAUSE_MIN: Duration = Duration::from_micros(30);

/// The longest turn that is work; whatever is longer was a halt of the process or of the machine, which says nothing
/// about the load.
const TURN_MAX: Duration = Duration::from_secs(1);

/// A shard's time without a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strain {
    behind: Duration,
    turned: Instant,
    lay_down: Option<LayDown>,
}

/// When a shard with nothing left to do lay down, and what it then heard.
#[derive(Clone, Copy, Debug)]
struct LayDown {
    at: Instant,
    heard: usize,
}

impl Strain {
    pub(super) fn new(now: Instant) -> Self {
        Self { behind: Duration::ZERO, turned: now, lay_down: None }
    }

    /// The shard had nothing left to do, lay down at this moment and got up when it heard so many.
    pub(super) fn lay_down(&mut self, at: Instant, heard: usize) {
        self.lay_down = Some(LayDown { at, heard });
    }

    /// A turn begins: how long have there been no pauses?
    pub(super) fn turn(&mut self, now: Instant) -> Duration {
        let is_pause = |LayDown { at, heard }| heard == 0 || now.saturating_duration_since(at) >= PAUSE_MIN;
        let length = now.saturating_duration_since(self.turned);
        self.behind = match self.lay_down.take() {
            Some(lay_down) if is_pause(lay_down) => Duration::ZERO,
            _ => self.behind + length.min(TURN_MAX),
        };
        self.turned = now;
        self.behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// A shard whose turns take a millisecond each, the sleep before them included.
    struct Day {
        strain: Strain,
        now: Instant,
    }

    impl Day {
        fn new() -> Self {
            let now = Instant::now();
            Self { strain: Strain::new(now), now }
        }

        /// The next turn: what it lay down for, and what it heard then.
        fn turn(&mut self, slept: Option<Duration>, heard: usize) -> Duration {
            self.now += MILLI;
            if let Some(slept) = slept {
                self.strain.lay_down(self.now.checked_sub(slept).expect("it turned before"), heard);
            }
            self.strain.turn(self.now)
        }
    }

    #[test]
    fn a_shard_that_always_finds_more_is_behind_since_its_last_pause() {
        let mut day = Day::new();
        for turns in 1..=5_000 {
            // It lies down every third time, and something is there already.
            let slept = (turns % 3 == 0).then_some(PAUSE_MIN / 2);
            assert_eq!(day.turn(slept, 7), turns * MILLI);
        }
        assert_eq!(day.turn(Some(PAUSE_MIN), 1), Duration::ZERO, "it slept");
        assert_eq!(day.turn(None, 0), MILLI, "and is counted from there");
        assert_eq!(day.turn(Some(PAUSE_MIN / 30), 0), Duration::ZERO, "nothing was there, though it did not sleep");
    }

    #[test]
    fn one_pause_in_a_hundred_turns_is_enough() {
        let mut day = Day::new();
        let behind = (0..100_000).map(|turn| day.turn((turn % 100 == 0).then_some(2 * PAUSE_MIN), 256));
        assert_eq!(behind.max(), Some(99 * MILLI));
    }

    #[test]
    fn a_halt_of_the_process_is_one_turn() {
        let mut day = Day::new();
        day.now += Duration::from_secs(3_600);
        assert_eq!(day.turn(None, 0), TURN_MAX);
        assert_eq!(day.turn(None, 0), TURN_MAX + MILLI);
    }
}
