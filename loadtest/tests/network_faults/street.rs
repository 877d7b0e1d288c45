//! A street in which everybody listens for events that are published 500 times a second.

use loadtest::{Client, Heard, Publisher, Row, Server};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const USERS: u64 = 5;

/// So many events at a time and so often.
const BATCH: u64 = 5;
const BATCH_PERIOD: Duration = Duration::from_millis(10);

/// What is known while it goes on.
pub(crate) struct Street {
    row: Row,
    is_over: AtomicBool,
    /// Events that were published or are being published.
    begun: AtomicU64,
    /// Events that Redis has given to its subscribers for certain.
    certain: AtomicU64,
    /// The highest number that a client has heard.
    heard: AtomicU64,
}

/// What must not be missing: everything, but for what was published between these two numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Default for Street {
    fn default() -> Self {
        let (is_over, begun, certain, heard) = Default::default();
        Self { row: Row::of(USERS), is_over, begun, certain, heard }
    }
}

impl Street {
    pub(crate) fn connect(&self, server: &Server) -> Vec<(u64, Client)> {
        self.row.connect(server)
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
            self.row.send(&mut publisher, batch.clone()).unwrap();
            for _ in batch.clone() {
                publisher.receivers().unwrap();
            }
            self.certain.store(batch.start, SeqCst);
            due += BATCH_PERIOD;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        self.row.end(&mut publisher);
    }

    /// What one client hears until the end.
    pub(crate) fn listen(&self, client: (u64, Client)) -> Vec<Heard> {
        self.row.listen(client, |number| {
            self.heard.fetch_max(number, SeqCst);
        })
    }

    /// Holds what everybody heard against what is known.
    pub(crate) fn judge(&self, heard: &[Vec<Heard>], outage: Outage, gaps: u64) {
        let owed = (0..outage.from).chain(outage.to..self.begun());
        self.row.judge(heard, self.begun(), owed, gaps);
    }
}
