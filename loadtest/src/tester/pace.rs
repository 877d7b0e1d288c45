//! The open loop's schedule: when each event is due, whatever happened to the earlier ones.

use super::clock::{SECOND, whole};

/// Evenly spaced and absolute: never moved when something was late, so that waiting counts as latency and no event that
/// was due is left out (no coordinated omission).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Nanoseconds on the run's clock.
    began: u64,
    interval: f64,
}

impl Pace {
    /// `per_second` events from `began` on; above 0.
    pub(crate) fn new(began: u64, per_second: f64) -> Self {
        assert!(per_second > 0.0, "a rate of {per_second} has no interval");
        Self { began, interval: SECOND as f64 / per_second }
    }

    /// When the event with this number is due, in nanoseconds on the run's clock.
    pub(crate) fn due(self, number: u64) -> u64 {
        self.began + whole(number as f64 * self.interval)
    }

    /// Events that are due before `time`.
    pub(crate) fn count_before(self, time: u64) -> u64 {
        let estimate = whole(time.saturating_sub(self.began) as f64 / self.interval);
        // Rounding may be off by one in either direction.
        let near = estimate.saturating_sub(1)..=estimate + 2;
        near.into_iter().find(|&number| self.due(number) >= time).unwrap_or(estimate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_evenly_from_the_beginning() {
        let pace = Pace::new(500, 4.0);
        let due: Vec<u64> = (0..5).map(|number| pace.due(number)).collect();
        assert_eq!(due, [500, 250_000_500, 500_000_500, 750_000_500, 1_000_000_500]);
        assert_eq!(Pace::new(0, 0.5).due(3), 6 * SECOND);
    }

    #[test]
    fn as_many_are_due_before_a_moment_as_have_earlier_times() {
        for rate in [0.3, 1.0, 7.0, 1_000.0, 333_333.3] {
            let pace = Pace::new(1_000, rate);
            for time in [0, 1_000, 1_001, SECOND, 3 * SECOND + 7, 10 * SECOND] {
                let count = pace.count_before(time);
                assert!(count == 0 || pace.due(count - 1) < time, "{rate} {time}");
                assert!(pace.due(count) >= time, "{rate} {time}");
            }
        }
    }
}
