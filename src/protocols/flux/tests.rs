//! One flux client and what its side of the conversation wants done, without sockets.

use super::*;
use serde_json::{Value, json};

fn client(change: impl FnOnce(&mut FluxSettings)) -> Flux {
    let mut settings = FluxSettings {
        base_path: "/flux".to_owned(),
        prefix: "flux:".to_owned(),
        broadcast_is_open: true,
        channels: vec!["room-*".to_owned(), "news".to_owned()],
        event_bytes_max: 200,
        slow_policy: SlowPolicy::Close,
    };
    change(&mut settings);
    let rules = Box::leak(Box::new(Rules { settings, hasher: TopicHasher::with_key((1, 2)) }));
    Flux { client: Uuid::from_u128(42), news: News::Unwanted, rules }
}

/// What one message leads to; `None` where a frame is not JSON.
fn reaction(client: &mut Flux, message: ClientMessage<'_>) -> Action {
    let mut actions = Actions::new();
    client.received(message, &mut actions);
    assert_eq!(actions.len(), 1, "every message has one answer");
    actions.remove(0)
}

fn said(action: &Action) -> Value {
    let Action::Send(frame) = action else { panic!("nothing is said: {action:?}") };
    let header_bytes = if frame[1] == 126 { 4 } else { 2 };
    serde_json::from_slice(&frame[header_bytes..]).expect("the server speaks JSON")
}

fn say(client: &mut Flux, text: &str) -> Action {
    reaction(client, ClientMessage::Text(text))
}

#[test]
fn wishes_are_about_the_topic_of_their_channel() {
    let mut client = client(|_| {});
    for (kind, expects_subscription) in [("subscribe", true), ("unsubscribe", false)] {
        let action = say(&mut client, &json!({ "type": kind, "channel": "room-ä" }).to_string());
        let (Action::Subscribe(topic) | Action::Unsubscribe(topic)) = &action else { panic!("{action:?}") };
        assert_eq!(matches!(action, Action::Subscribe(_)), expects_subscription);
        assert_eq!((topic.display(), topic.key()), ("flux:room-ä".into(), "room-ä".into()));
    }
}

#[test]
fn a_broadcast_is_published_in_an_envelope_that_names_its_sender() {
    let mut client = client(|_| {});
    let action = say(&mut client, r#"{"type":"broadcast","channel":"news","payload":{"a" : 1e2}}"#);
    let Action::Publish { topic, payload } = action else { panic!("{action:?}") };
    assert_eq!(topic.name(), b"flux:news");
    let text = str::from_utf8(&payload).unwrap();
    assert!(text.contains(r#""payload":{"a" : 1e2}"#), "as it was written: {text}");
    let envelope: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&envelope["v"], &envelope["channel"]), (&json!(1), &json!("news")));
    assert_eq!(envelope["from"], "00000000-0000-0000-0000-00000000002a");
    assert!(envelope["timestamp"].as_u64().is_some_and(|stamp| stamp > 1_600_000_000_000));
}

#[test]
fn what_is_not_allowed_has_its_code_and_its_channel() {
    let table = [
        (r#"{"type":"subscribe","channel":"other"}"#, "invalid_channel", Some("other")),
        (r#"{"type":"broadcast","channel":"other","payload":1}"#, "invalid_channel", Some("other")),
        (r#"{"type":"broadcast","channel":"news","payload":1}"#, "forbidden", Some("news")),
        (r#"{"type":"broadcast","channel":"news"}"#, "invalid_json", None),
        (r#"{"type":"shout"}"#, "unknown_type", None),
    ];
    let mut client = client(|settings| settings.broadcast_is_open = false);
    for (text, code, channel) in table {
        let error = said(&say(&mut client, text));
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{text}");
        assert_eq!(error.get("channel").and_then(Value::as_str), channel, "{text}");
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 20), "{text}");
    }
    let error = said(&reaction(&mut client, ClientMessage::Binary(b"{}")));
    assert_eq!(error["code"], "invalid_json");
}

#[test]
fn a_payload_that_the_broker_would_not_take_is_too_large() {
    let mut client = client(|_| {});
    let broadcast = |bytes: usize| json!({ "type": "broadcast", "channel": "news", "payload": "x".repeat(bytes) });
    assert!(matches!(say(&mut client, &broadcast(50).to_string()), Action::Publish { .. }));
    assert_eq!(said(&say(&mut client, &broadcast(200).to_string()))["code"], "payload_too_large");
}

#[test]
fn what_becomes_of_wishes_is_said_in_json() {
    let mut client = client(|_| {});
    let topic = TopicHasher::with_key((1, 2)).prefixed("flux:", "a\"b");
    let table = [
        (Answer::Subscribed, json!({ "type": "subscribed", "channel": "a\"b" })),
        (Answer::Unsubscribed, json!({ "type": "unsubscribed", "channel": "a\"b" })),
    ];
    for (answer, expected) in table {
        let mut actions = Actions::new();
        client.answered(&topic, answer, &mut actions);
        assert_eq!(said(&actions[0]), expected);
    }
    let mut actions = Actions::new();
    client.answered(&topic, Answer::TooMany, &mut actions);
    client.answered(&topic, Answer::NotSubscribed, &mut actions);
    client.unpublished(&topic, PublishError::Unavailable, &mut actions);
    client.unpublished(&topic, PublishError::Overloaded, &mut actions);
    client.unpublished(&topic, PublishError::Refused, &mut actions);
    client.refused(&mut actions);
    let codes: Vec<String> =
        actions.iter().map(|action| said(action)["code"].as_str().expect("a code").to_owned()).collect();
    let expected = ["too_many_channels", "not_subscribed", "unavailable", "unavailable", "forbidden", "rate_limited"];
    assert_eq!(codes, expected);
}
