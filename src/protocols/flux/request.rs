//! What a flux client asks for: one JSON object in a text message.

use super::frames::{self, ErrorCode};
use super::members::{self, Members};
use bytes::Bytes;
use serde_json::value::RawValue;

/// Longest name of a channel, in bytes of UTF-8.
pub(super) const CHANNEL_BYTES_MAX: usize = 255;

/// Arrays and objects within each other, the message itself included. Other programs' parsers give up at 100 and more;
/// what passed here must be readable there.
pub(super) const DEPTH_MAX: usize = 128;

/// A well-formed request.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    /// A sign of life.
    Ping,
    /// To follow a channel.
    Subscribe { channel: String },
    /// To stop following it.
    Unsubscribe { channel: String },
    /// To send a value to everybody else on a channel.
    Broadcast { channel: String, payload: &'a RawValue },
}

/// What is wrong with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    code: ErrorCode,
    message: &'static str,
    channel: Option<String>,
}

impl Complaint {
    pub(super) fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message, channel: None }
    }

    pub(super) fn about(channel: &str, code: ErrorCode, message: &'static str) -> Self {
        Self { code, message, channel: Some(channel.to_owned()) }
    }

    pub(super) fn into_frame(self) -> Bytes {
        frames::error(self.code, self.message, self.channel.as_deref())
    }
}

/// Reads a request. Members that nobody asks for are passed over.
pub(super) fn parse(text: &str) -> Result<Asked<'_>, Complaint> {
    let invalid = |message| Complaint::new(ErrorCode::InvalidJson, message);
    if is_deeper_than(text, DEPTH_MAX) {
        return Err(invalid("the message is nested deeper than 128 levels"));
    }
    let members = members::find(text, &["type", "channel", "payload"]);
    let Members { values: [kind, channel, payload], twice } =
        members.ok_or_else(|| invalid("the message is not a JSON object"))?;
    match twice {
        Some("type") => return Err(invalid("\"type\" stands there twice")),
        Some("channel") => return Err(invalid("\"channel\" stands there twice")),
        Some(_) => return Err(invalid("\"payload\" stands there twice")),
        None => {}
    }
    let kind = kind.and_then(members::string).unwrap_or_default();
    Ok(match kind.as_str() {
        "ping" => Asked::Ping,
        "subscribe" => Asked::Subscribe { channel: channel_of(channel)? },
        "unsubscribe" => Asked::Unsubscribe { channel: channel_of(channel)? },
        "broadcast" => {
            let channel = channel_of(channel)?;
            let payload = payload.ok_or_else(|| invalid("a broadcast needs a \"payload\": any JSON value"))?;
            Asked::Broadcast { channel, payload }
        }
        _ => {
            let message = "\"type\" must be \"subscribe\", \"unsubscribe\", \"broadcast\" or \"ping\"";
            return Err(Complaint::new(ErrorCode::UnknownType, message));
        }
    })
}

fn channel_of(value: Option<&RawValue>) -> Result<String, Complaint> {
    let channel = value.and_then(members::string).unwrap_or_default();
    if (1..=CHANNEL_BYTES_MAX).contains(&channel.len()) && !channel.chars().any(char::is_control) {
        return Ok(channel);
    }
    let message = "\"channel\" must be a string of 1 to 255 bytes without control characters";
    Err(Complaint::new(ErrorCode::InvalidChannel, message))
}

