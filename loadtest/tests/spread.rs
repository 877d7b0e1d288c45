//! A username with many connections: they spread over the shards, and nobody misses or repeats an event while they do.

use loadtest::{Client, Event, Launch, Redis, Server};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Connections of one username on one shard; further ones go to all shards in turn.
const SPREAD_ABOVE: u64 = 4;
const SHARDS: u64 = 4;
const CLIENTS: u64 = 40;

fn start(launch: Launch) -> Server {
    let launch = launch.option("--shards", &SHARDS.to_string()).option("--spread-above", &SPREAD_ABOVE.to_string());
    launch.start().unwrap()
}

/// Connections of every shard.
fn seats(server: &Server) -> Vec<u64> {
    let stats = server.stats();
    stats["shards"].as_array().unwrap().iter().map(|shard| shard["connections"].as_u64().unwrap()).collect()
}

/// Every event after the connect until the last one, each once and in order. `next` is the one that is published next
/// or just now.
fn hear_all(server: &Server, next: &AtomicU64) {
    let mut client = Client::listen(server.address, "alice").unwrap();
    let latest = next.load(Ordering::SeqCst);
    let mut expected = None;
    while let Some(text) = client.text().filter(|text| text != "end") {
        let event = Event::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(event.sequence, expected.unwrap_or(event.sequence), "in order");
        assert!(expected.is_some() || event.sequence <= latest + 1, "{latest} was published, {} came", event.sequence);
        expected = Some(event.sequence + 1);
    }
    let published = next.load(Ordering::SeqCst);
    assert!(expected.unwrap_or(latest + 1) >= published, "{published} were published, {expected:?} did not come");
}

/// Publishes until it is told to stop, then the end.
fn publish_on(server: &Server, next: &AtomicU64, stop: &AtomicBool) {
    let mut publisher = server.publisher().unwrap();
    while !stop.load(Ordering::SeqCst) {
        let sequence = next.load(Ordering::SeqCst);
        publisher.publish("alice", Event { username: "alice", sequence }.json()).unwrap();
        next.fetch_add(1, Ordering::SeqCst);
    }
    publisher.publish("alice", "end").unwrap();
}

fn check(launch: Launch) {
    let server = start(launch);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| publish_on(&server, &next, &stop));
        for _ in 0..CLIENTS {
            scope.spawn(|| hear_all(&server, &next));
        }
        server.wait_until("/total/connections", CLIENTS);
        let seats = seats(&server);
        stop.store(true, Ordering::SeqCst);
        assert!(seats.iter().all(|&own| own >= (CLIENTS - SPREAD_ABOVE) / SHARDS - 1), "{seats:?}");
    });
}

#[test]
fn connections_of_one_username_spread_without_a_loss_or_a_repetition_with_redis() {
    let redis = Redis::start().unwrap();
    check(Launch::with_redis(&redis));
}

#[test]
fn connections_of_one_username_spread_without_a_loss_or_a_repetition_without_redis() {
    check(Launch::embedded());
}

#[test]
fn up_to_the_threshold_and_without_one_a_username_stays_on_one_shard() {
    for (threshold, connections) in [("8", 8), ("0", 30)] {
        let launch = Launch::embedded().option("--shards", "4").option("--spread-above", threshold);
        let server = launch.start().unwrap();
        let clients: Vec<_> = (0..connections).map(|_| Client::listen(server.address, "alice").unwrap()).collect();
        server.wait_until("/total/connections", connections);
        assert!(seats(&server).contains(&connections), "{threshold}: {:?}", seats(&server));
        drop(clients);
    }
}
