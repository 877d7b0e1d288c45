//! Events of every size, in order, without loss; what cannot be delivered is counted.

use loadtest::{Client, Event, Launch, Redis, Server};

fn listening(launch: Launch) -> (Server, Client) {
    let server = launch.start().unwrap();
    let client = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/topics", 1);
    (server, client)
}

fn check_sizes(launch: Launch) {
    let (server, mut client) = listening(launch);
    let mut publisher = server.publisher().unwrap();
    // Around every border of the frame header (RFC 6455 §5.2) and of the 64 KiB receive chunks, up to 2 MiB.
    for length in [0, 1, 125, 126, 127, 65_000, 65_535, 65_536, 65_537, 131_072, 1 << 20, (1 << 20) + 1, 2 << 20] {
        let event: String = ('a'..='z').cycle().take(length).collect();
        publisher.publish("alice", &event).unwrap();
        let got = client.text().unwrap_or_else(|| panic!("no event of {length} bytes"));
        assert!(got == event, "an event of {length} bytes came as {} other bytes", got.len());
    }
}

#[test]
fn events_from_nothing_to_two_mebibytes_come_from_redis_as_they_are() {
    let redis = Redis::start().unwrap();
    check_sizes(Launch::with_redis(&redis));
}

#[test]
fn events_from_nothing_to_two_mebibytes_come_from_the_embedded_broker_as_they_are() {
    check_sizes(Launch::embedded());
}

fn check_order(launch: Launch) {
    /// Events that are under way at once: far below the outbound queue, so that an ordinary client keeps up.
    const WINDOW: u64 = 100;
    let (server, mut client) = listening(launch);
    let mut publisher = server.publisher().unwrap();
    for window in 0..10_000 / WINDOW {
        let sequences = window * WINDOW..(window + 1) * WINDOW;
        for sequence in sequences.clone() {
            publisher.send_event("alice", Event { username: "alice", sequence }.json()).unwrap();
        }
        for sequence in sequences.clone() {
            assert_eq!(client.text(), Some(Event { username: "alice", sequence }.json()));
        }
        for _ in sequences {
            assert_eq!(publisher.receivers().unwrap(), 1);
        }
    }
    // A shard counts what it has sent once its batch is sent: the client may have read it before.
    server.wait_until("/total/frames_out", 10_000);
}

#[test]
fn ten_thousand_events_come_from_redis_in_order_without_loss() {
    let redis = Redis::start().unwrap();
    check_order(Launch::with_redis(&redis));
}

#[test]
fn ten_thousand_events_come_from_the_embedded_broker_in_order_without_loss() {
    check_order(Launch::embedded());
}

fn check_undeliverable(launch: Launch) {
    let (server, mut client) = listening(launch.option("--max-event", "64KiB"));
    let mut publisher = server.publisher().unwrap();
    publisher.publish("alice", b"\xff\xfe").unwrap();
    publisher.publish("alice", b"\xed\xa0\x80").unwrap();
    publisher.publish("alice", b"cut \xe6\x97").unwrap();
    publisher.publish("alice", "after").unwrap();
    assert_eq!(client.text().as_deref(), Some("after"));
    assert_eq!(server.count("/total/dropped/not_utf8"), 3);
}

#[test]
fn what_is_not_text_is_dropped_and_counted_from_redis() {
    let redis = Redis::start().unwrap();
    check_undeliverable(Launch::with_redis(&redis));
}

#[test]
fn what_is_not_text_is_dropped_and_counted_from_the_embedded_broker() {
    check_undeliverable(Launch::embedded());
}

#[test]
fn an_event_from_redis_above_the_limit_is_dropped_and_counted() {
    let redis = Redis::start().unwrap();
    let (server, mut client) = listening(Launch::with_redis(&redis).option("--max-event", "64KiB"));
    let mut publisher = server.publisher().unwrap();
    publisher.publish("alice", vec![b'x'; 64 * 1024 + 1]).unwrap();
    publisher.publish("alice", vec![b'x'; 64 * 1024]).unwrap();
    publisher.publish("alice", "after").unwrap();
    assert_eq!(client.text().map(|text| text.len()), Some(64 * 1024));
    assert_eq!(client.text().as_deref(), Some("after"));
    assert_eq!(server.count("/total/dropped/event_too_big"), 1);
}
