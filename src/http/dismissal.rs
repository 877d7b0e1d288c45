//! `POST /admin/disconnect`: whom an administrator wants gone, and how many that were.

use super::refusal::Refusal;
use super::response::Response;
use super::site::Site;
use crate::engine::message::Origin;
use crate::inspection::{Reply, Seat, Whom};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// More than twice a username of 255 bytes, all of them escaped.
const BODY_BYTES_MAX: u64 = 4096;

const HINT: &str = "send {\"username\":\"NAME\"}, or {\"connection\":\"ID\"} with the clientId of a flux client or an id of \
                    /admin/connections";

/// Refuses what is too long before any of it is read.
pub(super) fn check_length(body_bytes: u64) -> Result<(), Response> {
    if body_bytes <= BODY_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::new(413, "the body is too large", HINT).into())
}

/// Reads the body: a JSON object with one of two members.
pub(super) fn whom(site: &Site, body: &[u8]) -> Result<Whom, Refusal> {
    let object: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Refusal::bad_request("the body is no JSON object", HINT))?;
    match (object.get("username"), object.get("connection")) {
        (Some(Value::String(name)), None) => site.topic_of(name, HINT).map(Whom::Followers),
        (None, Some(Value::String(id))) => {
            if let Ok(seat) = id.parse::<Seat>() {
                return Ok(Whom::Seat(seat));
            }
            let id = Uuid::try_parse(id).map_err(|_| Refusal::bad_request("the connection is no id", HINT))?;
            Ok(Whom::Publisher(Origin(id.as_u128())))
        }
        _ => Err(Refusal::bad_request("either a username or a connection is wanted, as text", HINT)),
    }
}

/// 200: every shard has done it.
pub(super) fn outcome(whom: &Whom, replies: &[(usize, Reply)]) -> Response {
    let whom = match whom {
        Whom::Followers(topic) => topic.display(),
        Whom::Publisher(Origin(id)) => Uuid::from_u128(*id).to_string().into(),
        Whom::Seat(seat) => seat.to_string().into(),
    };
    let closed = |(_, reply): &(usize, Reply)| if let Reply::Dismissed(closed) = reply { *closed } else { 0 };
    let closed: usize = replies.iter().map(closed).sum();
    tracing::info!(%whom, closed, "disconnected by an administrator");
    Response::json(200, &json!({ "closed": closed }))
}
