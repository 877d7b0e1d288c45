//! Redis as it may behave: away, coming back, refusing, stopping, talking nonsense.

mod canary;
mod channels;

use super::{Redis, Subscribing};
use crate::brokers::stage::Stage;
use crate::config::{RedisAddress, Secret};
use crate::engine::protocol::{Notice, PublishError};
use crate::metrics::Drop;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const EVENT_BYTES_MAX: usize = 100_000;
/// The answer to a subscriber's first words: no canary, so that readiness hangs on the pattern alone.
const CONFIRMED: &[u8] = b"-NOPERM No permissions to access a channel\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n";

/// A Redis that says what the test says.
struct FakeRedis {
    listener: TcpListener,
}

/// The two connections of an instance.
struct Connections {
    subscriber: TcpStream,
    publisher: TcpStream,
}

impl FakeRedis {
    fn open() -> Self {
        Self { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port") }
    }

    fn settings(&self, password: Option<&str>) -> RedisAddress {
        let port = self.listener.local_addr().expect("bound").port();
        RedisAddress {
            host: "127.0.0.1".to_owned(),
            port,
            username: None,
            password: password.map(|password| Secret::new(password.to_owned())),
        }
    }

    fn stage(&self, password: Option<&str>) -> Stage {
        self.stage_of(Subscribing::Patterns(vec!["a*".to_owned()]), password)
    }

    fn stage_of(&self, subscribing: Subscribing, password: Option<&str>) -> Stage {
        let settings = self.settings(password);
        Stage::with(move |status| Redis::new(settings, subscribing, EVENT_BYTES_MAX, status))
    }

    /// Takes both connections and answers their first words.
    fn welcome(&self) -> Connections {
        let (mut subscriber, mut publisher) = (None, None);
        while subscriber.is_none() || publisher.is_none() {
            let (mut stream, _) = self.listener.accept().expect("a connection");
            let words = read(&mut stream);
            if words.contains("PSUBSCRIBE") {
                write(&mut stream, CONFIRMED);
                subscriber = Some(stream);
            } else {
                assert!(words.contains("PING"), "{words:?}");
                write(&mut stream, b"+PONG\r\n");
                publisher = Some(stream);
            }
        }
        Connections { subscriber: subscriber.unwrap(), publisher: publisher.unwrap() }
    }
}

fn read(stream: &mut TcpStream) -> String {
    let mut words = vec![0; 64 * 1024];
    let bytes = stream.read(&mut words).expect("open");
    String::from_utf8(words[..bytes].to_vec()).expect("commands are text here")
}

fn write(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("open");
}

fn pmessage(channel: &str, payload: &[u8]) -> Vec<u8> {
    let (channel_bytes, payload_bytes) = (channel.len(), payload.len());
    let head = format!("*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n${channel_bytes}\r\n{channel}\r\n${payload_bytes}\r\n");
    [head.as_bytes(), payload, b"\r\n"].concat()
}

#[test]
fn events_arrive_sealed_and_in_order_wherever_reads_split_them() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let mut connections = redis.welcome();
    stage.await_connected(true);
    stage.follow("a:1", 1);
    let mut random = fastrand::Rng::with_seed(17);
    let payloads: Vec<String> =
        (0..2_000).map(|number| format!("{number}{}", "z".repeat(random.usize(0..600)))).collect();
    let bytes: Vec<u8> = payloads.iter().flat_map(|payload| pmessage("a:1", payload.as_bytes())).collect();
    let sending = std::thread::spawn(move || {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let piece = rest.len().min(random.usize(1..5_000));
            write(&mut connections.subscriber, &rest[..piece]);
            rest = &rest[piece..];
        }
        connections
    });
    for payload in payloads {
        assert_eq!(stage.event(), ("a:1".to_owned(), payload));
    }
    drop(sending.join());
}

#[test]
fn events_that_cannot_be_delivered_are_counted_and_the_next_one_arrives() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let mut connections = redis.welcome();
    stage.await_connected(true);
    stage.follow("a:1", 1);
    let too_big = vec![b'x'; EVENT_BYTES_MAX + 1];
    let largest = vec![b'x'; EVENT_BYTES_MAX];
    let far_too_big = vec![b'x'; 5_000_000];
    for payload in [b"\xff".as_slice(), &too_big, &far_too_big, &largest, b"last"] {
        write(&mut connections.subscriber, &pmessage("a:1", payload));
    }
    assert_eq!(stage.event().1.len(), EVENT_BYTES_MAX);
    assert_eq!(stage.event().1, "last");
    assert_eq!(stage.metrics.dropped(Drop::NotUtf8).get(), 1);
    assert_eq!(stage.metrics.dropped(Drop::EventTooBig).get(), 2);
}

#[test]
fn a_lost_connection_comes_back_and_the_gap_is_told() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let connections = redis.welcome();
    stage.await_connected(true);
    assert_eq!(stage.status.reconnects(), 0);
    drop(connections);
    stage.await_connected(false);
    let mut connections = redis.welcome();
    stage.await_connected(true);
    assert_eq!(stage.notice(), Notice::SourceReconnected);
    assert_eq!(stage.status.reconnects(), 1);
    stage.follow("a:1", 1);
    write(&mut connections.subscriber, &pmessage("a:1", b"again"));
    assert_eq!(stage.event(), ("a:1".to_owned(), "again".to_owned()));
    assert_eq!(stage.status.epoch.get(), 2);
}

