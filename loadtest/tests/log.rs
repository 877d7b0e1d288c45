//! What the log tells, and what it never tells.

use loadtest::{Client, Launch, Redis, eventually};

fn check_lines(launch: Launch) {
    let server = launch.option("--log-level", "debug").start().unwrap();
    let mut client = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 1);
    server.publisher().unwrap().publish("alice", "the-payload-nobody-logs").unwrap();
    assert_eq!(client.text().as_deref(), Some("the-payload-nobody-logs"));
    client.send(tungstenite::Message::text("the-message-nobody-logs")).unwrap();
    client.close();
    let has_line = |words: &[&str]| server.log().lines().any(|line| words.iter().all(|word| line.contains(word)));
    for words in [
        &["connected", "alice", "127.0.0.1:"][..],
        &["broadcast", "alice", "clients"],
        &["disconnected", "alice", "remaining"],
    ] {
        eventually(&format!("a line with {words:?}"), || has_line(words).then_some(()));
    }
    for secret in ["the-payload-nobody-logs", "the-message-nobody-logs"] {
        assert!(!server.log().contains(secret));
    }
}

#[test]
fn connections_and_broadcasts_are_logged_without_their_payloads() {
    check_lines(Launch::embedded());
}

#[test]
fn machines_get_one_json_object_a_line_and_the_confirmed_subscription_is_one_of_them() {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).option("--log-format", "json").start().unwrap();
    eventually("the subscription is in the log", || server.log().contains("workflow:events:*").then_some(()));
    let log = server.log();
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|json| json.is_object()), "{line}");
    }
}
