//! The canary: what a Redis that confirms everything and delivers nothing cannot hide.

use super::channels::{command, message, push, take_both};
use super::{Connections, FakeRedis, Stage, Subscribing, pmessage, write};
use crate::engine::protocol::Notice;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

const PATTERN: &[u8] = b"*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:2\r\n";

/// Takes both connections and confirms everything; gives the canary's channel, too.
fn confirmed(redis: &FakeRedis) -> (Connections, String) {
    let (mut subscriber, mut publisher) = (None, None);
    while subscriber.is_none() || publisher.is_none() {
        let (mut stream, _) = redis.listener.accept().expect("a connection");
        let words = command(&mut stream);
        if words == "PING" {
            write(&mut stream, b"+PONG\r\n");
            publisher = Some(stream);
            continue;
        }
        let channel = words.strip_prefix("SUBSCRIBE ").expect("the canary comes first").to_owned();
        assert!(channel.starts_with("fanout:canary:"), "{channel}");
        assert!(command(&mut stream).starts_with("PSUBSCRIBE "));
        write(&mut stream, &[push("subscribe", &channel).as_bytes(), PATTERN].concat());
        subscriber = Some((stream, channel));
    }
    let (subscriber, channel) = subscriber.expect("just seen");
    (Connections { subscriber, publisher: publisher.expect("just seen") }, channel)
}

/// The stamp that is published next; signs of life that are asked for are given.
fn stamp(publisher: &mut TcpStream, channel: &str) -> String {
    loop {
        let words = command(publisher);
        if words == "PING" {
            write(publisher, b"+PONG\r\n");
            continue;
        }
        let stamp = words.strip_prefix(&format!("PUBLISH {channel} "));
        return stamp.unwrap_or_else(|| panic!("{words}")).to_owned();
    }
}

/// Lets one stamp come back.
fn sing(connections: &mut Connections, channel: &str) {
    let stamp = stamp(&mut connections.publisher, channel);
    write(&mut connections.publisher, b":1\r\n");
    write(&mut connections.subscriber, message(channel, &stamp).as_bytes());
}

/// Answers everything in a friendly way and brings nothing, until the other side closes.
fn answer_until_it_ends(mut stream: TcpStream, pong: &'static [u8]) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut words = [0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut words) {
            let text = String::from_utf8_lossy(&words[..bytes]).into_owned();
            for line in text.lines() {
                let answer = match line {
                    "PING" => pong,
                    "PUBLISH" => b":1\r\n",
                    _ => continue,
                };
                // The other side may have closed meanwhile: that is what is waited for.
                drop(stream.write_all(answer));
            }
        }
    })
}

#[test]
fn a_confirmed_subscription_is_believed_once_the_canary_is_heard() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let (mut connections, channel) = confirmed(&redis);
    stage.wait("confirmation", |stage| stage.status.is_subscribed().then_some(()));
    assert!(!stage.status.is_connected(), "nothing is proven");
    let first = stamp(&mut connections.publisher, &channel);
    write(&mut connections.publisher, b":1\r\n");
    assert!(!stage.status.is_connected(), "an answer is no proof");
    for forged in ["", "x", "-1", "18446744073709551615"] {
        write(&mut connections.subscriber, message(&channel, forged).as_bytes());
    }
    sing(&mut connections, &channel);
    stage.await_connected(true);
    let canary = &stage.status.canary;
    assert_eq!((canary.sent.get(), canary.lost.get()), (2, 1), "{first} did not come back");
    assert!(canary.age().is_some() && canary.round_trip().is_some());
}

