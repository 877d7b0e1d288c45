//! The run's clock: nanoseconds since it began.

use std::time::{Duration, Instant};

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Counts from the beginning of a run. Copies count alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    /// Counts from this moment.
    pub(crate) fn since(began: Instant) -> Self {
        Self { began }
    }

    /// Nanoseconds since the beginning.
    pub(crate) fn now(self) -> u64 {
        nanoseconds(self.began.elapsed())
    }
}

/// The whole part; 0 below 0, `u64::MAX` above it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "that is what it says")]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

/// A duration in nanoseconds; 584 years at most.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds in nanoseconds.
pub(crate) fn from_seconds(seconds: f64) -> u64 {
    Duration::try_from_secs_f64(seconds).map_or(u64::MAX, nanoseconds)
}

/// Nanoseconds in seconds.
pub(crate) fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}
