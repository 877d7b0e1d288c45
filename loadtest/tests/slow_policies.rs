//! What becomes of events for clients that read too slowly: by policy, by age, by the memory that all of them take.

use loadtest::{Client, Launch, Publisher, RawSocket, Server, eventually};
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// What waits for one client at most, in these tests.
const OUTBOUND_MAX: &str = "256KiB";

fn start(policy: &str) -> Launch {
    Launch::embedded().option("--shards", "1").option("--outbound-max", OUTBOUND_MAX).option("--slow-policy", policy)
}

/// The number at the beginning of an event of 64 KiB.
fn event(number: u64) -> String {
    format!("{number} {}", "x".repeat(64 * 1024))
}

fn number_of(text: &str) -> Option<u64> {
    text.split(' ').next()?.parse().ok()
}

/// Publishes until something of this reason is dropped; says how many events that took.
fn publish_until(server: &Server, publisher: &mut Publisher, reason: &str) -> u64 {
    let mut count = 0;
    eventually(reason, || {
        for _ in 0..8 {
            publisher.publish("alice", event(count)).unwrap();
            count += 1;
        }
        (server.count(&format!("/total/dropped/{reason}")) > 0).then_some(())
    });
    count
}

/// What a client hears that reads again: the numbers of events, and how many the notices say are missing.
fn hear_all(client: &mut Client, last: u64) -> (Vec<u64>, u64) {
    let (mut events, mut missed) = (Vec::new(), 0);
    while events.last() != Some(&last) {
        let text = client.text().expect("everything up to the last event");
        if let Some(number) = number_of(&text) {
            events.push(number);
            continue;
        }
        let notice: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&notice["type"], &notice["reason"]), (&"fanout.gap".into(), &"slow_consumer".into()));
        let hole = notice["missed"].as_u64().expect("it is known how many");
        let next = number_of(&client.text().expect("an event follows")).expect("an event");
        assert_eq!(next, events.last().map_or(0, |last| last + 1) + hole, "the notice stands where the hole is");
        events.push(next);
        missed += hole;
    }
    (events, missed)
}

fn ledger_balances(server: &Server) {
    eventually("the books balance", || {
        let stats = server.stats();
        let total = &stats["total"];
        let dropped: u64 =
            ["slow_consumer", "connection_closed", "oldest", "replaced", "expired", "stalled", "memory_budget"]
                .iter()
                .map(|reason| total["dropped"][reason].as_u64().expect("a counter"))
                .sum();
        let count = |name: &str| total[name].as_u64().expect("a counter");
        assert_eq!(total["ledger_difference"], 0);
        (count("frames_offered") == count("frames_out") + count("frames_queued") + dropped).then_some(())
    });
}

fn check_drops(policy: &str, reason: &str) {
    let server = start(policy).start().unwrap();
    let mut slow = Client::connect(server.address, "/ws?username=alice&meta=1").unwrap();
    server.wait_until("/total/connections", 1);
    let mut publisher = server.publisher().unwrap();
    let count = publish_until(&server, &mut publisher, reason);
    let (events, missed) = hear_all(&mut slow, count - 1);
    assert!(events.is_sorted(), "{events:?}");
    assert_eq!(events.len() as u64 + missed, count, "what is missing is what was said to be missing");
    assert_eq!(server.count(&format!("/total/dropped/{reason}")), missed);
    assert_eq!(server.count("/total/closed/4001"), 0, "nobody is closed");
    ledger_balances(&server);
}

#[test]
fn with_drop_oldest_a_slow_client_stays_and_hears_how_many_it_missed_and_where() {
    check_drops("drop-oldest", "oldest");
}

#[test]
fn with_latest_only_the_newest_event_of_a_topic_waits() {
    check_drops("workflow=latest", "replaced");
}

#[test]
fn a_client_that_is_closed_for_being_slow_hears_how_many_it_missed_before_the_close() {
    let server = start("close").start().unwrap();
    let mut slow = Client::connect(server.address, "/ws?username=alice&meta=1").unwrap();
    server.wait_until("/total/connections", 1);
    let mut publisher = server.publisher().unwrap();
    let count = publish_until(&server, &mut publisher, "slow_consumer");
    let mut heard = 0;
    let notice = loop {
        let text = slow.text().expect("a notice");
        match number_of(&text) {
            Some(number) => heard = number + 1,
            None => break serde_json::from_str::<Value>(&text).unwrap(),
        }
    };
    assert_eq!(slow.close_code(), Some(4001));
    let missed = notice["missed"].as_u64().unwrap();
    assert!(heard + missed <= count && missed > 0, "{heard} and {missed} of {count}");
    assert_eq!(server.count("/total/slow/queue_full"), 1);
    ledger_balances(&server);
}

#[test]
fn who_takes_nothing_for_the_write_timeout_is_gone_and_counted_apart() {
    let server = Launch::embedded().option("--write-timeout", "1s").option("--outbound-max", "64MiB").start().unwrap();
    let _stalled = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=alice").unwrap();
    let mut reading = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 2);
    let mut publisher = server.publisher().unwrap();
    for number in 0..64 {
        publisher.publish("alice", event(number)).unwrap();
        assert_eq!(reading.text().as_deref().and_then(number_of), Some(number));
    }
    server.wait_until("/total/connections", 1);
    assert_eq!((server.count("/total/slow/no_progress"), server.count("/total/slow/queue_full")), (1, 0));
    assert_eq!(server.count("/total/closed/4001"), 1);
    assert!(server.count("/total/dropped/stalled") > 0);
    server.wait_until("/total/late", 0);
    server.wait_until("/total/bytes_queued", 0);
    ledger_balances(&server);
}