/// Whether brackets stand deeper within each other, whatever else is wrong with the text.
fn is_deeper_than(text: &str, depth_max: usize) -> bool {
    let (mut depth, mut is_in_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b'[' | b'{' if !is_in_string => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b']' | b'}' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> String {
        match parse(text) {
            Ok(Asked::Ping) => "ping".to_owned(),
            Ok(Asked::Subscribe { channel }) => format!("+{channel}"),
            Ok(Asked::Unsubscribe { channel }) => format!("-{channel}"),
            Ok(Asked::Broadcast { channel, payload }) => format!("{channel}<{}", payload.get()),
            Err(complaint) => complaint.code.name().to_owned(),
        }
    }

    #[test]
    fn requests_are_read_as_they_are_meant_and_payloads_as_they_are_written() {
        let table = [
            (r#"{"type":"ping"}"#, "ping"),
            (r#" { "type" : "subscribe" , "channel" : "a" , "extra" : [1,{"type":2}] } "#, "+a"),
            (r#"{"ch\u0061nnel":"\u00e4\"\\","type":"unsubscribe"}"#, "-ä\"\\"),
            (r#"{"type":"broadcast","channel":"a","payload":{"b": 1 , "b":1e400}}"#, r#"a<{"b": 1 , "b":1e400}"#),
            (r#"{"type":"broadcast","channel":"a","payload":"\ud800"}"#, r#"a<"\ud800""#),
            (r#"{"type":"broadcast","channel":"a","payload":null}"#, "a<null"),
            ("", "invalid_json"),
            ("ping", "invalid_json"),
            ("[]", "invalid_json"),
            ("{}", "unknown_type"),
            (r#"{"type":"ping","\ud800":1}"#, "ping"),
            (r#"{"type":"ping"} x"#, "invalid_json"),
            (r#"{"type":"ping","type":"ping"}"#, "invalid_json"),
            (r#"{"type":"ping","x":nul}"#, "invalid_json"),
            (r#"{"type":"broadcast","channel":"a","payload":1,"payload":2}"#, "invalid_json"),
            (r#"{"type":"broadcast","channel":"a"}"#, "invalid_json"),
            (r#"{"type":7}"#, "unknown_type"),
            (r#"{"type":"Ping"}"#, "unknown_type"),
            (r#"{"type":"subscribe"}"#, "invalid_channel"),
            (r#"{"type":"subscribe","channel":7}"#, "invalid_channel"),
            (r#"{"type":"subscribe","channel":""}"#, "invalid_channel"),
            (r#"{"type":"subscribe","channel":"a\u0085"}"#, "invalid_channel"),
            (r#"{"type":"subscribe","channel":"\ud800"}"#, "invalid_channel"),
        ];
        for (text, expected) in table {
            assert_eq!(outcome(text), expected, "{text}");
        }
        for (bytes, expected) in [(255, "+"), (256, "invalid_channel")] {
            let text = format!(r#"{{"type":"subscribe","channel":"{}"}}"#, "x".repeat(bytes));
            assert!(outcome(&text).starts_with(expected), "{bytes} bytes");
        }
    }

    #[test]
    fn nesting_is_refused_by_its_depth_and_brackets_in_strings_are_letters() {
        let nested = |depth: usize| {
            let payload = format!("{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
            format!(r#"{{"type":"broadcast","channel":"a","payload":{payload}}}"#)
        };
        assert!(outcome(&nested(DEPTH_MAX)).starts_with("a<[["));
        assert_eq!(outcome(&nested(DEPTH_MAX + 1)), "invalid_json");
        let letters = format!(r#"{{"type":"broadcast","channel":"a","payload":"\"{}"}}"#, "[".repeat(1_000));
        assert!(outcome(&letters).starts_with("a<"));
        assert_eq!(outcome(&"[".repeat(60_000)), "invalid_json");
    }

    #[test]
    fn no_text_makes_the_reader_fail() {
        let mut random = fastrand::Rng::with_seed(5);
        let seeds =
            [r#"{"type":"broadcast","channel":"a\u00e4","payload":[1,{"b":"\\\""},null,1e9]}"#, r#"{"type":"ping"}"#];
        for _ in 0..50_000 {
            let mut bytes = seeds[random.usize(..seeds.len())].as_bytes().to_vec();
            for _ in 0..random.usize(..6) {
                let at = random.usize(..bytes.len());
                match random.u8(..3) {
                    0 => bytes[at] = random.u8(b' '..b'~'),
                    1 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, *b"{}[]\",:\\"[..].get(random.usize(..8)).expect("eight of them")),
                }
            }
            let Ok(text) = str::from_utf8(&bytes) else { continue };
            if let Ok(Asked::Broadcast { payload, .. }) = parse(text) {
                serde_json::from_str::<&RawValue>(payload.get()).expect("what is passed on is JSON");
            }
        }
    }
}
