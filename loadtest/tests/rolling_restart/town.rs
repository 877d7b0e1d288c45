//! A town of users whose events are numbered, when each was published, and what must have become of it.

use crate::browser::Visit;
use loadtest::{Event, Publisher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// What is published later than this after a client is back must arrive, and what is published earlier than this before
/// it is closed: between an instance's first client and its subscription, and on a machine that stands still for a
/// moment.
const SURE_AFTER: Duration = Duration::from_secs(1);

pub(crate) struct Town {
    /// Where browsers connect.
    pub(crate) address: SocketAddr,
    pub(crate) connected: Count,
    usernames: Vec<String>,
    events_per_second: u32,
    is_over: AtomicBool,
    /// By user: when each event was about to be published.
    published: Vec<Mutex<Vec<Instant>>>,
}

/// How many there are at this moment.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Town {
    /// One whose browsers connect there.
    pub(crate) fn of(address: SocketAddr, users: usize, events_per_second: u32) -> Self {
        Self {
            address,
            connected: Count::default(),
            usernames: (0..users).map(|user| format!("user-{user}")).collect(),
            events_per_second,
            is_over: AtomicBool::new(false),
            published: (0..users).map(|_| Mutex::default()).collect(),
        }
    }

    /// Whose events the browser of this number wants.
    pub(crate) fn username_of(&self, browser: usize) -> &str {
        &self.usernames[browser % self.usernames.len()]
    }

    /// Nothing more is published.
    pub(crate) fn end(&self) {
        self.is_over.store(true, SeqCst);
    }

    /// Publishes at a steady rate to one user after the other, until the end.
    pub(crate) fn publish(&self, redis: SocketAddr) {
        let mut publisher = Publisher::connect(redis).unwrap();
        let (mut due, period) = (Instant::now(), Duration::from_secs(1) / self.events_per_second);
        for user in (0..self.usernames.len()).cycle() {
            if self.is_over.load(SeqCst) {
                break;
            }
            let sequence = {
                let mut moments = self.published(user);
                moments.push(Instant::now());
                moments.len() as u64 - 1
            };
            let username = &self.usernames[user];
            publisher.publish(username, Event { username, sequence }.json()).unwrap();
            due += period;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        for username in &self.usernames {
            publisher.publish(username, Event { username, sequence: Event::END }.json()).unwrap();
        }
    }

    /// Holds what the browser of this number heard against what was published.
    pub(crate) fn judge(&self, browser: usize, visits: &[Visit]) {
        let published = self.published(browser % self.usernames.len());
        for visit in visits {
            let from = visit.opened + SURE_AFTER;
            let to = visit.closed.unwrap_or_else(Instant::now);
            let first = published.iter().position(|&at| at > from);
            let last = published.iter().rposition(|&at| at + SURE_AFTER < to);
            let (Some(first), Some(last)) = (first, last) else { continue };
            if first > last {
                continue;
            }
            let (first, last) = (first as u64, last as u64);
            let has_all = visit.heard.as_ref().is_some_and(|heard| heard.contains(&first) && heard.contains(&last));
            assert!(has_all, "browser {browser} is owed {first} to {last} of {visit:?}");
        }
    }

    fn published(&self, user: usize) -> MutexGuard<'_, Vec<Instant>> {
        self.published[user].lock().unwrap()
    }
}

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    pub(crate) fn subtract(&self) {
        self.0.fetch_sub(1, SeqCst);
    }

    pub(crate) fn now(&self) -> usize {
        self.0.load(SeqCst)
    }
}
