//! Flux channels of this server: who connects subscribes, and whoever broadcasts reaches all the others (PROTOCOLS §2).
//!
//! Messages are found by what stands around their payload, in the order in which this server writes it; everything else
//! is rare and read as JSON.

use super::{Dialect, Heard, Publishing};
use serde::Deserialize;

/// What stands before the channel's name in a message, …
const HEAD: &[u8] = br#"{"type":"message","channel":""#;
/// … between it and the payload, …
const PAYLOAD: &[u8] = br#"","payload":"#;
/// … and before the digits behind the payload.
const TIMESTAMP: &[u8] = br#","timestamp":"#;

/// Who sends what the tester publishes over Redis: nobody that any instance knows.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// Publishers follow it to hear that the server understands them; nobody publishes there.
const PUBLISHERS: &str = "load-publishers";

/// `ws://host/flux/ws`, then one channel for each topic.
pub(super) struct Flux;

impl Dialect for Flux {
    fn name(&self) -> &'static str {
        "flux"
    }

    fn url(&self) -> &'static str {
        "ws://127.0.0.1:8084/flux/ws"
    }

    fn publish_to(&self) -> &'static str {
        "flux:{channel}"
    }

    fn publishing(&self) -> Option<&dyn Publishing> {
        Some(self)
    }

    fn around(&self, topic: &str) -> [String; 2] {
        let head = format!(r#"{{"v":1,"from":"{NOBODY}","channel":{},"payload":"#, quoted(topic));
        [head, r#","timestamp":0}"#.to_owned()]
    }

    fn greeting(&self, topic: &str) -> Vec<Vec<u8>> {
        vec![subscription(topic)]
    }

    fn is_bare(&self) -> bool {
        false
    }

    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)> {
        let heard = payload(bytes).map_or_else(|| remark(bytes), Heard::Event);
        Some((heard, bytes.len()))
    }
}

impl Publishing for Flux {
    fn publish_as(&self) -> &'static str {
        "{channel}"
    }

    fn introduction(&self) -> Vec<u8> {
        subscription(PUBLISHERS)
    }

    fn publication(&self, name: &str, event: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!(r#"{{"type":"broadcast","channel":{},"payload":"#, quoted(name)).as_bytes());
        out.extend_from_slice(event);
        out.push(b'}');
    }
}

fn subscription(channel: &str) -> Vec<u8> {
    format!(r#"{{"type":"subscribe","channel":{}}}"#, quoted(channel)).into_bytes()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a message carries; `None` for whatever else it is.
fn payload(message: &[u8]) -> Option<&[u8]> {
    let rest = message.strip_prefix(HEAD)?;
    // No topic of the tester holds what JSON escapes: its name ends at the next quotation mark.
    let name = rest.iter().position(|&byte| byte == b'"')?;
    let rest = rest[name..].strip_prefix(PAYLOAD)?.strip_suffix(b"}")?;
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    rest[..rest.len() - digits].strip_suffix(TIMESTAMP)
}

/// What a server says beside messages.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Remark {
    Connected,
    Subscribed,
    Pong,
    Error {
        code: String,
        message: String,
    },
    #[serde(other)]
    Other,
}

fn remark(bytes: &[u8]) -> Heard<'_> {
    match serde_json::from_slice(bytes) {
        Ok(Remark::Connected | Remark::Pong) => Heard::Nothing,
        Ok(Remark::Subscribed) => Heard::Subscribed,
        Ok(Remark::Error { code, message }) => Heard::Broken(format!("the server answered {code}: {message}")),
        // Nobody asked for it, and it is counted as such.
        Ok(Remark::Other) => Heard::Event(bytes),
        Err(error) => Heard::Broken(format!("the server said {}: {error}", String::from_utf8_lossy(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Heard<'_> {
        let (heard, length) = Flux.hear(text.as_bytes()).expect("every message is whole");
        assert_eq!(length, text.len());
        heard
    }

    #[test]
    fn what_a_server_says_is_understood() {
        let table = [
            (
                r#"{"type":"connected","payload":{"clientId":"8ad5e7f2-4f4c-4c5e-9d4e-1c1d7f3b2a10"},"timestamp":1}"#,
                Heard::Nothing,
            ),
            (r#"{"type":"subscribed","channel":"load-0001-1"}"#, Heard::Subscribed),
            (r#"{"channel":"load-0001-1","type":"subscribed"}"#, Heard::Subscribed),
            (r#"{"type":"pong","timestamp":1}"#, Heard::Nothing),
            (
                r#"{"type":"message","channel":"load-0001-1","payload":{"e":"1"},"timestamp":1795286622123}"#,
                Heard::Event(br#"{"e":"1"}"#),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(heard(text), expected, "{text}");
        }
    }

    #[test]
    fn a_payload_is_what_stands_between_its_name_and_the_last_timestamp() {
        let payloads = [
            "null",
            "5",
            r#"" ""#,
            r#"{"a":1,"timestamp":2}"#,
            r#"{"payload":{"payload":"","timestamp":3}"}}"#,
            r#"[{"type":"message","channel":"c","payload":1,"timestamp":4}]"#,
        ];
        for payload in payloads {
            let text = format!(r#"{{"type":"message","channel":"c","payload":{payload},"timestamp":0}}"#);
            assert_eq!(heard(&text), Heard::Event(payload.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_error_ends_the_session_with_its_code_and_message() {
        let error = r#"{"type":"error","code":"rate_limited","message":"too many","channel":"load-0001-1"}"#;
        assert_eq!(heard(error), Heard::Broken("the server answered rate_limited: too many".to_owned()));
        for nonsense in ["", "{", "[]", "{}", r#"{"type":"error"}"#, r#"{"type":5}"#] {
            assert!(matches!(heard(nonsense), Heard::Broken(_)), "{nonsense}");
        }
    }

    #[test]
    fn what_is_no_message_of_this_server_is_handed_on_as_it_is() {
        let strangers = [
            r#"{"type":"unsubscribed","channel":"load-0001-1"}"#,
            r#"{"type":"message","channel":"load-0001-1","payload":{"e":"1"}}"#,
            r#"{"type":"message","channel":"load-0001-1","timestamp":1}"#,
            r#"{"type":"message","channel":"a\"b","payload":1,"timestamp":1}"#,
        ];
        for text in strangers {
            assert_eq!(heard(text), Heard::Event(text.as_bytes()));
        }
    }

    #[test]
    fn a_client_subscribes_and_broadcasts_in_json() {
        assert_eq!(Flux.greeting("load-0001-1"), [br#"{"type":"subscribe","channel":"load-0001-1"}"#]);
        let mut out = Vec::new();
        Flux.publication("load-0001-1", br#"{"e":"1"}"#, &mut out);
        assert_eq!(out, br#"{"type":"broadcast","channel":"load-0001-1","payload":{"e":"1"}}"#);
    }

    #[test]
    fn an_event_crosses_redis_in_an_envelope_from_nobody() {
        let [head, tail] = Flux.around("load-0001-1");
        let envelope: serde_json::Value = serde_json::from_str(&format!(r#"{head}{{"e":"1"}}{tail}"#)).unwrap();
        let expected = serde_json::json!({
            "v": 1, "from": NOBODY, "channel": "load-0001-1", "payload": {"e": "1"}, "timestamp": 0
        });
        assert_eq!(envelope, expected);
    }
}
