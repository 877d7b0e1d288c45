//! A log line that may be due often and is written seldom.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Lets one line through per period and counts those it held back.
#[derive(Debug)]
pub struct Seldom {
    period: Duration,
    written: Cell<Option<Instant>>,
    held_back: Cell<u64>,
}

impl Seldom {
    /// At most one line per `period`; the first one passes.
    pub const fn every(period: Duration) -> Self {
        Self { period, written: Cell::new(None), held_back: Cell::new(0) }
    }

    /// Whether a line may be written at `now`; if so, how many were held back since the last one.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        if self.written.get().is_some_and(|written| now.duration_since(written) < self.period) {
            self.held_back.set(self.held_back.get() + 1);
            return None;
        }
        self.written.set(Some(now));
        Some(self.held_back.take())
    }

    /// Lets the next line pass, whenever it comes.
    pub fn reset(&self) {
        self.written.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_per_period_and_says_how_many_did_not() {
        let (seldom, start) = (Seldom::every(Duration::from_secs(10)), Instant::now());
        let table = [(0, Some(0)), (1, None), (9, None), (10, Some(2)), (11, None), (25, Some(1)), (40, Some(0))];
        for (second, passes) in table {
            assert_eq!(seldom.pass(start + Duration::from_secs(second)), passes, "at {second} s");
        }
        seldom.reset();
        assert_eq!(seldom.pass(start + Duration::from_secs(41)), Some(0));
    }
}