#[test]
fn where_stamps_are_taken_and_do_not_come_back_both_connections_are_made_again() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let (mut connections, channel) = confirmed(&redis);
    sing(&mut connections, &channel);
    stage.await_connected(true);
    assert_eq!(stage.notice(), Notice::SourceReconnected);
    let Connections { subscriber, publisher } = connections;
    let subscriber = answer_until_it_ends(subscriber, b"*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    let publisher = answer_until_it_ends(publisher, b"+PONG\r\n");
    stage.await_connected(false);
    let (mut connections, again) = confirmed(&redis);
    assert_eq!(again, channel);
    subscriber.join().expect("it was given up");
    publisher.join().expect("it was given up, too");
    assert!(!stage.status.is_connected(), "what was heard before proves nothing now");
    sing(&mut connections, &channel);
    stage.await_connected(true);
    assert_eq!(stage.notice(), Notice::SourceReconnected);
    assert_eq!((stage.notices(), stage.status.epoch.get(), stage.status.reconnects()), (0, 2, 1));
}

#[test]
fn a_user_who_may_not_publish_the_canary_is_as_ready_as_one_without() {
    let redis = FakeRedis::open();
    let (stage, _connections, _) = forbidden(&redis);
    assert_eq!(stage.status.canary.age(), None);
}

/// A stage that is ready though Redis forbids it to publish the canary.
fn forbidden(redis: &FakeRedis) -> (Stage, Connections, String) {
    let mut stage = redis.stage(None);
    let (mut connections, channel) = confirmed(redis);
    stamp(&mut connections.publisher, &channel);
    write(&mut connections.publisher, b"-NOPERM this user has no permissions to access one of the channels\r\n");
    stage.await_connected(true);
    (stage, connections, channel)
}

#[test]
fn where_the_canary_may_not_be_published_a_new_connection_to_publish_on_costs_no_readiness() {
    let redis = FakeRedis::open();
    let (mut stage, connections, channel) = forbidden(&redis);
    connections.publisher.shutdown(Shutdown::Both).expect("it is open");
    let (mut publisher, _) = redis.listener.accept().expect("another one");
    assert_eq!(command(&mut publisher), "PING");
    write(&mut publisher, b"+PONG\r\n");
    stamp(&mut publisher, &channel);
    assert!(stage.status.is_connected(), "nothing new is known");
    write(&mut publisher, b":1\r\n");
    stage.await_connected(false);
}

#[test]
fn any_other_answer_than_a_denial_is_no_excuse() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage(None);
    let (mut connections, channel) = confirmed(&redis);
    stamp(&mut connections.publisher, &channel);
    write(&mut connections.publisher, b"-ERR not today\r\n");
    let second = stamp(&mut connections.publisher, &channel);
    assert!(stage.status.is_subscribed() && !stage.status.is_connected());
    write(&mut connections.publisher, b":1\r\n");
    write(&mut connections.subscriber, message(&channel, &second).as_bytes());
    stage.await_connected(true);
}

#[test]
fn no_canary_is_an_event_whatever_pattern_brings_it() {
    let redis = FakeRedis::open();
    let mut stage = redis.stage_of(Subscribing::Patterns(vec!["*".to_owned()]), None);
    let (mut connections, channel) = confirmed(&redis);
    for name in [channel.as_str(), "fanout:canary:another", "fanout:canaries"] {
        stage.follow(name, 1);
    }
    let stamp = stamp(&mut connections.publisher, &channel);
    let bytes = [
        message(&channel, &stamp).into_bytes(),
        pmessage(&channel, stamp.as_bytes()),
        pmessage("fanout:canary:another", b"7"),
        pmessage("fanout:canaries", b"an event"),
    ];
    write(&mut connections.subscriber, &bytes.concat());
    assert_eq!(stage.event(), ("fanout:canaries".to_owned(), "an event".to_owned()));
    stage.await_connected(true);
    assert_eq!(stage.metrics.messages_in.get(), 1);
}

#[test]
fn channel_by_channel_the_canary_is_heard_as_well() {
    let redis = FakeRedis::open();
    let mut stage: Stage = redis.stage_of(Subscribing::Channels { linger: std::time::Duration::from_secs(600) }, None);
    let mut channel = String::new();
    let mut connections = take_both(&redis, |stream, words| {
        channel = words.strip_prefix("SUBSCRIBE ").expect("the canary comes first").to_owned();
        write(stream, push("subscribe", &channel).as_bytes());
    });
    sing(&mut connections, &channel);
    stage.await_connected(true);
}
