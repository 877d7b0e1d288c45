//! How much a node still listens to somebody.

use super::Tick;

/// How many messages a client may still send: a bucket that fills with time.
///
/// Counted in tenths of a message, because a tick is a tenth of a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// Below zero for a client that goes on although it was refused.
    tenths: i32,
    at: Tick,
}

/// What an allowance says to one more message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is within the rate.
    Allowed,
    /// It is above the rate.
    TooFast,
    /// So is everything that a whole burst would have been.
    Incorrigible,
}

/// A full bucket holds what may be sent within this many seconds: a burst after a pause is not an attack.
const BURST_SECONDS: u32 = 2;

impl Allowance {
    pub(crate) fn new(now: Tick, messages_per_second: u32) -> Self {
        // Who came while there was no limit has a whole burst left once there is one.
        let tenths = if messages_per_second == 0 { i32::MAX } else { Self::full(messages_per_second) };
        Self { tenths, at: now }
    }

    /// Takes one message's worth. The bucket may be overdrawn by as much as it holds.
    pub(crate) fn spend(&mut self, now: Tick, messages_per_second: u32) -> Verdict {
        let full = Self::full(messages_per_second);
        let earned = messages_per_second.saturating_mul(now.ticks_since(self.at));
        self.tenths = self.tenths.saturating_add_unsigned(earned).min(full);
        self.at = now;
        if self.tenths - 10 < -full {
            return Verdict::Incorrigible;
        }
        self.tenths -= 10;
        if self.tenths < 0 { Verdict::TooFast } else { Verdict::Allowed }
    }

    fn full(messages_per_second: u32) -> i32 {
        // The configuration allows a million messages a second: far from the end of the numbers.
        i32::try_from(messages_per_second.saturating_mul(10 * BURST_SECONDS)).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_allowance_lets_a_burst_pass_and_then_the_rate() {
        let at = |millis| Tick::at(Duration::from_millis(millis));
        let mut allowance = Allowance::new(at(0), 5);
        let mut spend = |at, times: u32| -> Vec<Verdict> { (0..times).map(|_| allowance.spend(at, 5)).collect() };
        assert_eq!(spend(at(0), 10), [Verdict::Allowed; 10]);
        for second in 1..=10 {
            assert_eq!(spend(at(second * 1000), 5), [Verdict::Allowed; 5]);
        }
        assert_eq!(spend(at(10_000), 10), [Verdict::TooFast; 10], "a burst's worth of warnings");
        assert_eq!(spend(at(10_000), 3), [Verdict::Incorrigible; 3]);
        assert_eq!(spend(at(11_000), 5), [Verdict::TooFast; 5]);
        assert_eq!(spend(at(16_000), 11)[..10], [Verdict::Allowed; 10], "patience is rewarded");
    }

    #[test]
    fn who_came_without_a_limit_has_a_burst_once_there_is_one() {
        let mut allowance = Allowance::new(Tick::default(), 0);
        let verdicts: Vec<Verdict> = (0..3).map(|_| allowance.spend(Tick::default(), 1)).collect();
        assert_eq!(verdicts, [Verdict::Allowed, Verdict::Allowed, Verdict::TooFast]);
    }
}
