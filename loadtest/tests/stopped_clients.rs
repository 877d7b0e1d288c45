//! Clients that stopped reading cost nobody else an event: the broker's connection goes on being read, more slowly only
//! by the work that they make, and whoever reads gets everything.
//!
//! `scripts/stopped-clients` runs the long form: `FANOUT_STOPPED_CLIENTS` says how many there are.

use loadtest::{Client, Event, Launch, Publisher, RawSocket, Redis, Reply, Server, eventually};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// The one who reads gets one event of so many; the others go to those who stopped.
const READERS_SHARE: u64 = 100;

/// Events that may be unanswered: enough to keep Redis busy.
const UNANSWERED: u64 = 500;

/// What fills a socket that nobody reads, and a queue of [`QUEUE`], after a few of them.
const FILLING_BYTES: usize = 16 * 1024;
const QUEUE: &str = "64KiB";
const FILLINGS: usize = 6;

/// A receive buffer that is soon full.
const NARROW_BYTES: usize = 4096;

/// Between two looks at what Redis keeps for its subscriber.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How much there is of everything.
#[derive(Clone, Copy)]
struct Scale {
    clients: u64,
    /// Events of each round. In the short form so few that Redis would keep all of them: 20 000 of 300 bytes are less
    /// than the 8 MB that it keeps for a subscriber for a minute.
    events: u64,
    rounds: usize,
}

const SHORT: Scale = Scale { clients: 500, events: 20_000, rounds: 1 };

/// What came of publishing as fast as Redis takes it.
#[derive(Debug)]
struct Round {
    /// From the first event to the reader's last one, which is behind all others.
    events_per_second: f64,
    /// The most that Redis had to keep for its subscriber.
    kept_bytes_max: u64,
}

/// A server behind Redis, and how much is to be done with it.
struct Rig {
    scale: Scale,
    redis: Redis,
    server: Server,
}

impl Rig {
    fn new() -> Self {
        let clients = std::env::var("FANOUT_STOPPED_CLIENTS").map(|clients| clients.parse().expect("a number"));
        let scale = clients.map_or(SHORT, |clients| Scale { clients, events: 300_000, rounds: 5 });
        let redis = Redis::start().unwrap();
        // Nobody is closed for being slow or silent: those who stopped stay.
        let launch = Launch::with_redis(&redis).option("--slow-policy", "drop-oldest").option("--outbound-max", QUEUE);
        let launch = launch.option("--write-timeout", "1h").option("--ping-interval", "0");
        let server = launch.option("--log-level", "warn").start().unwrap();
        Self { scale, redis, server }
    }

    /// Clients that never read, each listening for a user of its own, whose sockets and queues are full.
    fn stop_clients(&self) -> Vec<RawSocket> {
        let connect = |number| {
            let target = format!("/ws?username={}", stopped(number));
            RawSocket::connect_narrow(self.server.address, NARROW_BYTES)
                .and_then(|socket| socket.upgrade(&target))
                .unwrap()
        };
        let clients = (0..self.scale.clients).map(connect).collect();
        let (mut publisher, filling) = (self.redis.publisher().unwrap(), "x".repeat(FILLING_BYTES));
        let mut fill = || {
            for number in 0..self.scale.clients {
                assert_eq!(publisher.publish(&stopped(number), &filling).unwrap(), 1);
                // A quarter of what Redis keeps for a subscriber at most, which is no measure of anything here.
                if number % 500 == 499 {
                    await_nothing_kept(&mut publisher);
                }
            }
        };
        eventually("nobody takes anything any more", || {
            fill();
            (self.server.count("/total/late") == self.scale.clients).then_some(())
        });
        (0..FILLINGS).for_each(|_| fill());
        clients
    }

