//! What the server says to flux clients: one JSON object in a text frame each.

use crate::wire::frame;
use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

/// What an error is about, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorCode {
    /// Not JSON, not an object, or not one of this form.
    InvalidJson,
    /// `type` is none of those that exist.
    UnknownType,
    /// `channel` is no name of a channel, or of none that is served here.
    InvalidChannel,
    /// The connection follows as many channels as it may.
    TooManyChannels,
    /// The broker would not take so much.
    PayloadTooLarge,
    /// The client sends too fast.
    RateLimited,
    /// It does not follow the channel.
    NotSubscribed,
    /// It may not broadcast.
    Forbidden,
    /// The broker is away.
    Unavailable,
}

impl ErrorCode {
    /// As it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::UnknownType => "unknown_type",
            Self::InvalidChannel => "invalid_channel",
            Self::TooManyChannels => "too_many_channels",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RateLimited => "rate_limited",
            Self::NotSubscribed => "not_subscribed",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The first frame of every conversation.
pub(super) fn connected(client: Uuid, now_ms: u64) -> Bytes {
    frame::text(&format!(r#"{{"type":"connected","payload":{{"clientId":"{client}"}},"timestamp":{now_ms}}}"#))
}

/// The answer to a ping.
pub(super) fn pong(now_ms: u64) -> Bytes {
    frame::text(&format!(r#"{{"type":"pong","timestamp":{now_ms}}}"#))
}

/// The answer to a wish about a channel that was granted: `subscribed` or `unsubscribed`.
pub(super) fn acknowledgement(kind: &str, channel: &str) -> Bytes {
    frame::text_of(&[r#"{"type":""#, kind, r#"","channel":"#, &quoted(channel), "}"])
}

/// A value that somebody has broadcast; `payload` is JSON and goes as it is written.
pub(super) fn message(channel: &str, payload: &str, timestamp_ms: u64) -> Bytes {
    let (channel, timestamp) = (quoted(channel), timestamp_ms.to_string());
    frame::text_of(&[
        r#"{"type":"message","channel":"#,
        &channel,
        r#","payload":"#,
        payload,
        r#","timestamp":"#,
        &timestamp,
        "}",
    ])
}

/// What is wrong, for programs and for people.
pub(super) fn error(code: ErrorCode, message: &str, channel: Option<&str>) -> Bytes {
    let mut error = json!({ "type": "error", "code": code.name(), "message": message });
    if let Some(channel) = channel {
        error["channel"] = channel.into();
    }
    frame::text(&error.to_string())
}

/// A string as JSON writes it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}
