//! What is known by now: events that came, connections that wait, the broker.

use super::record::{Look, Record};
use crate::client::clock;
use std::collections::VecDeque;
use std::time::Instant;

/// Events that are remembered, to count each once: those of 20 seconds, by what a server records.
const EVENTS_MAX: usize = 1024;

/// Connections that are watched while they wait.
const WAITING_MAX: usize = 32;

/// What is known by now.
#[derive(Default)]
pub(super) struct Account {
    /// What to ask for next.
    pub(super) cursor: String,
    /// Events that came, delivered or not.
    pub(super) events: u64,
    /// When the last one was heard of.
    pub(super) last_event: Option<Instant>,
    /// Connections whose sockets take no more.
    pub(super) waiting: Vec<String>,
    /// Since when the broker is away, as far as this trace has seen it.
    pub(super) broker_away: Option<String>,
    known: VecDeque<String>,
    is_lost: bool,
}

impl Account {
    /// The server is away; whether that is news.
    pub(super) fn lose(&mut self) -> bool {
        // What comes back may be another process, with other numbers.
        self.cursor.clear();
        self.waiting.clear();
        !std::mem::replace(&mut self.is_lost, true)
    }

    /// The server has answered; whether it had been away.
    pub(super) fn find_again(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }

    /// The head of an answer; what has become of the broker, if that is news.
    pub(super) fn take(&mut self, look: &Look) -> Option<&'static str> {
        self.cursor.clone_from(&look.cursor);
        match (&self.broker_away, look.broker.connected) {
            (None, false) => {
                self.broker_away = Some(clock::now_of_day());
                Some("the broker is not connected any more: what is published now does not arrive")
            }
            (Some(_), true) => {
                self.broker_away = None;
                Some("the broker is connected again")
            }
            _ => None,
        }
    }

    /// One record more; whether it is the first one of its event.
    pub(super) fn note(&mut self, record: &Record, now: Instant) -> bool {
        let is_new = match &record.event {
            Some(event) => !self.known.contains(event),
            // What cannot be delivered may have no name.
            None => record.what == "dropped",
        };
        if is_new {
            self.events += 1;
            self.last_event = Some(now);
            self.known.truncate(EVENTS_MAX - 1);
            record.event.iter().for_each(|event| self.known.push_front(event.clone()));
        }
        let Some(connection) = &record.connection else { return is_new };
        match record.what.as_str() {
            "waits" if !self.waiting.contains(connection) && self.waiting.len() < WAITING_MAX => {
                self.waiting.push(connection.clone());
            }
            "caught_up" | "closed" | "left" => self.waiting.retain(|waiting| waiting != connection),
            _ => {}
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_server_was_asked_about_its_successor_is_not() {
        let mut account = Account::default();
        let record =
            |what: &str| Record { what: what.to_owned(), connection: Some("0-7".to_owned()), ..Record::default() };
        account.note(&record("waits"), Instant::now());
        assert_eq!(account.waiting, ["0-7"]);
        assert!(account.lose() && account.waiting.is_empty());
    }
}