    /// Publishes as fast as Redis takes it, to those who stopped (whether they are there or not) and to one who reads.
    fn round(&self) -> Round {
        let mut reader = Client::listen(self.server.address, "reader").unwrap();
        let is_over = AtomicBool::new(false);
        let begun = Instant::now();
        thread::scope(|scope| {
            let looking = scope.spawn(|| self.look_until(&is_over));
            let publishing = scope.spawn(|| self.publish());
            let mut expected =
                (0..self.scale.events / READERS_SHARE).map(|sequence| Event { username: "reader", sequence }.json());
            let missing = expected.find(|expected| reader.text().as_ref() != Some(expected));
            let taken = begun.elapsed();
            is_over.store(true, SeqCst);
            publishing.join().unwrap();
            assert_eq!(missing, None, "who reads gets everything, in order");
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let events_per_second = self.scale.events as f64 / taken.as_secs_f64();
            Round { events_per_second, kept_bytes_max: looking.join().unwrap() }
        })
    }

    fn publish(&self) {
        let mut publisher = self.redis.publisher().unwrap();
        for number in 0..self.scale.events {
            if number % READERS_SHARE == READERS_SHARE - 1 {
                let event = Event { username: "reader", sequence: number / READERS_SHARE };
                publisher.send_event("reader", event.json()).unwrap();
            } else {
                let username = stopped(number % self.scale.clients);
                publisher.send_event(&username, Event { username: &username, sequence: number }.json()).unwrap();
            }
            if number >= UNANSWERED {
                publisher.receivers().unwrap();
            }
        }
        (0..UNANSWERED).for_each(|_| assert!(publisher.receivers().is_ok(), "each is answered"));
    }

    /// The most that Redis kept for its subscriber until it was over.
    fn look_until(&self, is_over: &AtomicBool) -> u64 {
        let (mut admin, mut most) = (self.redis.publisher().unwrap(), 0);
        while !is_over.load(SeqCst) {
            most = most.max(kept_bytes(&mut admin));
            thread::sleep(LOOK_AGAIN);
        }
        await_nothing_kept(&mut admin);
        most
    }

    /// A row of the table in the long form: the median of all rounds.
    fn rounds(&self, what: &str) -> f64 {
        let mut rounds: Vec<Round> = (0..self.scale.rounds).map(|_| self.round()).collect();
        rounds.sort_by(|one, other| one.events_per_second.total_cmp(&other.events_per_second));
        let median = rounds[rounds.len() / 2].events_per_second;
        let (least, most) = (rounds[0].events_per_second, rounds[rounds.len() - 1].events_per_second);
        let kept_kib = rounds.iter().map(|round| round.kept_bytes_max).max().unwrap_or(0) / 1024;
        println!("| {what} | {median:.0}/s | {least:.0} to {most:.0}/s | {kept_kib} KiB |");
        median
    }
}

fn stopped(number: u64) -> String {
    format!("stopped-{number}")
}

/// What Redis keeps for its one subscriber because that does not read (`omem` of `CLIENT LIST`).
fn kept_bytes(admin: &mut Publisher) -> u64 {
    let Reply::BulkString(list) = admin.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).unwrap() else {
        panic!("a list of clients is text")
    };
    let list = String::from_utf8(list.to_vec()).unwrap();
    let omem = list.split_whitespace().find_map(|word| word.strip_prefix("omem="));
    omem.and_then(|bytes| bytes.parse().ok()).unwrap_or_else(|| panic!("the server is subscribed: {list:?}"))
}

/// What Redis has sent is read.
fn await_nothing_kept(admin: &mut Publisher) {
    eventually("Redis keeps nothing any more", || (kept_bytes(admin) == 0).then_some(()));
}

#[test]
fn clients_that_stopped_reading_keep_nobody_from_reading_what_redis_sends() {
    let rig = Rig::new();
    let before = rig.rounds("none");
    let clients = rig.stop_clients();
    let meanwhile = rig.rounds(&format!("{}", rig.scale.clients));
    assert_eq!(rig.server.count("/total/late"), rig.scale.clients, "they are there and do not read");
    assert_eq!(rig.server.count("/broker/reconnects"), 0, "Redis was never too far ahead");
    drop(clients);
    rig.server.wait_until("/total/connections", 0);
    let after = rig.rounds("none again");
    println!("with them {:.2} of the rate without", 2.0 * meanwhile / (before + after));
}
