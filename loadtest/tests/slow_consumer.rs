//! A client that stops reading loses its connection; nobody else notices.

use loadtest::{Client, Launch, RawSocket, Redis, eventually};

fn check(launch: Launch) {
    let server = launch.option("--shards", "1").start().unwrap();
    let mut stalled = RawSocket::connect_narrow(server.address, 4096).unwrap().upgrade("/ws?username=shared").unwrap();
    let mut bystander = Client::listen(server.address, "bystander").unwrap();
    let mut reading = Client::listen(server.address, "shared").unwrap();
    server.wait_until("/total/connections", 3);

    let mut publisher = server.publisher().unwrap();
    let event = "x".repeat(64 * 1024);
    let mut round = 0;
    eventually("4001 is counted", || {
        publisher.publish("shared", &event).unwrap();
        publisher.publish("bystander", format!("event {round}")).unwrap();
        assert_eq!(reading.text().map(|text| text.len()), Some(event.len()), "the one who reads gets every event");
        assert_eq!(bystander.text(), Some(format!("event {round}")), "the bystander gets every event");
        round += 1;
        (server.count("/total/closed/4001") == 1).then_some(())
    });
    assert!(server.count("/total/dropped/slow_consumer") >= 1, "what it did not get is counted");
    server.wait_until("/total/connections", 2);
    server.wait_until("/total/late", 0);
    // Whether the close frame still fits is the kernel's to say; another code would be wrong.
    let code = stalled.close_code();
    assert!(matches!(code, None | Some(4001)), "closed with {code:?}");
}

#[test]
fn a_client_that_stops_reading_is_closed_with_4001_and_a_bystander_is_unharmed_with_redis() {
    let redis = Redis::start().unwrap();
    check(Launch::with_redis(&redis));
}

#[test]
fn a_client_that_stops_reading_is_closed_with_4001_and_a_bystander_is_unharmed_without_redis() {
    check(Launch::embedded());
}

#[test]
fn a_client_that_is_late_for_a_while_gets_everything_once_it_reads_again() {
    let server = Launch::embedded().option("--outbound-max", "16MiB").start().unwrap();
    let mut client = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 1);
    let mut publisher = server.publisher().unwrap();
    let event = |number: usize| format!("{number} {}", "x".repeat(64 * 1024));
    // More than the kernel takes for a client that does not read, less than the queue.
    for number in 0..150 {
        publisher.publish("alice", event(number)).unwrap();
    }
    for number in 0..150 {
        assert!(client.text() == Some(event(number)), "event {number}");
    }
    assert_eq!(server.count("/total/closed/4001"), 0);
}
