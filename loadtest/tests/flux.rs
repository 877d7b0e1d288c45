//! Flux channels: who is told what and who is not, over every broker.

mod conversation;

use conversation::{connect, following, over_every_broker, told_so_far};
use loadtest::{Client, FluxClient, Launch, Server, Told, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tungstenite::Message;

#[test]
fn a_client_is_told_its_own_uuid_before_anything_else() {
    let server = Launch::embedded().start().unwrap();
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        let mut client = Client::connect(server.address, "/flux/ws").unwrap();
        let first: Value = serde_json::from_str(&client.text().unwrap()).unwrap();
        check_keys(&first, &["payload", "timestamp", "type"]);
        check_keys(&first["payload"], &["clientId"]);
        assert_eq!(first["type"], "connected");
        check_now(&first);
        let id = first["payload"]["clientId"].as_str().unwrap().to_owned();
        assert!(is_random_uuid(&id), "{id}");
        assert!(ids.insert(id), "two clients have one id: {ids:?}");
    }
}

/// RFC 9562 §5.4: version 4 in lower-case hexadecimal digits.
fn is_random_uuid(id: &str) -> bool {
    let letters = id.char_indices().all(|(place, letter)| match place {
        8 | 13 | 18 | 23 => letter == '-',
        14 => letter == '4',
        19 => matches!(letter, '8' | '9' | 'a' | 'b'),
        _ => matches!(letter, '0'..='9' | 'a'..='f'),
    });
    letters && id.len() == 36
}

#[track_caller]
fn check_keys(object: &Value, keys: &[&str]) {
    let own: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(own, keys, "{object}");
}

/// Milliseconds, not seconds or microseconds: within a day of this machine's clock.
#[track_caller]
fn check_now(frame: &Value) {
    const DAY_MS: u128 = 86_400_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let timestamp = u128::from(frame["timestamp"].as_u64().unwrap_or_else(|| panic!("no timestamp in {frame}")));
    assert!(timestamp.abs_diff(now) < DAY_MS, "{frame}");
}

