//! What crosses the broker: `{"v":1,"from":"<clientId>","channel":c,"payload":…,"timestamp":ms}`.
//!
//! Publishers who know nothing of it publish bare JSON: whatever is not an object with a `v` is a payload itself, from
//! nobody.

use super::frames::{self, quoted};
use super::members::{self, Members};
use crate::engine::message::{Message, Origin};
use crate::engine::protocol::Sealed;
use crate::engine::topic::Topic;
use crate::metrics::Drop;
use bytes::Bytes;
use serde_json::value::RawValue;
use uuid::Uuid;

/// What was said, by whom and when.
struct Said<'a> {
    payload: &'a str,
    from: Option<Origin>,
    timestamp_ms: u64,
}

/// Puts a client's payload into an envelope.
pub(super) fn write(from: Uuid, channel: &str, payload: &RawValue, now_ms: u64) -> Bytes {
    let (channel, payload) = (quoted(channel), payload.get());
    Bytes::from(format!(r#"{{"v":1,"from":"{from}","channel":{channel},"payload":{payload},"timestamp":{now_ms}}}"#))
}

/// Makes the frame that the followers of a channel get. Which channel that is says the topic, not the envelope.
pub(super) fn seal(topic: &Topic, message: &Message) -> Result<Sealed, Drop> {
    let text = str::from_utf8(message.payload()).map_err(|_| Drop::NotUtf8)?;
    let said = open(text, message.received_us / 1_000)?;
    let frame = frames::message(&topic.key(), said.payload, said.timestamp_ms);
    Ok(Sealed { frame, except: said.from })
}

fn open(text: &str, received_ms: u64) -> Result<Said<'_>, Drop> {
    if let Some(Members { values: [Some(version), from, payload, timestamp], twice }) =
        members::find(text, &["v", "from", "payload", "timestamp"])
    {
        let payload = payload.filter(|_| version.get() == "1" && twice.is_none()).ok_or(Drop::BadEnvelope)?;
        let id = from.and_then(members::string).and_then(|from| Uuid::try_parse(&from).ok());
        return Ok(Said {
            payload: payload.get(),
            from: id.map(|id| Origin(id.as_u128())),
            timestamp_ms: timestamp.and_then(|stamp| stamp.get().parse().ok()).unwrap_or(received_ms),
        });
    }
    let payload: &RawValue = serde_json::from_str(text).map_err(|_| Drop::NotJson)?;
    Ok(Said { payload: payload.get(), from: None, timestamp_ms: received_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Uuid = Uuid::from_u128(42);

    #[test]
    fn envelopes_are_opened_bare_json_is_a_payload_and_nothing_else_is_passed_on() {
        let table = [
            (
                r#"{"v":1,"from":"FROM","channel":"x","payload":{"a" : 1,"a":2},"timestamp":5}"#,
                Ok((r#"{"a" : 1,"a":2}"#, Some(42), 5)),
            ),
            (r#"{"v":1,"from":null,"payload":null}"#, Ok(("null", None, 9))),
            (r#"{"v":1,"from":"somebody else","payload":"\ud800","timestamp":5}"#, Ok((r#""\ud800""#, None, 5))),
            (r#"{"payload":1,"payload":2}"#, Ok((r#"{"payload":1,"payload":2}"#, None, 9))),
            (" [1, 2] ", Ok(("[1, 2]", None, 9))),
            ("12345678901234567890123", Ok(("12345678901234567890123", None, 9))),
            ("", Err(Drop::NotJson)),
            ("hello", Err(Drop::NotJson)),
            ("{} {}", Err(Drop::NotJson)),
            (r#"{"v":2,"payload":1}"#, Err(Drop::BadEnvelope)),
            (r#"{"v":"1","payload":1}"#, Err(Drop::BadEnvelope)),
            (r#"{"v":1}"#, Err(Drop::BadEnvelope)),
            (r#"{"v":1,"payload":1,"payload":2}"#, Err(Drop::BadEnvelope)),
            (r#"{"v":1,"payload":1,"timestamp":1.7e12}"#, Ok(("1", None, 9))),
            (r#"{"\ud800":0,"v":1,"from":"FROM","payload":1,"timestamp":5}"#, Ok(("1", Some(42), 5))),
            (r#"{"\u0076":2,"payload":1}"#, Err(Drop::BadEnvelope)),
        ];
        for (text, expected) in table {
            let text = text.replace("FROM", &FROM.to_string());
            let said = open(&text, 9).map(|said| (said.payload, said.from.map(|origin| origin.0), said.timestamp_ms));
            assert_eq!(said, expected, "{text}");
        }
    }

    #[test]
    fn what_is_put_into_an_envelope_comes_out_of_it() {
        let payload: Box<RawValue> = serde_json::from_str(r#"{"big":18446744073709551616, "e":1E+2}"#).unwrap();
        let envelope = write(FROM, "a \"b\"\\", &payload, 77);
        let said = open(str::from_utf8(&envelope).unwrap(), 9).unwrap_or_else(|_| panic!("it is an envelope"));
        assert_eq!((said.payload, said.from, said.timestamp_ms), (payload.get(), Some(Origin(42)), 77));
    }
}
