//! The server as its own broker: for `redis-cli`, for `POST /publish`, and for the servers started beside it.

use loadtest::{Client, Launch, RawSocket, Server, eventually, exchange, free_port, words};
use std::process::{Command, Output};

fn redis_cli(server: &Server, arguments: &[&str]) -> Output {
    let port = server.broker.port().to_string();
    Command::new("redis-cli").args(["-p", &port]).args(arguments).output().expect("scripts/test installs redis-cli")
}

fn post(server: &Server, username: &str, event: &str) -> (u16, serde_json::Value) {
    let length = event.len();
    let request =
        format!("POST /publish/{username} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{event}");
    let answer = exchange(server.address, &request).unwrap();
    (answer.status, answer.json())
}

#[test]
fn redis_cli_publishes_and_is_told_the_number_of_receivers() {
    let server = Launch::embedded().start().unwrap();
    let mut clients: Vec<_> = (0..2).map(|_| Client::listen(server.address, "alice").unwrap()).collect();
    server.wait_until("/total/connections", 2);
    let event = r#"{"type":"test"}"#;
    for (username, receivers) in [("alice", "2"), ("bob", "0")] {
        let output = redis_cli(&server, &["PUBLISH", &format!("workflow:events:{username}"), event]);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), receivers, "{output:?}");
    }
    for client in &mut clients {
        assert_eq!(client.text().as_deref(), Some(event));
    }
}

#[test]
fn three_servers_beside_each_other_share_the_events_of_the_first() {
    let first = Launch::embedded().start().unwrap();
    let beside = || Launch::beside(first.broker).variable("PORT", &free_port().to_string()).start().unwrap();
    let servers = [&first, &beside(), &beside()];
    let mut clients: Vec<_> = servers.iter().map(|server| Client::listen(server.address, "alice").unwrap()).collect();
    for server in servers {
        server.wait_until("/total/connections", 1);
    }
    // One connection here and two servers that subscribed.
    assert_eq!(first.publisher().unwrap().publish("alice", "by RESP").unwrap(), 3);
    let expected = ["by RESP", "by HTTP at 0", "by HTTP at 1", "by HTTP at 2"];
    for (number, server) in servers.iter().enumerate() {
        let (status, body) = post(server, "alice", &format!("by HTTP at {number}"));
        assert_eq!((status, body["receivers"].as_u64()), (202, Some(3)));
    }
    for client in &mut clients {
        let got: Vec<_> = expected.iter().map_while(|_| client.text()).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn servers_find_the_first_one_again_after_it_was_restarted() {
    let first = Launch::embedded().start().unwrap();
    let second = Launch::beside(first.broker).start().unwrap();
    let mut client = Client::listen(second.address, "alice").unwrap();
    let broker = first.broker;
    drop(first);
    second.wait_for_status("/ready", 503);
    let _again = Launch::embedded_at(broker).start().unwrap();
    second.wait_for_status("/ready", 200);
    // It publishes over a connection of its own, which comes back in its own time; until then it says so.
    eventually("an event is taken", || (post(&second, "alice", "again").0 == 202).then_some(()));
    assert_eq!(client.text().as_deref(), Some("again"));
}

#[test]
fn a_resp_subscriber_gets_what_its_pattern_matches() {
    let server = Launch::embedded().start().unwrap();
    let mut subscriber = server.publisher().unwrap();
    let confirmed = subscriber.command(&["PSUBSCRIBE", "workflow:events:*", "other:[ab]?"]).unwrap();
    assert_eq!(words(&confirmed), ["psubscribe", "workflow:events:*", "1"]);
    assert_eq!(words(&subscriber.reply().unwrap()), ["psubscribe", "other:[ab]?", "2"]);
    let mut publisher = server.publisher().unwrap();
    assert_eq!(publisher.publish("alice", "one").unwrap(), 1);
    for (channel, receivers) in [("other:c1", 0), ("other:b1", 1)] {
        let reply = publisher.command(&["PUBLISH", channel, "two"]).unwrap();
        assert_eq!(words(&reply), [receivers.to_string()], "{channel}");
    }
    assert_eq!(words(&subscriber.reply().unwrap()), ["pmessage", "workflow:events:*", "workflow:events:alice", "one"]);
    assert_eq!(words(&subscriber.reply().unwrap()), ["pmessage", "other:[ab]?", "other:b1", "two"]);
}

#[test]
fn http_publishes_what_a_text_frame_can_carry_and_refuses_the_rest() {
    let server = Launch::embedded().option("--max-event", "1KiB").start().unwrap();
    let mut client = Client::listen(server.address, "a b/c").unwrap();
    server.wait_until("/total/connections", 1);
    assert_eq!(post(&server, "a%20b%2Fc", "{}"), (202, serde_json::json!({"receivers": 1})));
    assert_eq!(post(&server, "a%20b%2Fc", "").0, 202, "an empty event is an event");
    assert_eq!(post(&server, "nobody", "{}"), (202, serde_json::json!({"receivers": 0})));
    assert_eq!(post(&server, "a%20b%2Fc", &"x".repeat(1025)).0, 413);
    for bad in ["%zz", "%00", "%FF", ""] {
        let (status, _) = post(&server, bad, "{}");
        assert!(matches!(status, 400 | 404), "/publish/{bad} was answered with {status}");
    }
    let mut socket = RawSocket::connect(server.address).unwrap();
    socket.send(b"POST /publish/alice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n\xff\xfe").unwrap();
    assert_eq!(socket.answer().unwrap().status, 400, "what is not UTF-8 cannot be a text frame");
    assert_eq!(post(&server, "a%20b%2Fc", "last").0, 202);
    let got: Vec<_> = (0..3).map_while(|_| client.text()).collect();
    assert_eq!(got, ["{}", "", "last"]);
}