#[test]
fn every_answer_has_exactly_its_fields() {
    let server = Launch::embedded().start().unwrap();
    let mut client = connect(&server);
    let mut answer = |text: &str| -> Value {
        client.say(text).unwrap();
        serde_json::from_str(&client.client().text().unwrap()).unwrap()
    };
    assert_eq!(
        answer(r#"{"type":"subscribe","channel":"é \"b\""}"#),
        json!({"type": "subscribed", "channel": "é \"b\""})
    );
    assert_eq!(
        answer(r#"{"type":"unsubscribe","channel":"\u00e9 \"b\""}"#),
        json!({"type": "unsubscribed", "channel": "é \"b\""})
    );
    let pong = answer(r#"{"type":"ping"}"#);
    check_keys(&pong, &["timestamp", "type"]);
    check_now(&pong);
    check_keys(&answer("nonsense"), &["code", "message", "type"]);
    check_keys(&answer(r#"{"type":"unsubscribe","channel":"never"}"#), &["channel", "code", "message", "type"]);

    let mut listener = following(&server, "room");
    client.broadcast("room", "1").unwrap();
    let message: Value = serde_json::from_str(&listener.client().text().unwrap()).unwrap();
    check_keys(&message, &["channel", "payload", "timestamp", "type"]);
    check_now(&message);
}

#[test]
fn an_envelope_says_who_broadcast_what_and_when() {
    over_every_broker(|launch| {
        let server = launch.start().unwrap();
        let mut subscriber = server.publisher().unwrap();
        subscriber.command(&["SUBSCRIBE", "flux:room"]).unwrap();
        let mut sender = connect(&server);
        sender.broadcast("room", r#"{"n": 1e400}"#).unwrap();
        let push = loadtest::words(&subscriber.reply().unwrap());
        let text = String::from_utf8(push.last().unwrap().to_vec()).unwrap();
        assert!(text.contains(r#""payload":{"n": 1e400}"#), "{text}");
        let envelope: Value = serde_json::from_str(&text.replace("1e400", "1")).unwrap();
        check_keys(&envelope, &["channel", "from", "payload", "timestamp", "v"]);
        assert_eq!((&envelope["v"], &envelope["from"]), (&json!(1), &json!(sender.id())));
        assert_eq!(envelope["channel"], "room");
        check_now(&envelope);
    });
}

#[test]
fn a_channel_is_heard_from_the_acknowledgement_to_the_unsubscribing_and_never_twice() {
    let (subscribed, unsubscribed) = (Told::Subscribed("room".into()), Told::Unsubscribed("room".into()));
    let not_subscribed = Told::error_about("room", "not_subscribed");
    let steps: [(&[&str], &[&Told], bool); 9] = [
        (&[], &[], false),
        (&["unsubscribe"], &[&not_subscribed], false),
        (&["subscribe"], &[&subscribed], true),
        (&["subscribe"], &[&subscribed], true),
        (&["subscribe", "subscribe"], &[&subscribed, &subscribed], true),
        (&["unsubscribe"], &[&unsubscribed], false),
        (&["unsubscribe"], &[&not_subscribed], false),
        (&["subscribe", "unsubscribe"], &[&subscribed, &unsubscribed], false),
        (&["subscribe", "unsubscribe", "subscribe"], &[&subscribed, &unsubscribed, &subscribed], true),
    ];
    over_every_broker(|launch| {
        let server = launch.start().unwrap();
        let (mut client, mut witness, mut sender) = (connect(&server), following(&server, "room"), connect(&server));
        for (number, (say, answers, hears)) in steps.iter().enumerate() {
            for kind in *say {
                client.say(json!({"type": kind, "channel": "room"}).to_string()).unwrap();
            }
            let told: Vec<_> = answers.iter().map_while(|_| client.told()).collect();
            assert!(told.iter().eq(answers.iter().copied()), "step {number}: {told:?}");
            sender.broadcast("room", &number.to_string()).unwrap();
            let message = Told::message("room", &number.to_string());
            assert_eq!(witness.told().as_ref(), Some(&message), "step {number}");
            let expected = if *hears { vec![message] } else { Vec::new() };
            assert_eq!(told_so_far(&server, &mut client), expected, "step {number}");
        }
    });
}

/// Connections of every shard.
fn seats(server: &Server) -> Vec<u64> {
    let stats = server.stats();
    stats["shards"].as_array().unwrap().iter().map(|shard| shard["connections"].as_u64().unwrap()).collect()
}

/// A client on this shard. The kernel chooses where a connection arrives: this one tries until it suits.
fn connect_on(server: &Server, shard: usize) -> FluxClient {
    let before = seats(server);
    let total: u64 = before.iter().sum();
    for _ in 0..200 {
        let client = connect(server);
        server.wait_until("/total/connections", total + 1);
        if seats(server)[shard] > before[shard] {
            return client;
        }
        drop(client);
        server.wait_until("/total/connections", total);
    }
    panic!("no connection in two hundred arrives on shard {shard}");
}

#[test]
fn a_broadcast_reaches_everybody_else_on_every_shard_once_and_never_its_sender() {
    over_every_broker(|launch| {
        let server = launch.option("--shards", "4").start().unwrap();
        // Two on each shard: the first client's neighbour and others far from it.
        let mut clients: Vec<FluxClient> = (0..8).map(|number| connect_on(&server, number / 2)).collect();
        for client in &mut clients {
            assert_eq!(client.subscribe("room"), Some(Told::Subscribed("room".into())));
        }
        let mut elsewhere = following(&server, "room ");
        for sender in 0..clients.len() {
            let payload = format!(r#"{{"from":{sender}}}"#);
            clients[sender].broadcast("room", &payload).unwrap();
            for (number, client) in clients.iter_mut().enumerate() {
                if number != sender {
                    assert_eq!(client.told(), Some(Told::message("room", &payload)), "{number} from {sender}");
                }
            }
            for client in &mut clients {
                assert_eq!(told_so_far(&server, client), []);
            }
        }
        assert_eq!(told_so_far(&server, &mut elsewhere), []);
    });
}

#[test]
fn who_follows_nothing_may_broadcast_and_nobody_need_listen() {
    over_every_broker(|launch| {
        let server = launch.start().unwrap();
        let (mut listener, mut sender) = (following(&server, "room"), connect(&server));
        for payload in ["1", "2"] {
            sender.broadcast("nobody is here", payload).unwrap();
            sender.broadcast("room", payload).unwrap();
            assert_eq!(listener.told(), Some(Told::message("room", payload)));
        }
        assert_eq!(told_so_far(&server, &mut sender), []);
    });
}

#[test]
fn one_connection_follows_many_channels_and_hears_each_under_its_name() {
    over_every_broker(|launch| {
        let server = launch.start().unwrap();
        let (mut listener, mut sender) = (connect(&server), connect(&server));
        let long = "é".repeat(127);
        let channels = ["a", "A", "a ", "a*", "a?", "[a]", "a\\", "a:b", "\"a\"", "/", "日本", " ", "*", &long];
        for channel in channels {
            assert_eq!(listener.subscribe(channel), Some(Told::Subscribed(channel.to_owned())));
        }
        for channel in channels {
            sender.broadcast(channel, "0").unwrap();
            assert_eq!(listener.told(), Some(Told::message(channel, "0")));
        }
        assert_eq!(told_so_far(&server, &mut listener), []);
    });
}

#[test]
fn a_message_is_encoded_once_for_all_clients_of_a_shard() {
    const CLIENTS: usize = 10;
    const MESSAGES: u64 = 20;
    let server = Launch::embedded().option("--shards", "1").start().unwrap();
    let mut clients: Vec<FluxClient> = (0..CLIENTS).map(|_| following(&server, "room")).collect();
    let mut sender = connect(&server);
    for number in 0..MESSAGES {
        sender.broadcast("room", &number.to_string()).unwrap();
        for client in &mut clients {
            assert_eq!(client.told(), Some(Told::message("room", &number.to_string())));
        }
    }
    sender.broadcast("nobody is here", "0").unwrap();
    clients[0].broadcast("room", "0").unwrap();
    assert_eq!(clients[1].told(), Some(Told::message("room", "0")));
    eventually("one encoding for each message that anybody follows", || {
        let metrics = server.get("/metrics").unwrap().text();
        let line =
            metrics.lines().find(|line| line.starts_with("fanout_encodes_total{") && line.contains("flux_message"));
        (line?.rsplit(' ').next()? == (MESSAGES + 1).to_string()).then_some(())
    });
}

#[test]
fn an_ordinary_ping_and_a_close_are_answered_beside_the_json() {
    let server = Launch::embedded().start().unwrap();
    let mut client = connect(&server);
    client.client().send(Message::Ping(b"are you there"[..].into())).unwrap();
    let pong = loadtest::Received::Pong(b"are you there".to_vec());
    assert_eq!(client.client().receive(Duration::from_secs(20)), pong);
    assert_eq!(client.ping(), Some(Told::Pong));
    let client = Client::connect(server.address, "/flux/ws").unwrap();
    assert_eq!(client.close(), Some(1000));
    drop(server);
}

#[test]
fn the_channels_of_a_client_that_left_are_nobodys() {
    over_every_broker(|launch| {
        let server = launch.start().unwrap();
        let mut leaving = following(&server, "room");
        leaving.subscribe("another").unwrap();
        server.wait_until("/total/topics", 2);
        drop(leaving);
        server.wait_until("/total/topics", 0);
        let (mut staying, mut sender) = (following(&server, "room"), connect(&server));
        sender.broadcast("room", "1").unwrap();
        assert_eq!(staying.told(), Some(Told::message("room", "1")));
    });
}

/// Follows and leaves the channel again and again: between the two acknowledgements it hears every number, and none
/// outside of them. `next` is the number that is published next or just now.
fn come_and_go(mut client: FluxClient, rounds: u64, next: &AtomicU64) {
    for round in 0..rounds {
        assert_eq!(client.subscribe("room"), Some(Told::Subscribed("room".into())), "round {round}");
        let latest = next.load(Ordering::SeqCst);
        let numbers = iter::from_fn(|| match client.told() {
            Some(Told::Message { payload, .. }) => payload.parse::<u64>().ok(),
            other => panic!("round {round}: {other:?}"),
        });
        let mut heard: Vec<u64> = numbers.take(usize::try_from(round % 5).unwrap() + 1).collect();
        client.say(r#"{"type":"unsubscribe","channel":"room"}"#).unwrap();
        while let Some(Told::Message { payload, .. }) = client.told() {
            heard.push(payload.parse().unwrap());
        }
        assert!(heard[0] <= latest + 1, "round {round}: {latest} was published already, {} came first", heard[0]);
        assert!(heard.windows(2).all(|pair| pair[0] + 1 == pair[1]), "round {round}: {heard:?}");
        assert_eq!(client.ping(), Some(Told::Pong), "round {round}: something came after the acknowledgement");
    }
}

#[test]
fn nothing_is_missed_or_repeated_between_the_acknowledgements_while_clients_come_and_go() {
    over_every_broker(|launch| {
        let launch = launch.option("--shards", "4").option("--client-messages-per-second", "0");
        let server = launch.start().unwrap();
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    let (client, next) = (connect(&server), &next);
                    scope.spawn(move || come_and_go(client, 50, next))
                })
                .collect();
            scope.spawn(|| {
                let mut publisher = server.publisher().unwrap();
                while !stop.load(Ordering::SeqCst) {
                    let number = next.load(Ordering::SeqCst).to_string();
                    publisher.command(&["PUBLISH", "flux:room", &number]).unwrap();
                    next.fetch_add(1, Ordering::SeqCst);
                }
            });
            let outcomes: Vec<_> = clients.into_iter().map(thread::ScopedJoinHandle::join).collect();
            stop.store(true, Ordering::SeqCst);
            assert!(outcomes.iter().all(Result::is_ok), "some client heard otherwise");
        });
        server.wait_until("/total/topics", 0);
    });
}
