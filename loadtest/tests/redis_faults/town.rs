//! A town whose events are numbered in one row, and what must have become of each.

use loadtest::{Client, Heard, Publisher, Row, Server};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

const USERS: u64 = 20;

/// So many events at a time and so often: 5 000 a second.
const BATCH: u64 = 50;
const BATCH_PERIOD: Duration = Duration::from_millis(10);

/// How soon a Redis that does not answer is asked again: it is also how exactly it is known when it does.
const ASK_AGAIN: Duration = Duration::from_millis(5);

pub(super) struct Town {
    redis: SocketAddr,
    row: Row,
    is_over: AtomicBool,
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

/// What is known about events without asking a client.
pub(super) struct Facts {
    /// How many were published or tried to be.
    begun: u64,
    /// Events that Redis has given to a subscriber for certain.
    owed: Vec<u64>,
}

impl Town {
    /// One whose events go there.
    pub(super) fn of(redis: SocketAddr) -> Self {
        Self { redis, row: Row::of(USERS), is_over: AtomicBool::new(false), outages: Mutex::default() }
    }

    /// A client for everybody.
    pub(super) fn connect(&self, server: &Server) -> Vec<(u64, Client)> {
        self.row.connect(server)
    }

    /// An outage begins.
    pub(super) fn note_killed(&self) {
        self.outages().push(Outage::default());
    }

    /// Whether an event from behind the last outage has arrived.
    pub(super) fn is_back(&self) -> bool {
        self.outages().last().is_some_and(|outage| outage.back.is_some())
    }

    /// Nothing more is published.
    pub(super) fn end(&self) {
        self.is_over.store(true, SeqCst);
    }

    fn outages(&self) -> MutexGuard<'_, Vec<Outage>> {
        self.outages.lock().unwrap()
    }

    /// Publishes until the end, to whatever Redis there is.
    pub(super) fn publish(&self) -> Facts {
        let mut facts = Facts { begun: 0, owed: Vec::new() };
        while !self.is_over.load(SeqCst) {
            let answering = Publisher::connect(self.redis).and_then(|mut publisher| {
                publisher.command(&["PING"])?;
                Ok(publisher)
            });
            let Ok(mut publisher) = answering else {
                thread::sleep(ASK_AGAIN);
                continue;
            };
            if let Some(outage) = self.outages().last_mut() {
                outage.answered.get_or_insert((Instant::now(), facts.begun));
            }
            self.publish_to(&mut publisher, &mut facts);
        }
        self.row.end(&mut Publisher::connect(self.redis).unwrap());
        facts
    }

    /// Publishes until the end or until this Redis is gone.
    ///
    /// Redis answers publishers and serves subscribers at the end of each of its turns, and may be killed in between. So
    /// what it has given to a subscriber is certain once it has answered the *next* batch.
    fn publish_to(&self, publisher: &mut Publisher, facts: &mut Facts) {
        let (mut uncertain, mut due) = (Vec::new(), Instant::now());
        loop {
            let batch = facts.begun..facts.begun + BATCH;
            facts.begun = batch.end;
            let Some(given) = self.publish_batch(publisher, batch) else { return };
            facts.owed.append(&mut uncertain);
            uncertain = given;
            if self.is_over.load(SeqCst) {
                return facts.owed.append(&mut uncertain);
            }
            due += BATCH_PERIOD;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    /// The numbers of those that a subscriber got; `None` where not all were answered.
    fn publish_batch(&self, publisher: &mut Publisher, batch: Range<u64>) -> Option<Vec<u64>> {
        self.row.send(publisher, batch.clone()).ok()?;
        let receivers: Vec<i64> = batch.clone().map(|_| publisher.receivers().ok()).collect::<Option<_>>()?;
        assert!(receivers.iter().all(|&receivers| receivers <= 1), "one instance subscribes once: {receivers:?}");
        Some(batch.zip(receivers).filter_map(|(number, receivers)| (receivers == 1).then_some(number)).collect())
    }

    /// What one client hears until the end.
    pub(super) fn listen(&self, client: (u64, Client)) -> Vec<Heard> {
        self.row.listen(client, |number| {
            if let Some(outage) = self.outages().last_mut()
                && outage.answered.is_some_and(|(_, first)| number >= first)
            {
                outage.back.get_or_insert_with(Instant::now);
            }
        })
    }

    /// Holds what everybody heard against what is known, and says how long the first event took.
    pub(super) fn judge(&self, heard: &[Vec<Heard>], facts: &Facts, outages: usize) {
        let delivered = self.row.judge(heard, facts.begun, facts.owed.iter().copied(), outages as u64);
        let (begun, owed) = (facts.begun, facts.owed.len());
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
