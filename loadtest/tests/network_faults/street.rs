//! A street in which everybody listens for events that are published 500 times a second.

use loadtest::{Heard, Publisher, Row, Server};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const USERS: u64 = 5;

/// Events at a time.
const BATCH: u64 = 5;

/// What is known while it goes on.
pub(crate) struct Street {
    row: Row,
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
        Self { row: Row::of(USERS, BATCH), certain: AtomicU64::default(), heard: AtomicU64::default() }
    }
}

impl Street {
    /// Events that were published or are being published.
    pub(crate) fn begun(&self) -> u64 {
        self.row.begun()
    }

    pub(crate) fn certain(&self) -> u64 {
        self.certain.load(SeqCst)
    }

    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(SeqCst)
    }

    /// Everybody listens, and events go to a Redis that always answers, until `play` has ended.
    pub(crate) fn perform<T>(
        &self,
        server: &Server,
        redis: SocketAddr,
        play: impl FnOnce() -> T,
    ) -> (Vec<Vec<Heard>>, T) {
        let note = |number| {
            self.heard.fetch_max(number, SeqCst);
        };
        self.row.perform(server, note, || self.publish(redis), play)
    }

    fn publish(&self, redis: SocketAddr) -> Publisher {
        let mut publisher = Publisher::connect(redis).unwrap();
        let certain = |batch: &[(u64, i64)]| self.certain.store(batch.last().map_or(0, |(last, _)| last + 1), SeqCst);
        self.row.publish(&mut publisher, certain).unwrap();
        publisher
    }

    /// Holds what everybody heard against what is known.
    pub(crate) fn judge(&self, heard: &[Vec<Heard>], outage: Outage, gaps: u64) {
        let owed = (0..outage.from).chain(outage.to..self.begun());
        self.row.judge(heard, owed, gaps);
    }
}
