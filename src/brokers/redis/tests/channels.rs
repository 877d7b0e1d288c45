//! Channel by channel: what is asked for when, and who waits for what.

use super::{Connections, FakeRedis, Stage, Subscribing, write};
use crate::brokers::stage::Said::{Event, Listening};
use crate::engine::protocol::Notice;
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

/// As short as a linger can be, for tests that wait for its end.
const SHORT: Duration = Duration::from_millis(100);

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// A stage that is connected and follows nothing, and the connections of it.
fn connected(redis: &FakeRedis, linger: Duration) -> (Stage, Connections) {
    let mut stage = redis.stage_of(Subscribing::Channels { linger }, None);
    let connections = take_both(redis, deny_canary);
    stage.await_connected(true);
    (stage, connections)
}

/// Takes both connections of an instance that follows nothing; `answer` is to answer the subscriber's first words.
pub(super) fn take_both(redis: &FakeRedis, mut answer: impl FnMut(&mut TcpStream, &str)) -> Connections {
    let (mut subscriber, mut publisher) = (None, None);
    while subscriber.is_none() || publisher.is_none() {
        let (mut stream, _) = redis.listener.accept().expect("a connection");
        let mut words = command(&mut stream);
        let place = if words == "PING" { &mut publisher } else { &mut subscriber };
        if words != "PING" {
            answer(&mut stream, &words);
            words = command(&mut stream);
        }
        assert_eq!(words, "PING");
        write(&mut stream, b"+PONG\r\n");
        *place = Some(stream);
    }
    Connections { subscriber: subscriber.unwrap(), publisher: publisher.unwrap() }
}

/// Answers a subscriber's first words so that readiness hangs on its channels alone.
fn deny_canary(stream: &mut TcpStream, words: &str) {
    assert!(words.starts_with("SUBSCRIBE fanout:canary:"), "{words}");
    write(stream, b"-NOPERM No permissions to access a channel\r\n");
}

/// The next command is this one.
fn expect(stream: &mut TcpStream, expected: &str) {
    assert_eq!(next(stream), expected);
}

/// The next command, its words with spaces between them. Signs of life that are asked for are given.
fn next(stream: &mut TcpStream) -> String {
    loop {
        let command = command(stream);
        if command != "PING" {
            return command;
        }
        write(stream, b"*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    }
}

/// One command, and not a byte of the next one.
pub(super) fn command(stream: &mut TcpStream) -> String {
    let count: usize = line(stream)[1..].parse().expect("an array's head");
    let words: Vec<String> = (0..2 * count).map(|_| line(stream)).skip(1).step_by(2).collect();
    words.join(" ")
}

fn line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("open");
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("commands are text here").trim_end().to_owned()
}

fn confirm(stream: &mut TcpStream, name: &str) {
    write(stream, push("subscribe", name).as_bytes());
}

pub(super) fn push(kind: &str, name: &str) -> String {
    format!("*3\r\n${}\r\n{kind}\r\n${}\r\n{name}\r\n:1\r\n", kind.len(), name.len())
}

pub(super) fn message(name: &str, payload: &str) -> String {
    format!("*3\r\n$7\r\nmessage\r\n${}\r\n{name}\r\n${}\r\n{payload}\r\n", name.len(), payload.len())
}

#[test]
fn the_first_interest_asks_once_and_the_confirmation_answers_everybody_who_waits() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, LONG);
    for ticket in 1..=3 {
        stage.announce("a:1", 1, Some(ticket));
    }
    stage.announce("a:2", 1, Some(4));
    let asked = next(&mut connections.subscriber);
    if asked != "SUBSCRIBE a:1 a:2" {
        assert_eq!(asked, "SUBSCRIBE a:1");
        expect(&mut connections.subscriber, "SUBSCRIBE a:2");
    }
    assert!(!stage.has_event(), "nobody is told before Redis has confirmed");
    confirm(&mut connections.subscriber, "a:1");
    assert_eq!([stage.delivery(), stage.delivery(), stage.delivery()], [Listening(1), Listening(2), Listening(3)]);
    stage.announce("a:1", 2, Some(5));
    assert_eq!(stage.delivery(), Listening(5), "what is in place need not be asked for");
    confirm(&mut connections.subscriber, "a:2");
    assert_eq!(stage.delivery(), Listening(4));
}

