//! Workflow events: `GET /ws?username=alice` gets what is published for alice, exactly as it was published.

use super::ProtocolSettings;
use super::news::News;
use crate::engine::placement::Placement;
use crate::engine::protocol::{
    Actions, Admission, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat, SlowPolicy,
};
use crate::engine::topic::{Topic, TopicHasher};
use crate::http::{Access, Decline, Family, Refusal, Request};
use crate::wire::close::CloseCode;
use crate::wire::username::Username;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;

/// Where this family connects.
pub const PATH: &str = "/ws";

/// One frontend's side of the conversation.
struct Workflow {
    news: News,
    slow_policy: SlowPolicy,
}

/// The family as the table knows it.
#[expect(clippy::unnecessary_wraps, reason = "a line of the table: other families may be left out")]
pub(super) fn family(settings: &ProtocolSettings, hasher: TopicHasher) -> Option<Family> {
    let (prefix, slow_policy) = (settings.workflow_prefix.clone(), settings.workflow_slow_policy);
    Some(Family {
        name: "workflow",
        path: PATH.to_owned(),
        prefix: Some(prefix.clone()),
        access: Access::Everyone,
        pages: Vec::new(),
        admit: Box::new(move |request| admit(request, &prefix, slow_policy, hasher)),
    })
}

fn admit(
    request: &Request<'_>,
    prefix: &str,
    slow_policy: SlowPolicy,
    hasher: TopicHasher,
) -> Result<Admission, Decline> {
    let hint = "connect to /ws?username=NAME with NAME percent-encoded, 1 to 255 bytes of UTF-8";
    let query = request.query().map_err(|error| Refusal::bad_request(error.to_string(), hint))?;
    let unique = |name| query.unique(name).map_err(|error| Refusal::bad_request(error.to_string(), hint));
    let name = unique("username")?.ok_or_else(|| Refusal::bad_request("the username is missing", hint))?;
    let username = Username::parse(&name).map_err(|error| Refusal::bad_request(error.to_string(), hint))?;
    request.claim(&username)?;
    let news = News::of(unique("meta")?.as_deref());
    let protocol = Box::new(Workflow { news, slow_policy });
    Ok(Admission { protocol, placement: Placement::Keyed(hasher.prefixed(prefix, username.as_str())) })
}

fn username<'a>(seat: &Seat<'a>) -> Cow<'a, str> {
    seat.topic.map_or(Cow::Borrowed(""), Topic::key)
}

impl Protocol for Workflow {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }

    fn slow_policy(&self) -> SlowPolicy {
        self.slow_policy
    }

    fn opened(&mut self, peer: SocketAddr, seat: &Seat<'_>, _actions: &mut Actions) {
        tracing::info!(username = %username(seat), remote = %peer, "connected");
    }

    /// What a frontend sends is read, checked and ignored.
    fn received(&mut self, _message: ClientMessage<'_>, _actions: &mut Actions) {}

    fn notice(&self, notice: &Notice) -> Option<Bytes> {
        self.news.frame(notice)
    }

    fn closed(&self, seat: &Seat<'_>, code: CloseCode) {
        tracing::info!(
            username = %username(seat),
            remaining = seat.followers,
            code = code.number(),
            "disconnected"
        );
    }
}
