//! What is said while nothing comes: that is an answer, too.

use super::account::Account;
use super::record::Look;
use crate::client::publish::counted;
use crate::config::wish::Whose;
use std::time::{Duration, Instant};

/// Before the first word, and between it and the next ones.
const FIRST: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(10);

/// How long nothing has come, and when that was said.
pub(super) struct Silence {
    since: Instant,
    next: Duration,
}

impl Silence {
    pub(super) fn begin(now: Instant) -> Self {
        Self { since: now, next: FIRST }
    }

    /// Whether it is time to say something.
    pub(super) fn is_time(&mut self, now: Instant, last_event: Option<Instant>) -> bool {
        if let Some(event) = last_event.filter(|event| *event > self.since) {
            // Between two events a pause is nothing special.
            *self = Self { since: event, next: AGAIN };
        }
        if now.duration_since(self.since) < self.next {
            return false;
        }
        self.next += AGAIN;
        true
    }
}

/// What the silence means.
pub(super) fn sentence(whose: &Whose, look: &Look, account: &Account) -> String {
    let name = name(whose);
    let broker = match &account.broker_away {
        Some(since) => format!("it is not connected, since {since} at least: what is published does not arrive"),
        None => "it is connected".to_owned(),
    };
    let more = if account.events == 0 { "no event" } else { "no more events" };
    let here = match (whose, look.following) {
        (Whose::Connection(_), 0) => "that connection is not here: it has ended, or is another server's".to_owned(),
        (Whose::Connection(_), _) => "that connection is here".to_owned(),
        (_, 1) => "1 connection of that name is here".to_owned(),
        (_, following) => format!("{} of that name are here", counted(following, "connection")),
    };
    format!("the broker gave this server {more} for {name}; {broker}; {here}")
}

/// Whom it is about.
pub(super) fn name(whose: &Whose) -> String {
    match whose {
        Whose::Username(name) => name.clone(),
        Whose::Channel(name) => format!("channel {name}"),
        Whose::Connection(id) => format!("connection {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_spoken_of_soon_and_then_seldom() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let spoken = |silence: &mut Silence, seconds: std::ops::Range<u64>, event: Option<u64>| -> Vec<u64> {
            seconds.filter(|&now| silence.is_time(at(now), event.map(at))).collect()
        };
        let mut silence = Silence::begin(begin);
        assert_eq!(spoken(&mut silence, 0..25, None), [2, 12, 22]);
        assert_eq!(spoken(&mut silence, 25..50, Some(25)), [35, 45], "an event begins another silence");
    }
}
