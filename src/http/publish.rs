//! `POST /publish/{username}`: an event for those who have no Redis client at hand. It goes through the broker.

use super::refusal::Refusal;
use super::response::Response;
use super::site::Site;
use crate::engine::protocol::PublishError;
use crate::engine::topic::Topic;
use crate::metrics::Drop;
use crate::wire::query;
use serde_json::json;

/// Says where an event goes by the last segment of the path: a percent-encoded username.
pub(super) fn topic(site: &Site, segment: &str) -> Result<Topic, Refusal> {
    let hint = "POST /publish/NAME with NAME percent-encoded, 1 to 255 bytes of UTF-8, and the event as body";
    if segment.contains('/') {
        return Err(Refusal::bad_request("the username contains a slash", "write a slash in a username as %2F"));
    }
    let name = query::decode_segment(segment).map_err(|bad| Refusal::bad_request(bad.to_string(), hint))?;
    site.topic_of(&name, hint)
}

/// Refuses an event that is too long before any of it is read.
pub(super) fn check_length(site: &Site, body_bytes: u64) -> Result<(), Response> {
    let bytes_max = site.settings.event_bytes_max;
    if body_bytes <= bytes_max as u64 {
        return Ok(());
    }
    site.metrics().dropped(Drop::EventTooBig).add(1);
    let hint = format!("at most {bytes_max} bytes; the server's --max-event sets the limit");
    Err(Refusal::new(413, "the event is too large", hint).into())
}

/// 400: such an event cannot be a text frame.
pub(super) fn not_utf8(site: &Site) -> Response {
    site.metrics().dropped(Drop::NotUtf8).add(1);
    Refusal::bad_request("the event is not valid UTF-8", "events are text: encode bytes, for example as base64").into()
}

/// The answer once the broker has spoken.
pub(super) fn outcome(outcome: Result<u64, PublishError>) -> Response {
    match outcome {
        Ok(receivers) => Response::json(202, &json!({ "receivers": receivers })),
        Err(PublishError::Unavailable) => {
            let hint = "the event was not published; try again once /ready says 200";
            Response::from(Refusal::new(503, "the broker is not connected", hint)).with("Retry-After", "1")
        }
        Err(PublishError::Overloaded) => {
            let hint = "the event was not published; publish more slowly";
            Response::from(Refusal::new(503, "too many events wait to be published", hint)).with("Retry-After", "1")
        }
        Err(PublishError::Refused) => {
            let hint = "the broker's own log or access rules say why";
            Refusal::new(502, "the broker refused the event", hint).into()
        }
    }
}

/// 504: nobody knows whether the event was published.
pub(super) fn unanswered() -> Response {
    Refusal::new(504, "the broker does not answer", "the event may or may not have been published").into()
}