/// Of an event that waits.
const LIFETIME: Duration = Duration::from_secs(1);

#[test]
fn events_that_wait_longer_than_their_lifetime_are_skipped_and_said_to_be() {
    let server = Launch::embedded()
        .option("--event-ttl", &format!("{}ms", LIFETIME.as_millis()))
        .option("--outbound-max", "64MiB")
        .start()
        .unwrap();
    let mut slow = Client::connect(server.address, "/ws?username=alice&meta=1").unwrap();
    server.wait_until("/total/connections", 1);
    let mut publisher = server.publisher().unwrap();
    let mut count = 0;
    eventually("the client is late", || {
        for _ in 0..20 {
            publisher.publish("alice", event(count)).unwrap();
            count += 1;
        }
        (server.count("/total/late") > 0).then_some(())
    });
    std::thread::sleep(LIFETIME * 3 / 2);
    publisher.publish("alice", event(count)).unwrap();
    let (events, missed) = hear_all(&mut slow, count);
    assert_eq!(events.len() as u64 + missed, count + 1);
    assert_eq!(server.count("/total/dropped/expired"), missed);
    assert!(missed > 0);
    ledger_balances(&server);
}

#[test]
fn beyond_the_memory_for_all_the_largest_queue_goes_and_the_others_stay() {
    let launch = Launch::embedded().option("--shards", "1").option("--outbound-max", "64MiB");
    let server = launch.option("--outbound-total-max", "8MiB").option("--write-timeout", "1m").start().unwrap();
    let connect = |username: &str| {
        let socket = RawSocket::connect_narrow(server.address, 4096).unwrap();
        socket.upgrade(&format!("/ws?username={username}")).unwrap()
    };
    let _large = connect("alice");
    let mut small = connect("bob");
    server.wait_until("/total/connections", 2);
    let mut publisher = server.publisher().unwrap();
    eventually("bob is late", || {
        publisher.publish("bob", event(0)).unwrap();
        (server.count("/total/late") == 1).then_some(())
    });
    publish_until(&server, &mut publisher, "memory_budget");
    assert_eq!(server.count("/total/slow/over_budget"), 1);
    server.wait_until("/total/connections", 1);
    assert!(server.count("/total/bytes_queued") <= 8 << 20);
    assert!(small.frame().is_ok(), "who waits for little is still there");
    ledger_balances(&server);
}

#[test]
fn what_waits_takes_the_memory_that_is_counted_however_long_events_are() {
    thread::scope(|scope| {
        for event_bytes in [300, 1_100, 20_000] {
            scope.spawn(move || check_memory(event_bytes));
        }
    });
}

fn check_memory(event_bytes: usize) {
    const CLIENTS: usize = 16;
    let launch = Launch::embedded().option("--shards", "1").option("--outbound-max", "1MiB");
    let server = launch.option("--slow-policy", "drop-oldest").option("--write-timeout", "10m").start().unwrap();
    let connect = |number| {
        let socket = RawSocket::connect_narrow(server.address, 4096).unwrap();
        socket.upgrade(&format!("/ws?username={number}")).unwrap()
    };
    let _clients: Vec<RawSocket> = (0..CLIENTS).map(connect).collect();
    server.wait_until("/total/connections", CLIENTS as u64);
    let before = server.resident_bytes().unwrap();
    let (mut publisher, event) = (server.publisher().unwrap(), "x".repeat(event_bytes));
    let limit = CLIENTS << 20;
    // Nearly full is full: what is left takes no event more.
    let is_full = |counted| counted >= (limit - CLIENTS * 2 * event_bytes) as u64;
    let mut counted = 0;
    // At most twice what queues and kernel hold.
    for round in 0..(4 << 20) / event_bytes {
        for number in 0..CLIENTS {
            publisher.publish(&number.to_string(), &event).unwrap();
        }
        if round % 100 == 0 {
            counted = server.count("/total/bytes_queued");
        }
        if is_full(counted) {
            break;
        }
    }
    assert!(is_full(counted), "{counted} of {limit} wait");
    let taken = server.resident_bytes().unwrap() - before;
    // Beside it an event of each that is partly out, and what a server that begins to work needs.
    let allowed = counted + counted / 10 + ((CLIENTS * event_bytes) as u64) + (4 << 20);
    assert!(counted <= limit as u64 && taken <= allowed, "{taken} bytes for {counted}, events of {event_bytes}");
}

#[test]
fn an_event_that_is_partly_out_already_is_no_reason_to_close_anybody_for_the_memory_of_all() {
    const EVENT_BYTES: usize = 4 << 20;
    let launch = Launch::embedded().option("--shards", "1").option("--outbound-total-max", "8MiB");
    let server = launch.option("--write-timeout", "1m").start().unwrap();
    let connect = |_| RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=alice").unwrap();
    let mut clients: Vec<RawSocket> = (0..4).map(connect).collect();
    server.wait_until("/total/connections", 4);
    server.publisher().unwrap().publish("alice", "x".repeat(EVENT_BYTES)).unwrap();
    server.wait_until("/total/late", 4);
    assert_eq!(server.count("/total/bytes_queued"), 0, "nothing of it could be dropped");
    for client in &mut clients {
        assert_eq!(client.frame().unwrap().1.len(), EVENT_BYTES);
    }
    assert_eq!(server.count("/total/slow/over_budget"), 0);
    ledger_balances(&server);
}