#[test]
fn an_answer_takes_its_place_among_the_events() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, LONG);
    stage.announce("a:1", 1, Some(1));
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    let bytes = [message("a:1", "before"), push("subscribe", "a:1"), message("a:1", "behind")].concat();
    write(&mut connections.subscriber, bytes.as_bytes());
    let said = [stage.delivery(), stage.delivery(), stage.delivery()];
    assert_eq!(said, [Event("before".to_owned()), Listening(1), Event("behind".to_owned())]);
}

#[test]
fn a_channel_that_nobody_follows_lingers_and_is_left() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, SHORT);
    for name in ["a:1", "a:2"] {
        stage.announce(name, 1, Some(1));
        expect(&mut connections.subscriber, &format!("SUBSCRIBE {name}"));
        confirm(&mut connections.subscriber, name);
        assert_eq!(stage.delivery(), Listening(1));
    }
    stage.announce("a:1", 0, None);
    expect(&mut connections.subscriber, "UNSUBSCRIBE a:1");
    write(&mut connections.subscriber, push("unsubscribe", "a:1").as_bytes());
    stage.announce("a:1", 1, Some(2));
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    confirm(&mut connections.subscriber, "a:1");
    assert_eq!(stage.delivery(), Listening(2));
}

#[test]
fn who_returns_within_the_linger_is_answered_at_once_and_redis_hears_nothing() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, LONG);
    stage.announce("a:1", 1, Some(1));
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    confirm(&mut connections.subscriber, "a:1");
    assert_eq!(stage.delivery(), Listening(1));
    for ticket in 2..20 {
        stage.announce("a:1", 0, None);
        stage.announce("a:1", 1, Some(ticket));
        assert_eq!(stage.delivery(), Listening(ticket));
    }
    // Whatever it might say would come before what it is to say now.
    stage.announce("a:2", 1, Some(20));
    expect(&mut connections.subscriber, "SUBSCRIBE a:2");
}

#[test]
fn who_returns_while_the_channel_is_being_left_waits_for_a_subscription_behind_that() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, SHORT);
    stage.announce("a:1", 1, Some(1));
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    confirm(&mut connections.subscriber, "a:1");
    assert_eq!(stage.delivery(), Listening(1));
    stage.announce("a:1", 0, None);
    expect(&mut connections.subscriber, "UNSUBSCRIBE a:1");
    stage.announce("a:1", 1, Some(2));
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    write(&mut connections.subscriber, message("a:1", "before it was left").as_bytes());
    write(&mut connections.subscriber, push("unsubscribe", "a:1").as_bytes());
    assert_eq!(stage.delivery(), Event("before it was left".to_owned()));
    assert!(!stage.has_event(), "it is told only when the channel is in place again");
    confirm(&mut connections.subscriber, "a:1");
    assert_eq!(stage.delivery(), Listening(2));
}

#[test]
fn who_leaves_before_the_confirmation_leaves_nothing_behind() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, SHORT);
    stage.announce("a:1", 1, None);
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    stage.announce("a:1", 0, None);
    std::thread::sleep(2 * SHORT);
    confirm(&mut connections.subscriber, "a:1");
    expect(&mut connections.subscriber, "UNSUBSCRIBE a:1");
}

