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
    cursor: String,
    events: u64,
    known: VecDeque<String>,
    last_event: Option<Instant>,
    waiting: Vec<String>,
    is_lost: bool,
    broker_is_there: Option<bool>,
    broker_changed: Option<&'static str>,
    /// When the broker was first seen to be away.
    broker_away: Option<String>,
}

impl Account {
    /// What to ask for next.
    pub(super) fn cursor(&self) -> &str {
        &self.cursor
    }

    /// Events that came, delivered or not.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// When the last one was heard of.
    pub(super) fn last_event(&self) -> Option<Instant> {
        self.last_event
    }

    /// Since when the broker is away, as far as this trace has seen it.
    pub(super) fn broker_away(&self) -> Option<&str> {
        self.broker_away.as_deref()
    }

    /// Connections whose sockets take no more.
    pub(super) fn waiting(&self) -> Vec<String> {
        self.waiting.clone()
    }

    /// The server is away; whether that is news.
    pub(super) fn lose(&mut self) -> bool {
        // What comes back may be another process, with other numbers.
        self.cursor.clear();
        !std::mem::replace(&mut self.is_lost, true)
    }

    /// The head of an answer; whether the server had been away.
    pub(super) fn take(&mut self, look: &Look) -> bool {
        self.cursor.clone_from(&look.cursor);
        let before = self.broker_is_there.replace(look.broker.connected);
        self.broker_changed = match (before, look.broker.connected) {
            (Some(true), false) => Some("the broker is not connected any more: what is published now does not arrive"),
            (Some(false), true) => Some("the broker is connected again"),
            _ => None,
        };
        let away = self.broker_away.take();
        self.broker_away = (!look.broker.connected).then(|| away.unwrap_or_else(clock::now_of_day));
        std::mem::take(&mut self.is_lost)
    }

    /// What has become of the broker, if that is news.
    pub(super) fn change_of_broker(&mut self) -> Option<&'static str> {
        self.broker_changed.take()
    }

    /// One record more.
    pub(super) fn note(&mut self, record: &Record, now: Instant) {
        match (&record.event, record.what.as_str()) {
            (Some(event), _) if !self.known.contains(event) => {
                self.known.truncate(EVENTS_MAX - 1);
                self.known.push_front(event.clone());
                self.events += 1;
                self.last_event = Some(now);
            }
            // What cannot be delivered has no name.
            (None, "dropped") => {
                self.events += 1;
                self.last_event = Some(now);
            }
            _ => {}
        }
        let Some(connection) = &record.connection else { return };
        match record.what.as_str() {
            "waits" if !self.waiting.contains(connection) && self.waiting.len() < WAITING_MAX => {
                self.waiting.push(connection.clone());
            }
            "caught_up" | "closed" | "left" => self.waiting.retain(|waiting| waiting != connection),
            _ => {}
        }
    }
}
