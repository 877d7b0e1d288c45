//! A town whose events are numbered in one row, and what must have become of each.

use loadtest::{Client, Event, Publisher, Server};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Users, one client each. The event with number n is for user n modulo this.
const USERS: u64 = 20;

/// So many events at a time and so often: 5 000 a second.
const BATCH: u64 = 50;
const BATCH_PERIOD: Duration = Duration::from_millis(10);

/// How soon a Redis that does not answer is asked again: it is also how exactly it is known when it does.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// The number that nothing comes behind.
const END: u64 = u64::MAX;

pub(super) struct Town {
    redis: SocketAddr,
    usernames: Vec<String>,
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

/// What a client was told, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Gap,
    Event(u64),
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
        let usernames = (0..USERS).map(|user| format!("user-{user}")).collect();
        Self { redis, usernames, is_over: AtomicBool::new(false), outages: Mutex::default() }
    }

    /// A client for everybody.
    pub(super) fn connect(&self, server: &Server) -> Vec<(u64, Client)> {
        let target = |username| format!("/ws?username={username}&meta=1");
        let connect = |username| Client::connect(server.address, &target(username)).unwrap();
        (0..).zip(self.usernames.iter().map(connect)).collect()
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
        let mut publisher = Publisher::connect(self.redis).unwrap();
        for username in &self.usernames {
            publisher.publish(username, Event { username, sequence: END }.json()).unwrap();
        }
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
        for sequence in batch.clone() {
            let username = self.username(sequence);
            publisher.send_event(username, Event { username, sequence }.json()).ok()?;
        }
        let receivers: Vec<i64> = batch.clone().map(|_| publisher.receivers().ok()).collect::<Option<_>>()?;
        assert!(receivers.iter().all(|&receivers| receivers <= 1), "one instance subscribes once: {receivers:?}");
        Some(batch.zip(receivers).filter_map(|(number, receivers)| (receivers == 1).then_some(number)).collect())
    }

    fn username(&self, number: u64) -> &str {
        &self.usernames[usize::try_from(number % USERS).unwrap()]
    }

    /// What one client hears until the end.
    pub(super) fn listen(&self, (user, mut client): (u64, Client)) -> Vec<Heard> {
        let (username, mut heard) = (self.username(user), Vec::new());
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
            if let Some(outage) = self.outages().last_mut()
                && outage.answered.is_some_and(|(_, first)| event.sequence >= first)
            {
                outage.back.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Holds what everybody heard against what is known, and says how long the first event took.
    pub(super) fn judge(&self, heard: &[Vec<Heard>], facts: &Facts, outages: usize) {
        let mut delivered = 0;
        for (user, heard) in (0..USERS).zip(heard) {
            let numbers: Vec<u64> = heard
                .iter()
                .filter_map(|heard| match heard {
                    Heard::Event(number) => Some(*number),
                    Heard::Gap => None,
                })
                .collect();
            assert_eq!(heard.len() - numbers.len(), outages, "user {user}: a gap for each outage");
            assert!(numbers.is_sorted_by(|before, after| before < after), "user {user}: in order, and nothing twice");
            assert!(
                numbers.iter().all(|number| number % USERS == user && *number < facts.begun),
                "nothing is invented"
            );
            let owed = facts.owed.iter().filter(|&number| number % USERS == user);
            let missing: Vec<&u64> = owed.filter(|number| numbers.binary_search(number).is_err()).collect();
            assert!(missing.is_empty(), "user {user}: Redis had given these away: {missing:?}");
            delivered += numbers.len() as u64;
        }
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
