//! How long the doctor still waits, on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where nobody watches, a line stands for so many seconds.
const LINE_SECONDS: u64 = 15;

/// A wait that is shown while it lasts.
pub(super) struct Countdown {
    what: &'static str,
    end: Instant,
    /// What was said last, in seconds.
    said: Option<u64>,
    is_watched: bool,
}

impl Countdown {
    pub(super) fn of(what: &'static str, length: Duration) -> Self {
        Self { what, end: Instant::now() + length, said: None, is_watched: io::stderr().is_terminal() }
    }

    /// What is left; says so where it is a second less than before.
    pub(super) fn left(&mut self) -> Duration {
        let left = self.end.saturating_duration_since(Instant::now());
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        if self.is_due(seconds) {
            self.said = Some(seconds);
            let (begin, end) = if self.is_watched { ("\r\x1b[K", "") } else { ("", "\n") };
            // Where nobody hears it, nothing else is lost.
            drop(write!(io::stderr(), "{begin}{}: {seconds} s left{end}", self.what));
        }
        left
    }

    fn is_due(&self, seconds: u64) -> bool {
        let is_other = self.said != Some(seconds);
        is_other && (self.is_watched || self.said.is_none_or(|said| said >= seconds + LINE_SECONDS))
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        if self.is_watched {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_hears_every_second_and_a_log_a_few() {
        let said = |is_watched| {
            let mut countdown = Countdown { is_watched, ..Countdown::of("a test", Duration::ZERO) };
            let due = |countdown: &mut Countdown, seconds| {
                let is_due = countdown.is_due(seconds);
                countdown.said = if is_due { Some(seconds) } else { countdown.said };
                is_due
            };
            [75, 75, 74, 60, 59, 0].map(|seconds| due(&mut countdown, seconds))
        };
        assert_eq!(said(true), [true, false, true, true, true, true]);
        assert_eq!(said(false), [true, false, false, true, false, true]);
    }
}
