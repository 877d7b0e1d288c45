//! Fifteen thousand connections of five thousand usernames: no loss, no duplicate, no stranger's event, little memory.

use loadtest::{Client, Crowd, Event, Launch, PATIENCE, Redis, Tally};
use std::thread;

const USERNAMES: usize = 5_000;
const CONNECTIONS_EACH: usize = 3;
/// Events for each username.
const ROUNDS: u64 = 10;
/// Events under way at once: Redis and every queue take them without a pause.
const WINDOW: usize = 500;
/// Growth of the server's memory for one idle connection.
const IDLE_BYTES_MAX: u64 = 1_024;

#[test]
fn fifteen_thousand_connections_get_their_own_events_once_each_for_a_kilobyte_of_memory() {
    let total = (USERNAMES * CONNECTIONS_EACH) as u64;
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).option("--max-connections", "16000").start().unwrap();
    // The first connection and event bring in what every later one shares.
    let mut first = Client::listen(server.address, "first").unwrap();
    server.publisher().unwrap().publish("first", "warm").unwrap();
    assert_eq!(first.text().as_deref(), Some("warm"));
    drop(first);
    server.wait_until("/total/connections", 0);

    let before = server.resident_bytes().unwrap();
    let usernames: Vec<String> = (0..USERNAMES).map(|number| format!("user-{number}")).collect();
    let mut crowd = Crowd::connect(server.address, usernames.clone(), CONNECTIONS_EACH).unwrap();
    server.wait_until("/total/connections", total);
    server.wait_until("/total/topics", USERNAMES as u64);
    let each = server.resident_bytes().unwrap().saturating_sub(before) / total;
    println!("{each} bytes for an idle connection");
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes for an idle connection");

    let mut publisher = server.publisher().unwrap();
    let publishing = thread::spawn(move || {
        for sequence in 0..ROUNDS {
            for window in usernames.chunks(WINDOW) {
                for username in window {
                    publisher.send_event(username, Event { username, sequence }.json()).unwrap();
                }
                for _ in window {
                    publisher.receivers().unwrap();
                }
            }
        }
    });
    crowd.gather(total * ROUNDS, PATIENCE).unwrap();
    publishing.join().unwrap();
    assert_eq!(*crowd.tally(), Tally::faultless(total * ROUNDS));
    // A shard counts what it has sent once its batch is sent: the last clients may have read theirs before.
    server.wait_until("/total/frames_out", total * ROUNDS + 1);

    drop(crowd);
    server.wait_until("/total/connections", 0);
    server.wait_until("/total/topics", 0);
}