#[test]
fn nonsense_amid_events_is_a_gap_and_what_stands_in_front_of_it_is_delivered() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let mut connections = redis.welcome();
    stage.await_connected(true);
    assert_eq!(stage.notice(), Notice::SourceReconnected);
    stage.follow("a:1", 1);
    let nonsense: [&[u8]; 3] = [b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"*1\r\n*1\r\n", b"$3\r\nabc\r\n"];
    for (bytes, epoch) in nonsense.into_iter().zip(2..) {
        write(&mut connections.subscriber, &[&pmessage("a:1", b"before"), bytes].concat());
        assert_eq!(stage.event().1, "before");
        let (mut subscriber, _) = redis.listener.accept().expect("it comes back");
        read(&mut subscriber);
        write(&mut subscriber, CONFIRMED);
        connections.subscriber = subscriber;
        assert_eq!(stage.notice(), Notice::SourceReconnected);
        assert_eq!(stage.status.epoch.get(), epoch);
    }
    assert_eq!(stage.notices(), 0, "one for each");
}

#[test]
fn a_redis_that_stops_answering_is_left() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let _silent = redis.welcome();
    stage.await_connected(true);
    stage.await_connected(false);
    let _connections = redis.welcome();
    stage.await_connected(true);
}

#[test]
fn refusals_and_nonsense_are_tried_again_until_they_end() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(Some("secret"));
    let table: [&[u8]; 5] = [
        b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"*1\r\n*1\r\n*1\r\n",
        b"",
    ];
    for answer in table {
        let (mut stream, _) = redis.listener.accept().expect("a connection");
        let words = read(&mut stream);
        assert!(words.starts_with("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"), "{words:?}");
        write(&mut stream, answer);
        assert!(!stage.status.is_connected());
    }
    let mut both = (None, None);
    while both.0.is_none() || both.1.is_none() {
        let (mut stream, _) = redis.listener.accept().expect("a connection");
        if read(&mut stream).contains("PSUBSCRIBE") {
            write(&mut stream, &[b"+OK\r\n", CONFIRMED].concat());
            both.0 = Some(stream);
        } else {
            write(&mut stream, b"+OK\r\n+PONG\r\n");
            both.1 = Some(stream);
        }
    }
    stage.await_connected(true);
    assert_eq!(stage.status.reconnects(), 0, "what was never there cannot come again");
}

#[test]
fn publications_are_pipelined_and_answered_one_by_one() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let mut connections = redis.welcome();
    connections.publisher.set_read_timeout(Some(Duration::from_millis(200))).expect("not zero");
    stage.wait("connection for publishing", |stage| {
        stage.publish("a:0", "probe", 0);
        match connections.publisher.read(&mut [0; 1024]) {
            Ok(_) => write(&mut connections.publisher, b":0\r\n"),
            Err(_) => return (stage.outcome() != (0, Err(PublishError::Unavailable))).then_some(()),
        }
        (stage.outcome() == (0, Ok(0))).then_some(())
    });
    for request in 1..=3 {
        stage.publish("a:1", "{}", request);
    }
    let mut words = String::new();
    while words.matches("a:1").count() < 3 {
        words += &read(&mut connections.publisher);
    }
    assert!(words.contains("*3\r\n$7\r\nPUBLISH\r\n$3\r\na:1\r\n$2\r\n{}\r\n"), "{words:?}");
    write(&mut connections.publisher, b":5\r\n-NOPERM no\r\n");
    assert_eq!(stage.outcome(), (1, Ok(5)));
    assert_eq!(stage.outcome(), (2, Err(PublishError::Refused)));
    drop(connections);
    assert_eq!(stage.outcome(), (3, Err(PublishError::Unavailable)));
    stage.publish("a:1", "{}", 4);
    assert_eq!(stage.outcome(), (4, Err(PublishError::Unavailable)));
    let counted = |error| stage.metrics.unpublished(error).get();
    // The probe may have come too early as well.
    assert!(counted(PublishError::Unavailable) >= 2);
    assert_eq!([PublishError::Refused, PublishError::Overloaded].map(counted), [1, 0]);
}

#[test]
fn an_event_in_front_of_an_error_is_delivered_and_nothing_of_it_remains_for_the_next_connection() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let mut connections = redis.welcome();
    stage.await_connected(true);
    stage.follow("a:1", 1);
    let error = b"-NOPERM this user has no permissions to run the 'ping' command\r\n";
    write(&mut connections.subscriber, &[&pmessage("a:1", b"before"), error.as_slice()].concat());
    assert_eq!(stage.event().1, "before");
    let (mut subscriber, _) = redis.listener.accept().expect("it comes back");
    read(&mut subscriber);
    write(&mut subscriber, CONFIRMED);
    write(&mut subscriber, &pmessage("a:1", b"after"));
    assert_eq!(stage.event().1, "after");
}

#[test]
fn an_answer_that_is_longer_than_any_ends_the_publishing_connection_only() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let mut connections = redis.welcome();
    stage.await_connected(true);
    stage.follow("a:1", 1);
    write(&mut connections.publisher, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$100000\r\nabc");
    let (mut publisher, _) = redis.listener.accept().expect("it comes back");
    assert!(read(&mut publisher).contains("PING"));
    write(&mut connections.subscriber, &pmessage("a:1", b"still here"));
    assert_eq!(stage.event().1, "still here");
}
