//! Workflow events: `GET /ws?username=alice` gets what is published for alice, exactly as it was published.

use crate::engine::close::CloseCode;
use crate::engine::placement::Placement;
use crate::engine::protocol::{Actions, Admission, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat};
use crate::engine::topic::TopicHasher;
use crate::http::{Family, Refusal, Request};
use crate::wire::frame;
use crate::wire::username::Username;
use bytes::Bytes;
use std::net::SocketAddr;

/// Where this family connects.
pub const PATH: &str = "/ws";

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
    Ok(Admission { protocol, placement: Placement::Keyed(hasher.prefixed(prefix, username.as_str())) })
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