#[test]
fn a_new_connection_asks_for_everything_that_is_followed_and_is_ready_behind_the_last_of_it() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, LONG);
    stage.announce("a:gone", 1, None);
    stage.announce("a:gone", 0, None);
    // Fewer than wait in a lane, more than go into two commands.
    let names: Vec<String> = (0..900).map(|number| format!("a:{number:04}")).collect();
    for (name, ticket) in names.iter().zip(1..) {
        stage.announce(name, 1, Some(ticket));
    }
    while next(&mut connections.subscriber).split(' ').next_back() != Some("a:0899") {}
    drop(connections.subscriber);
    for _ in &names {
        assert!(matches!(stage.delivery(), Listening(1..=900)), "the loss releases who waits");
    }
    stage.await_connected(false);
    let (mut subscriber, _) = redis.listener.accept().expect("it comes back");
    let first = command(&mut subscriber);
    deny_canary(&mut subscriber, &first);
    let (mut asked, mut commands) = (Vec::new(), 0);
    while asked.len() < names.len() {
        let command = command(&mut subscriber);
        commands += 1;
        let (verb, rest) = command.split_once(' ').unwrap_or((&command, ""));
        assert_eq!(verb, "SUBSCRIBE", "nothing is asked for behind the last one before it");
        let piece: Vec<String> = rest.split(' ').map(str::to_owned).collect();
        for name in &piece {
            confirm(&mut subscriber, name);
        }
        asked.extend(piece);
    }
    assert_eq!(command(&mut subscriber), "PING");
    assert!(!stage.status.is_connected());
    write(&mut subscriber, b"*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    stage.await_connected(true);
    assert_eq!(stage.notice(), Notice::SourceReconnected);
    assert_eq!(stage.status.reconnects(), 1);
    asked.sort();
    assert_eq!(asked, names);
    assert!(commands < 20, "in pieces, not one by one: {commands}");
    write(&mut subscriber, message("a:0007", "again").as_bytes());
    assert_eq!(stage.delivery(), Event("again".to_owned()));
}

#[test]
fn while_the_connection_is_away_nobody_waits() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, LONG);
    stage.announce("a:1", 1, Some(1));
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    let FakeRedis { listener } = redis;
    drop((connections, listener));
    assert_eq!(stage.delivery(), Listening(1), "the loss of the connection releases who waits");
    stage.await_connected(false);
    stage.announce("a:2", 1, Some(2));
    assert_eq!(stage.delivery(), Listening(2));
}

#[test]
fn a_channel_that_is_refused_ends_the_connection() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, LONG);
    stage.announce("a:1", 1, Some(1));
    expect(&mut connections.subscriber, "SUBSCRIBE a:1");
    write(&mut connections.subscriber, b"-NOPERM No permissions to access a channel\r\n");
    assert_eq!(stage.delivery(), Listening(1));
    stage.await_connected(false);
    let (mut subscriber, _) = redis.listener.accept().expect("it comes back");
    assert!(command(&mut subscriber).starts_with("SUBSCRIBE fanout:canary:"));
    assert!(command(&mut subscriber).contains("a:1"), "and asks again");
}

#[test]
fn a_connection_that_is_opened_and_not_answered_is_left_without_further_words() {
    let redis = FakeRedis::open();
    let (mut stage, mut connections) = connected(&redis, LONG);
    stage.announce("a:probe", 1, None);
    expect(&mut connections.subscriber, "SUBSCRIBE a:probe");
    drop(connections.subscriber);
    let mut openings = 0;
    while openings < 2 {
        let (mut stream, _) = redis.listener.accept().expect("it comes back");
        let mut words = String::new();
        stream.read_to_string(&mut words).expect("it ends");
        // The other connection comes back too: nobody answers that one either.
        if words.contains("SUBSCRIBE") {
            assert!(words.ends_with("*2\r\n$9\r\nSUBSCRIBE\r\n$7\r\na:probe\r\n*1\r\n$4\r\nPING\r\n"), "{words}");
            assert_eq!((words.matches("SUBSCRIBE").count(), words.matches("PING").count()), (2, 1), "{words}");
            openings += 1;
        }
        assert!(!stage.status.is_connected());
    }
}
