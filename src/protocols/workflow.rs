//! Workflow events: `GET /ws?username=alice` gets what is published for alice, exactly as it was published.

use crate::engine::close::CloseCode;
use crate::engine::placement::Placement;
use crate::engine::protocol::{Actions, Admission, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat};
use crate::engine::topic::{Topic, TopicHasher};
use crate::http::{Family, Refusal, Request};
use crate::wire::frame;
use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;

/// Where this family connects.
pub const PATH: &str = "/ws";

/// Longest username, in bytes of UTF-8 after percent-decoding.
pub const USERNAME_BYTES_MAX: usize = 255;

/// A username as it may stand in a channel's name: 1 to 255 bytes, no control characters, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is no username.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUsername {
    /// It has no characters.
    Empty,
    /// It is longer than [`USERNAME_BYTES_MAX`].
    TooLong,
    /// It contains a control character (Unicode category Cc).
    ControlCharacter,
}

impl Username {
    /// Checks a decoded username. Characters that are special in Redis' patterns are ordinary ones here.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        match text {
            "" => Err(InvalidUsername::Empty),
            _ if text.len() > USERNAME_BYTES_MAX => Err(InvalidUsername::TooLong),
            _ if text.chars().any(char::is_control) => Err(InvalidUsername::ControlCharacter),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The topic of this user's events: the broker's channel.
    pub fn topic(&self, prefix: &str, hasher: &TopicHasher) -> Topic {
        hasher.topic(Bytes::from(format!("{prefix}{}", self.0)))
    }
}

impl fmt::Display for InvalidUsername {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "the username is empty",
            Self::TooLong => "the username is longer than 255 bytes",
            Self::ControlCharacter => "the username contains a control character",
        })
    }
}

/// One frontend's side of the conversation.
struct Workflow {
    /// Bytes in front of the username in its topic, for the log.
    prefix_bytes: u16,
    news: News,
}

/// Whether a client wants the server's own notices as extra text frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// It sees published bytes only.
    Unwanted,
    /// It asked with `meta=1`.
    Wanted,
}

/// The family as the table knows it.
pub fn family(prefix: String, hasher: TopicHasher) -> Family {
    let admit = move |request: &Request<'_>| admit(request, &prefix, &hasher);
    Family { name: "workflow", path: PATH.to_owned(), admit: Box::new(admit) }
}

fn admit(request: &Request<'_>, prefix: &str, hasher: &TopicHasher) -> Result<Admission, Refusal> {
    let hint = "connect to /ws?username=NAME with NAME percent-encoded, 1 to 255 bytes of UTF-8";
    let query = request.query().map_err(|error| Refusal::bad_request(error.to_string(), hint))?;
    let unique = |name| query.unique(name).map_err(|error| Refusal::bad_request(error.to_string(), hint));
    let name = unique("username")?.ok_or_else(|| Refusal::bad_request("the username is missing", hint))?;
    let username = Username::parse(&name).map_err(|error| Refusal::bad_request(error.to_string(), hint))?;
    let news = if unique("meta")?.as_deref() == Some("1") { News::Wanted } else { News::Unwanted };
    let prefix_bytes = u16::try_from(prefix.len()).expect("the configuration limits prefixes");
    let protocol = Box::new(Workflow { prefix_bytes, news });
    Ok(Admission { protocol, placement: Placement::Keyed(username.topic(prefix, hasher)) })
}

impl Workflow {
    fn username(&self, seat: &Seat<'_>) -> String {
        let name = seat.topic.map_or(&[][..], |topic| &topic.name()[usize::from(self.prefix_bytes)..]);
        String::from_utf8_lossy(name).into_owned()
    }
}

impl Protocol for Workflow {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }

    fn opened(&mut self, peer: SocketAddr, seat: &Seat<'_>, _actions: &mut Actions) {
        tracing::info!(username = self.username(seat), remote = %peer, "connected");
    }

    /// What a frontend sends is read, checked and ignored.
    fn received(&mut self, _message: ClientMessage<'_>, _actions: &mut Actions) {}

    fn notice(&self, notice: &Notice) -> Option<Bytes> {
        (self.news == News::Wanted).then(|| frame::text(&notice_json(notice).to_string()))
    }

    fn closed(&self, seat: &Seat<'_>, code: CloseCode) {
        tracing::info!(
            username = self.username(seat),
            remaining = seat.followers,
            code = code.number(),
            "disconnected"
        );
    }
}

fn notice_json(notice: &Notice) -> serde_json::Value {
    match notice {
        Notice::SourceReconnected => serde_json::json!({
            "type": "fanout.gap", "reason": "source_reconnected", "missed": null,
        }),
        Notice::Draining { reconnect_after_ms } => serde_json::json!({
            "type": "fanout.draining", "reconnect_after_ms": reconnect_after_ms,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_what_the_contract_says() {
        let longest = "é".repeat(127) + "x";
        for good in ["alice", "a", " ", "*", "user:[1]?\\*", "日本", longest.as_str()] {
            assert_eq!(Username::parse(good).map(|name| name.as_str().to_owned()), Ok(good.to_owned()));
        }
        let too_long = "é".repeat(128);
        let bad = [
            ("", InvalidUsername::Empty),
            (too_long.as_str(), InvalidUsername::TooLong),
            ("a\nb", InvalidUsername::ControlCharacter),
            ("\0", InvalidUsername::ControlCharacter),
            ("a\u{85}", InvalidUsername::ControlCharacter),
            ("\u{7f}", InvalidUsername::ControlCharacter),
        ];
        for (name, error) in bad {
            assert_eq!(Username::parse(name), Err(error), "{name:?}");
        }
    }
}
