//! What a flux client says, through `protocols::flux`, from its text to what everybody else gets.
//!
//! - Every message has exactly one consequence: an answer, a subscription, its end, or an event for the broker.
//! - An answer is a text frame with a JSON object; an error has one of the codes that src/protocols/README.md lists.
//! - A channel is 1 to 255 bytes without control characters, the one that the message names.
//! - What is published is not above the limit, and the broker's way turns it into a message for everybody but its
//!   sender, with the payload byte for byte.

use super::flux_client::{self, EVENT_BYTES_MAX, Object, PREFIX, string};
use super::sent;
use bytes::Bytes;
use fanout::engine::message::Message;
use fanout::engine::protocol::{Action, ClientMessage, Protocol};
use fanout::engine::topic::Topic;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// Longest name of a channel.
const CHANNEL_BYTES_MAX: usize = 255;

/// The errors that a message by itself can earn.
const CODES: [&str; 5] = ["invalid_json", "unknown_type", "invalid_channel", "payload_too_large", "forbidden"];

thread_local! {
    /// One client for all messages of a thread: what one says changes nothing for the next. Never dropped: its family's
    /// rules live as long as the process, and are held by it alone.
    static CLIENT: ManuallyDrop<RefCell<Box<dyn Protocol>>> = ManuallyDrop::new(RefCell::new(flux_client::connect()));
}

/// Panics where one of the invariants does not hold.
pub fn check(bytes: &[u8]) {
    CLIENT.with(|client| check_said(client.borrow_mut().as_mut(), bytes));
}

fn check_said(client: &mut dyn Protocol, bytes: &[u8]) {
    let mut actions = Vec::new();
    let text = str::from_utf8(bytes);
    client.received(text.map_or(ClientMessage::Binary(bytes), ClientMessage::Text), &mut actions);
    let asked: Option<Object<'_>> = text.ok().and_then(|text| serde_json::from_str(text).ok());
    match &actions[..] {
        [Action::Send(frame)] => check_answer(frame, asked.as_ref()),
        [Action::Subscribe(topic)] => check_topic(topic, "subscribe", asked.as_ref()),
        [Action::Unsubscribe(topic)] => check_topic(topic, "unsubscribe", asked.as_ref()),
        [Action::Publish { topic, payload }] => {
            check_topic(topic, "broadcast", asked.as_ref());
            check_event(client, topic, payload, asked.as_ref());
        }
        other => panic!("consequences: {other:?}"),
    }
}

fn check_answer(frame: &Bytes, asked: Option<&Object<'_>>) {
    let answer: Object<'_> = serde_json::from_str(sent::text(frame)).expect("a JSON object");
    match string(answer["type"]).as_deref() {
        Some("pong") => assert!(asked.is_none_or(|asked| string(asked["type"]).as_deref() == Some("ping"))),
        Some("error") => {
            let code = string(answer["code"]).expect("a code");
            assert!(CODES.contains(&code.as_str()), "{code}");
        }
        other => panic!("an answer of type {other:?}"),
    }
}

fn check_topic(topic: &Topic, kind: &str, asked: Option<&Object<'_>>) {
    let name = str::from_utf8(topic.name()).expect("a topic's name comes from text");
    let channel = name.strip_prefix(PREFIX).expect("it begins with the family's prefix");
    assert!((1..=CHANNEL_BYTES_MAX).contains(&channel.len()) && !channel.chars().any(char::is_control));
    if let Some(asked) = asked {
        assert_eq!(string(asked["type"]).as_deref(), Some(kind));
        assert_eq!(string(asked["channel"]).as_deref(), Some(channel));
    }
}

fn check_event(client: &dyn Protocol, topic: &Topic, event: &Bytes, asked: Option<&Object<'_>>) {
    assert!(event.len() <= EVENT_BYTES_MAX);
    let event = str::from_utf8(event).expect("events are text");
    let sealed = flux_client::seal(client, topic, &Message::copied(topic.clone(), event)).expect("an envelope");
    assert_eq!(sealed.except, client.origin(), "its sender does not get it");
    if let Some(asked) = asked {
        let said: Object<'_> = serde_json::from_str(sent::text(&sealed.frame)).expect("a JSON object");
        assert_eq!(said["payload"].get(), asked["payload"].get(), "byte for byte");
    }
}
