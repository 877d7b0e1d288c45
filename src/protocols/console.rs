//! Console: what the page at `/` asks for once a second, over one connection behind the private door.
//!
//! | the page says | the server answers |
//! |---|---|
//! | nothing yet | `{"type":"hello","families":[{"name":n,"path":p,"prefix":s}]}`: who else connects here, and what the names of their topics begin with |
//! | `{"type":"stats"}` | `{"type":"stats","stats":{…}}`: what `/admin/stats` says |
//! | anything else | `{"type":"error","code":c,"message":m}` |

use crate::engine::placement::Placement;
use crate::engine::protocol::{Action, Actions, Admission, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat};
use crate::http::{self, Access, Family, Request};
use crate::metrics::Registry;
use crate::wire::close::CloseCode;
use crate::wire::frame;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::net::SocketAddr;

const PATH: &str = "/admin/live";

/// What all consoles of a shard are told from.
struct Facts {
    registry: Registry,
    version: &'static str,
    /// The first word to each, as a frame.
    hello: Bytes,
}

/// A message of the page; whatever else it says is passed over.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// The family of the page at `/`, which tells about these others.
pub fn family(others: &[Family], registry: Registry, version: &'static str) -> Family {
    // They live as long as the process, and a connection holds no more than their address.
    let facts: &'static Facts = Box::leak(Box::new(Facts::about(others, registry, version)));
    let admit = move |_: &Request<'_>| Ok(Admission { protocol: Box::new(facts), placement: Placement::Anywhere });
    let (path, access) = (PATH.to_owned(), Access::PrivateDoor);
    Family { name: "console", path, prefix: None, access, pages: Vec::new(), admit: Box::new(admit) }
}

impl Facts {
    fn about(families: &[Family], registry: Registry, version: &'static str) -> Self {
        let describe = |family: &Family| json!({ "name": family.name, "path": family.path, "prefix": family.prefix });
        let families: Vec<Value> = families.iter().map(describe).collect();
        let hello = frame::text(&json!({ "type": "hello", "families": families }).to_string());
        Self { registry, version, hello }
    }

    fn answer(&self, text: &str) -> Value {
        let Ok(asked) = serde_json::from_str::<Asked<'_>>(text) else {
            return error("invalid_json", "send a JSON object with one type");
        };
        match asked.kind.as_ref() {
            "stats" => json!({ "type": "stats", "stats": http::statistics(&self.registry, self.version) }),
            _ => error("unknown_type", "ask for stats"),
        }
    }
}

fn error(code: &str, message: &str) -> Value {
    json!({ "type": "error", "code": code, "message": message })
}

impl Protocol for &'static Facts {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }

    fn opened(&mut self, peer: SocketAddr, _seat: &Seat<'_>, actions: &mut Actions) {
        tracing::info!(remote = %peer, "console connected");
        actions.push(Action::Send(self.hello.clone()));
    }

    fn received(&mut self, message: ClientMessage<'_>, actions: &mut Actions) {
        let answer = match message {
            ClientMessage::Text(text) => self.answer(text),
            ClientMessage::Binary(_) => error("invalid_json", "send JSON in text frames"),
        };
        actions.push(Action::Send(frame::text(&answer.to_string())));
    }

    /// What is worth a notice the page reads from the numbers.
    fn notice(&self, _notice: &Notice) -> Option<Bytes> {
        None
    }

    fn closed(&self, _seat: &Seat<'_>, code: CloseCode) {
        tracing::info!(code = code.number(), "console disconnected");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Decline;

    fn console() -> &'static Facts {
        let admit = move |_: &Request<'_>| -> Result<Admission, Decline> { unreachable!("nobody connects") };
        let other = Family {
            name: "workflow",
            path: "/ws".to_owned(),
            prefix: Some("workflow:events:".to_owned()),
            access: Access::Everyone,
            pages: Vec::new(),
            admit: Box::new(admit),
        };
        Box::leak(Box::new(Facts::about(&[other], Registry::new(2, "redis"), "1.2.3")))
    }

    /// What the page hears.
    fn answer(message: ClientMessage<'_>) -> Value {
        let mut actions = Actions::new();
        console().received(message, &mut actions);
        said(&actions)
    }

    fn said(actions: &Actions) -> Value {
        let [Action::Send(frame)] = actions.as_slice() else { panic!("every message has one answer: {actions:?}") };
        let header_bytes = if frame[1] == 126 { 4 } else { 2 };
        serde_json::from_slice(&frame[header_bytes..]).expect("the server speaks JSON")
    }

    #[test]
    fn a_page_that_connects_hears_who_else_does() {
        let mut actions = Actions::new();
        let seat = Seat { topic: None, followers: 0 };
        console().opened("[::1]:1".parse().expect("an address"), &seat, &mut actions);
        let families = json!([{ "name": "workflow", "path": "/ws", "prefix": "workflow:events:" }]);
        assert_eq!(said(&actions), json!({ "type": "hello", "families": families }));
    }

    #[test]
    fn a_page_that_asks_for_stats_gets_what_the_statistics_page_says() {
        let said = answer(ClientMessage::Text(r#"{"type":"stats","more":[1]}"#));
        assert_eq!(said["type"], "stats");
        let mut expected = http::statistics(&Registry::new(2, "redis"), "1.2.3");
        expected["uptime_ms"] = said["stats"]["uptime_ms"].clone();
        assert_eq!(said["stats"], expected);
    }

    #[test]
    fn anything_else_is_answered_with_an_error() {
        for (message, code) in [
            (ClientMessage::Text(r#"{"type":"hello"}"#), "unknown_type"),
            (ClientMessage::Text(r#"{"type":""}"#), "unknown_type"),
            (ClientMessage::Text(r#"{"type":1}"#), "invalid_json"),
            (ClientMessage::Text(r#"{"type":"stats","type":"stats"}"#), "invalid_json"),
            (ClientMessage::Text("{}"), "invalid_json"),
            (ClientMessage::Text("stats"), "invalid_json"),
            (ClientMessage::Text(""), "invalid_json"),
            (ClientMessage::Binary(br#"{"type":"stats"}"#), "invalid_json"),
        ] {
            let said = answer(message);
            assert_eq!((&said["type"], &said["code"]), (&json!("error"), &json!(code)), "{message:?}");
            assert!(said["message"].is_string(), "{message:?}");
        }
    }
}
