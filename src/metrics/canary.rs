//! What is known of the canary: a stamp that the broker's node publishes to itself and must hear again.

use super::{Counter, microseconds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whose canary was not heard for so long does not know whether events arrive. One is sent each second: by then two in
/// a row are missing, and whatever has gone wrong is known within three seconds.
pub const CANARY_AGE_MAX: Duration = Duration::from_millis(2_500);

/// Whether a source proves that events arrive, and when it last did. Anybody may read; the broker's node writes.
#[derive(Debug)]
pub struct CanaryStatus {
    start: Instant,
    /// An [`Expectation`].
    expectation: AtomicU64,
    /// When it was last heard, in microseconds from the start; 0 for never.
    heard_us: AtomicU64,
    round_trip_us: AtomicU64,
    /// Stamps that were published.
    pub sent: Counter,
    /// Stamps that did not come back, or later than [`CANARY_AGE_MAX`].
    pub lost: Counter,
}

/// Whether there is a canary to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Expectation {
    /// The source needs none: it is this process.
    None,
    /// Events arrive only if it is heard.
    Expected,
    /// The source forbids it: nothing is proven, and nothing is concluded from that.
    Denied,
}

impl CanaryStatus {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            expectation: AtomicU64::new(Expectation::None as u64),
            heard_us: AtomicU64::default(),
            round_trip_us: AtomicU64::default(),
            sent: Counter::default(),
            lost: Counter::default(),
        }
    }

    /// What is to be heard from now on.
    pub fn expect(&self, expectation: Expectation) {
        self.expectation.store(expectation as u64, Ordering::Release);
    }

    /// What is to be heard.
    pub fn expectation(&self) -> Expectation {
        let expectation = self.expectation.load(Ordering::Acquire);
        [Expectation::Expected, Expectation::Denied]
            .into_iter()
            .find(|&it| it as u64 == expectation)
            .unwrap_or(Expectation::None)
    }

    /// A stamp has come back, so long after it was published.
    pub fn note_heard(&self, now: Instant, round_trip: Duration) {
        self.round_trip_us.store(microseconds(round_trip), Ordering::Relaxed);
        self.heard_us.store(microseconds(now.duration_since(self.start)).max(1), Ordering::Release);
    }

    /// What was heard so far proves nothing about the next connection.
    pub fn forget(&self) {
        self.heard_us.store(0, Ordering::Release);
    }

    /// How long ago one was heard on the connection that is open; `None` if none was.
    pub fn age(&self) -> Option<Duration> {
        let heard = Duration::from_micros(Some(self.heard_us.load(Ordering::Acquire)).filter(|&us| us > 0)?);
        Some(self.start.elapsed().saturating_sub(heard))
    }

    /// How long the last one that was heard took from the publishing connection to the subscribing one.
    pub fn round_trip(&self) -> Option<Duration> {
        Some(self.round_trip_us.load(Ordering::Relaxed)).filter(|&us| us > 0).map(Duration::from_micros)
    }

    /// Whether nothing speaks against events arriving.
    pub fn is_well(&self) -> bool {
        self.expectation() != Expectation::Expected || self.age().is_some_and(|age| age <= CANARY_AGE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_expected_canary_must_be_heard_and_not_long_ago() {
        let status = CanaryStatus::new();
        assert!(status.is_well(), "nobody expects one");
        status.expect(Expectation::Expected);
        assert!(!status.is_well(), "none was heard");
        assert_eq!((status.age(), status.round_trip()), (None, None));
        status.note_heard(Instant::now(), Duration::from_micros(70));
        assert!(status.is_well() && status.age().is_some());
        assert_eq!(status.round_trip(), Some(Duration::from_micros(70)));
        status.forget();
        assert!(!status.is_well(), "that was another connection");
        status.expect(Expectation::Denied);
        assert!(status.is_well(), "it cannot be heard");
    }

    #[test]
    fn one_that_was_heard_too_long_ago_is_none() {
        let mut status = CanaryStatus::new();
        status.expect(Expectation::Expected);
        let heard = status.start;
        status.note_heard(heard, Duration::ZERO);
        for (age, is_well) in [(CANARY_AGE_MAX / 2, true), (CANARY_AGE_MAX * 2, false)] {
            status.start = Instant::now().checked_sub(age).expect("the machine has run for some seconds");
            assert_eq!(status.is_well(), is_well, "{age:?}");
        }
    }
}
