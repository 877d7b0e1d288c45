//! Events numbered in one row that everybody in a street listens for, and what must have become of each.

use loadtest::{Client, Event, Publisher, Server};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Users, one client each. The event with number n is for user n modulo this.
const USERS: u64 = 5;

/// So many events at a time and so often: 500 a second.
const BATCH: u64 = 5;
const BATCH_PERIOD: Duration = Duration::from_millis(10);

/// The number that nothing comes behind.
const END: u64 = u64::MAX;

/// What is known while it goes on.
#[derive(Default)]
pub(crate) struct Row {
    is_over: AtomicBool,
    /// Events that were published or are being published.
    begun: AtomicU64,
    /// Events that Redis has given to its subscribers for certain.
    certain: AtomicU64,
    /// The highest number that a client has heard.
    heard: AtomicU64,
}

/// What a client was told, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Gap,
    Event(u64),
}

/// What must not be missing: everything, but for what was published between these two numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Row {
    /// A client for everybody, each with the number of its user.
    pub(crate) fn connect(server: &Server) -> Vec<(u64, Client)> {
        let connect = |user| Client::connect(server.address, &format!("/ws?username=user-{user}&meta=1")).unwrap();
        (0..USERS).map(|user| (user, connect(user))).collect()
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(SeqCst)
    }

    pub(crate) fn certain(&self) -> u64 {
        self.certain.load(SeqCst)
    }

    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(SeqCst)
    }

    /// Nothing more is published.
    pub(crate) fn end(&self) {
        self.is_over.store(true, SeqCst);
    }

    /// Publishes until the end to a Redis that always answers.
    ///
    /// Redis answers publishers and serves subscribers at the end of each of its turns: what it has given away is certain
    /// once the *next* batch is answered.
    pub(crate) fn publish(&self, redis: SocketAddr) {
        let (mut publisher, mut due) = (Publisher::connect(redis).unwrap(), Instant::now());
        while !self.is_over.load(SeqCst) {
            let batch = self.begun()..self.begun() + BATCH;
            self.begun.store(batch.end, SeqCst);
            for number in batch.clone() {
                let username = username(number % USERS);
                publisher.send_event(&username, Event { username: &username, sequence: number }.json()).unwrap();
            }
            for _ in batch.clone() {
                publisher.receivers().unwrap();
            }
            self.certain.store(batch.start, SeqCst);
            due += BATCH_PERIOD;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        for username in (0..USERS).map(username) {
            publisher.publish(&username, Event { username: &username, sequence: END }.json()).unwrap();
        }
    }

    /// What one client hears until the end.
    pub(crate) fn listen(&self, (user, mut client): (u64, Client)) -> Vec<Heard> {
        let (username, mut heard) = (username(user), Vec::new());
        loop {
            let text = client.text().unwrap_or_else(|| panic!("{username} hears nothing more"));
            if text.contains(r#""type":"fanout.gap""#) {
                heard.push(Heard::Gap);
                continue;
            }
            let event = Event::parse(text.as_bytes()).unwrap_or_else(|| panic!("nobody published {text}"));
            assert_eq!(event.username, username, "a stranger's event");
            if event.sequence == END {
                return heard;
            }
            heard.push(Heard::Event(event.sequence));
            self.heard.fetch_max(event.sequence, SeqCst);
        }
    }

    /// Holds what everybody heard against what is known.
    pub(crate) fn judge(&self, heard: &[Vec<Heard>], outage: Outage, gaps: u64) {
        for (user, heard) in (0..USERS).zip(heard) {
            let told = heard.iter().filter(|&&heard| heard == Heard::Gap).count() as u64;
            assert_eq!(told, gaps, "user {user}: each gap is announced once");
            let numbers: Vec<u64> = heard.iter().filter_map(Heard::number).collect();
            assert!(numbers.is_sorted_by(|before, after| before < after), "user {user}: in order, and nothing twice");
            let is_published = |number: &u64| number % USERS == user && *number < self.begun();
            assert!(numbers.iter().all(is_published), "user {user}: nothing is invented");
            let owed = (0..outage.from).chain(outage.to..self.begun()).filter(|number| number % USERS == user);
            let missing: Vec<u64> = owed.filter(|number| numbers.binary_search(number).is_err()).collect();
            assert!(missing.is_empty(), "user {user} with {outage:?}: these are missing: {missing:?}");
        }
    }
}

impl Heard {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Event(number) => Some(*number),
            Self::Gap => None,
        }
    }
}

fn username(user: u64) -> String {
    format!("user-{user}")
}
