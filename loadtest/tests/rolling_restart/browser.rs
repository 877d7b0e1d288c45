//! A page that listens, and comes back as pages do: after the close, at a moment of its own, later each time it fails.

use crate::town::Town;
use loadtest::{Client, Event, Received};
use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

/// The longest pause before the first attempt; it doubles with each that fails.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long nothing may be heard: events come more often.
const SILENCE: Duration = Duration::from_secs(30);

/// One of them.
pub(crate) struct Browser<'a> {
    pub(crate) town: &'a Town,
    pub(crate) number: usize,
}

/// One connection from its answer to its end.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) opened: Instant,
    /// When it was closed with 1012; `None` where the last event came first.
    pub(crate) closed: Option<Instant>,
    /// The numbers of the events that came: each once, in order, without a hole.
    pub(crate) heard: Option<RangeInclusive<u64>>,
    /// Attempts that failed before it.
    pub(crate) failures: u32,
}

impl Browser<'_> {
    /// Listens until the last event of its user.
    pub(crate) fn listen(&self) -> Vec<Visit> {
        let mut visits = Vec::new();
        loop {
            let (client, failures) = self.connect();
            self.town.connected.add();
            let visit = self.visit(client, failures);
            self.town.connected.subtract();
            let has_ended = visit.closed.is_none();
            visits.push(visit);
            if has_ended {
                return visits;
            }
            thread::sleep(PAUSE.mul_f64(fastrand::f64()));
        }
    }

    /// Every second one wants to hear of drains.
    fn wants_notices(&self) -> bool {
        self.number.is_multiple_of(2)
    }

    fn connect(&self) -> (Client, u32) {
        let meta = if self.wants_notices() { "&meta=1" } else { "" };
        let target = format!("/ws?username={}{meta}", self.town.username_of(self.number));
        let mut failures = 0;
        loop {
            match Client::connect(self.town.address, &target) {
                Ok(client) => return (client, failures),
                Err(refused) => assert!(failures < 20, "{target} is not let in: {refused:?}"),
            }
            failures += 1;
            thread::sleep((PAUSE * 2_u32.pow(failures)).min(PAUSE_MAX).mul_f64(fastrand::f64()));
        }
    }

    fn visit(&self, mut client: Client, failures: u32) -> Visit {
        let username = self.town.username_of(self.number);
        let mut visit = Visit { opened: Instant::now(), closed: None, heard: None, failures };
        let mut was_told = false;
        loop {
            let text = match client.receive(SILENCE) {
                Received::Text(text) => text,
                Received::Ping | Received::Pong(_) => continue,
                Received::Closed(code) => {
                    assert_eq!(code, 1012, "{username} is asked to come back");
                    assert!(was_told || !self.wants_notices(), "{username} wanted to be told before");
                    visit.closed = Some(Instant::now());
                    return visit;
                }
                other => panic!("{username} heard {other:?}"),
            };
            if text.contains(r#""type":"fanout."#) {
                was_told |= text.contains("fanout.draining");
                continue;
            }
            let event = Event::parse(text.as_bytes()).unwrap_or_else(|| panic!("nobody published {text}"));
            assert_eq!(event.username, username, "a stranger's event");
            if event.sequence == Event::END {
                return visit;
            }
            visit.note(event.sequence);
        }
    }
}

impl Visit {
    fn note(&mut self, number: u64) {
        let first = match &self.heard {
            None => number,
            Some(heard) => {
                assert_eq!(number, heard.end() + 1, "each once, in order, without a hole: after {heard:?}");
                *heard.start()
            }
        };
        self.heard = Some(first..=number);
    }
}
