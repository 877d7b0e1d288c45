//! Every connection of a username, and nobody else's, gets exactly the bytes that were published.

use loadtest::{Client, Launch, Redis};

const PAYLOADS: &[&str] = &[
    r#"{"type":"workflow_started","run_id":"flight-search:186e185fcb360f00","tag":"v1","nodes":3,"entry_nodes":["a"],"timestamp":1700000000}"#,
    r#"{"type":"never heard of","nested":{"deep":[1,2.50,-0e5,null,true]}}"#,
    "  { \"white\" :\t\"space\" }\r\n",
    r#"{"text":"日本語 ünïcödé 🦀 \u0000 \" \\"}"#,
    "[]",
    "not JSON at all",
    "\u{0}\u{1}\u{7f}",
    "*3\r\n$7\r\nPUBLISH\r\n",
];

/// Two users with three connections each; each side's last event proves that nothing else came before it.
fn check(launch: Launch) {
    let server = launch.option("--shards", "4").start().unwrap();
    let mut publisher = server.publisher().unwrap();
    let crowd = |name: &str| -> Vec<Client> { (0..3).map(|_| Client::listen(server.address, name).unwrap()).collect() };
    let mut sides = [("alice", crowd("alice")), ("bob", crowd("bob"))];
    server.wait_until("/total/connections", 6);
    server.wait_until("/total/topics", 2);

    for payload in PAYLOADS {
        for (name, _) in &sides {
            publisher.publish(name, format!("{payload} for {name}")).unwrap();
        }
        publisher.publish("nobody", "for nobody").unwrap();
        publisher.publish("", "for the one without a name").unwrap();
    }
    for (name, clients) in &mut sides {
        publisher.publish(name, "last").unwrap();
        let expected: Vec<String> =
            PAYLOADS.iter().map(|payload| format!("{payload} for {name}")).chain(["last".to_owned()]).collect();
        for client in clients {
            let got: Vec<String> = expected.iter().map_while(|_| client.text()).collect();
            assert_eq!(got, expected, "what {name} got");
        }
    }
}

#[test]
fn two_users_on_four_shards_get_their_own_events_from_redis() {
    let redis = Redis::start().unwrap();
    check(Launch::with_redis(&redis));
}

#[test]
fn two_users_on_four_shards_get_their_own_events_from_the_embedded_broker() {
    check(Launch::embedded());
}

#[test]
fn a_client_that_left_gets_nothing_more_and_the_others_go_on() {
    let server = Launch::embedded().start().unwrap();
    let mut publisher = server.publisher().unwrap();
    let leaving = Client::listen(server.address, "alice").unwrap();
    let mut staying = Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 2);
    assert_eq!(publisher.publish("alice", "1").unwrap(), 2);
    assert_eq!(leaving.close(), Some(1000), "the server echoes the code");
    server.wait_until("/total/connections", 1);
    assert_eq!(publisher.publish("alice", "2").unwrap(), 1);
    assert_eq!([staying.text(), staying.text()], [Some("1".to_owned()), Some("2".to_owned())]);
    drop(staying);
    server.wait_until("/total/topics", 0);
    assert_eq!(publisher.publish("alice", "3").unwrap(), 0);
}
