//! How long a client waits before it comes back.

use std::time::Duration;

/// After the first loss, and after a server that restarts.
const SHORTEST: Duration = Duration::from_millis(250);

/// A server that is away for a long time is asked no more often.
const LONGEST: Duration = Duration::from_secs(10);

/// No answer makes anybody wait for longer than this.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// Pauses that double, each at least half and at most all of what it may be, so that many do not come back together.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    random: fastrand::Rng,
}

impl Pauses {
    pub(super) fn new() -> Self {
        Self { next: SHORTEST, random: fastrand::Rng::new() }
    }

    /// It was connected: the next pause is a short one.
    pub(super) fn reset(&mut self) {
        self.next = SHORTEST;
    }

    /// The next pause; where the server has asked for one, at least that.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(LONGEST);
        let pause = half + half.mul_f64(self.random.f64());
        pause.max(asked.unwrap_or_default().min(ASKED_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_a_connection() {
        let mut pauses = Pauses::new();
        let mut whole = SHORTEST;
        for _ in 0..20 {
            let pause = pauses.next(None);
            assert!((whole / 2..=whole).contains(&pause), "{pause:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        pauses.reset();
        assert!(pauses.next(None) <= SHORTEST);
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_it_within_reason() {
        let mut pauses = Pauses::new();
        assert_eq!(pauses.next(Some(Duration::from_secs(15))), Duration::from_secs(15));
        assert_eq!(pauses.next(Some(Duration::from_secs(86_400))), ASKED_MAX);
    }
}
