//! What a server's text message is: an event, or news about the connection.

use crate::client::failure::Failure;
use crate::config::wish::Notices;
use serde::Deserialize;
use serde_json::value::RawValue;
use tungstenite::Utf8Bytes;

/// What was published.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// For a username, byte by byte.
    Text(Utf8Bytes),
    /// On a channel.
    Payload(String, Box<RawValue>),
}

/// What a message is.
#[derive(Debug)]
pub(super) enum Meaning {
    Event(Event),
    /// To be said.
    News(String),
    /// Nothing anybody waits for.
    Nothing,
    /// What was asked for is not to be had.
    Refused(Failure),
}

/// A message of the flux family, or a notice.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    channel: Option<String>,
    /// In a `Box`, since `null` is a payload, too.
    #[serde(default)]
    payload: Box<RawValue>,
    code: Option<String>,
    message: Option<String>,
    reason: Option<String>,
    missed: Option<u64>,
    expires_in_ms: Option<u64>,
}

/// What a message to a username is. Without notices everything is an event, whatever it looks like.
pub(super) fn of_username(text: Utf8Bytes, notices: Notices) -> Meaning {
    let notice = (notices == Notices::Wanted && text.starts_with('{')).then(|| notice(&text)).flatten();
    notice.map_or_else(|| Meaning::Event(Event::Text(text)), Meaning::News)
}

/// What a message of the flux family is.
pub(super) fn of_flux(text: &Utf8Bytes) -> Meaning {
    let Ok(told) = serde_json::from_str::<Told>(text) else { return Meaning::News(format!("not understood: {text}")) };
    match (told.kind.as_str(), told.channel) {
        ("message", Some(channel)) => Meaning::Event(Event::Payload(channel, told.payload)),
        ("connected" | "pong", _) => Meaning::Nothing,
        ("subscribed", Some(channel)) => Meaning::News(format!("follows {channel}")),
        ("error", channel) => {
            let (code, message) = (told.code.unwrap_or_default(), told.message.unwrap_or_default());
            let about = channel.map(|channel| format!(" about {channel}")).unwrap_or_default();
            // Listeners ask for nothing but channels.
            Meaning::Refused(Failure::new(format!("the server answers {code}{about}: {message}")))
        }
        _ => Meaning::News(notice(text).unwrap_or_else(|| format!("not understood: {text}"))),
    }
}

/// The server's own news, in words; `None` for anything else.
fn notice(text: &str) -> Option<String> {
    let told: Told = serde_json::from_str(text).ok()?;
    let words = match (told.kind.strip_prefix("fanout.")?, told.reason.as_deref(), told.missed) {
        ("gap", Some("source_reconnected"), _) => {
            "gap: the source of events was away, nobody knows what is missing here".to_owned()
        }
        ("gap", _, Some(missed)) => format!("gap: {missed} missing here that were not read in time"),
        ("draining", ..) => "the server is about to restart".to_owned(),
        ("expiring", ..) => format!("the token expires in {} s", told.expires_in_ms.unwrap_or(0) / 1000),
        _ => text.to_owned(),
    };
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_notices_everything_is_an_event() {
        let gap = "{\"type\":\"fanout.gap\",\"reason\":\"slow_consumer\",\"missed\":7}";
        assert!(matches!(of_username(gap.into(), Notices::Unwanted), Meaning::Event(Event::Text(text)) if text == gap));
        let Meaning::News(words) = of_username(gap.into(), Notices::Wanted) else { panic!("it is a notice") };
        assert_eq!(words, "gap: 7 missing here that were not read in time");
        for event in ["{\"type\":\"test\"}", "{\"type\":7}", "{", "", "[]", "{\"type\":\"a\",\"missed\":\"x\"}"] {
            let meaning = of_username(event.into(), Notices::Wanted);
            assert!(matches!(meaning, Meaning::Event(Event::Text(text)) if text == event), "{event}");
        }
    }

    #[test]
    fn a_channel_s_payload_is_taken_byte_by_byte() {
        for expected in ["{ \"n\" : 1e999}", "null"] {
            let text = format!("{{\"type\":\"message\",\"channel\":\"a\",\"payload\":{expected},\"timestamp\":1}}");
            let Meaning::Event(Event::Payload(channel, payload)) = of_flux(&text.into()) else { panic!("{expected}") };
            assert_eq!((channel.as_str(), payload.get()), ("a", expected));
        }
        let refused = "{\"type\":\"error\",\"code\":\"invalid_channel\",\"message\":\"no\",\"channel\":\"b\"}";
        assert!(matches!(of_flux(&refused.into()), Meaning::Refused(_)));
    }
}
