//! A town whose events are numbered in one row, and what must have become of each.

use loadtest::{Heard, Publisher, Row, Server};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

const USERS: u64 = 20;

/// Events at a time: 5 000 a second.
const BATCH: u64 = 50;

/// How soon a Redis that does not answer is asked again: it is also how exactly it is known when it does.
const ASK_AGAIN: Duration = Duration::from_millis(5);

pub(super) struct Town {
    redis: SocketAddr,
    row: Row,
    outages: Mutex<Vec<Outage>>,
}

/// One time without Redis.
#[derive(Default)]
struct Outage {
    /// When it answered again, and the number of the first event that was published then.
    answered: Option<(Instant, u64)>,
    /// When an event from behind it reached a client first.
    back: Option<Instant>,
}

impl Town {
    /// One whose events go there.
    pub(super) fn of(redis: SocketAddr) -> Self {
        Self { redis, row: Row::of(USERS, BATCH), outages: Mutex::default() }
    }

    /// Everybody listens, and events go to whatever Redis there is, until `play` has ended: what everybody heard, and the
    /// events that Redis has given to a subscriber for certain.
    pub(super) fn perform(&self, server: &Server, play: impl FnOnce()) -> (Vec<Vec<Heard>>, Vec<u64>) {
        let mut owed = Vec::new();
        let (heard, ()) = self.row.perform(server, |number| self.note_heard(number), || self.publish(&mut owed), play);
        (heard, owed)
    }

    /// An outage begins.
    pub(super) fn note_killed(&self) {
        self.outages().push(Outage::default());
    }

    /// Whether an event from behind the last outage has arrived.
    pub(super) fn is_back(&self) -> bool {
        self.outages().last().is_some_and(|outage| outage.back.is_some())
    }

    fn outages(&self) -> MutexGuard<'_, Vec<Outage>> {
        self.outages.lock().unwrap()
    }

    fn publish(&self, owed: &mut Vec<u64>) -> Publisher {
        let mut certain = |batch: &[(u64, i64)]| {
            assert!(batch.iter().all(|&(_, receivers)| receivers <= 1), "one instance subscribes once: {batch:?}");
            owed.extend(batch.iter().filter(|(_, receivers)| *receivers == 1).map(|(number, _)| number));
        };
        while !self.row.is_over() {
            let answering = Publisher::connect(self.redis).and_then(|mut publisher| {
                publisher.command(&["PING"])?;
                Ok(publisher)
            });
            let Ok(mut publisher) = answering else {
                thread::sleep(ASK_AGAIN);
                continue;
            };
            if let Some(outage) = self.outages().last_mut() {
                outage.answered.get_or_insert((Instant::now(), self.row.begun()));
            }
            // A Redis that is gone comes back, or the row is over.
            drop(self.row.publish(&mut publisher, &mut certain));
        }
        Publisher::connect(self.redis).unwrap()
    }

    fn note_heard(&self, number: u64) {
        if let Some(outage) = self.outages().last_mut()
            && outage.answered.is_some_and(|(_, first)| number >= first)
        {
            outage.back.get_or_insert_with(Instant::now);
        }
    }

    /// Holds what everybody heard against what is known, and says how long the first event took.
    pub(super) fn judge(&self, heard: &[Vec<Heard>], owed: &[u64], outages: usize) {
        let delivered = self.row.judge(heard, owed.iter().copied(), outages as u64);
        let (begun, owed) = (self.row.begun(), owed.len());
        println!("{outages} outages: {begun} events begun, {owed} owed, {delivered} delivered");
        let mut waits: Vec<u128> = self.outages().iter().filter_map(Outage::wait_ms).collect();
        waits.sort_unstable();
        assert_eq!(waits.len(), outages, "each outage has ended");
        let of_hundred = |percent: usize| waits[(waits.len() - 1) * percent / 100];
        let (half, most, all) = (of_hundred(50), of_hundred(90), of_hundred(100));
        println!("first event after Redis answers: p50 {half} ms, p90 {most} ms, longest {all} ms");
    }
}

impl Outage {
    fn wait_ms(&self) -> Option<u128> {
        Some(self.back?.duration_since(self.answered?.0).as_millis())
    }
}
