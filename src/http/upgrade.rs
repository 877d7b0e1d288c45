//! From an HTTP request to a WebSocket connection: the server's half of the handshake (RFC 6455 §4.2).

use super::client_address::client_address;
use super::decline::Decline;
use super::door::{self, Access};
use super::gate;
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::site::{Family, Site};
use crate::auth::{self, Identity};
use crate::engine::placement::Placement;
use crate::engine::protocol::Admission;
use crate::engine::topic::Topic;
use crate::mesh::NodeId;
use crate::metrics::Refused;
use crate::wire::head::{Head, Method, Version};
use bytes::Bytes;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;

/// Seconds after which a client that found the server full should come back: some will have left by then.
const FULL_RETRY_SECONDS: RangeInclusive<u32> = 3..=7;

/// Seconds after which a client that found the server leaving should come back: to another one, or a new one.
const DRAINING_RETRY_SECONDS: RangeInclusive<u32> = 1..=3;

/// Seconds after which a client that found the server behind should come back: 20 000 of them are 2 000 a second then, a
/// fifth of what one core can take in.
const OVERLOADED_RETRY_SECONDS: RangeInclusive<u32> = 1..=10;

/// Seconds after which a client whose user or address has too many connections should come back: as long as it takes to
/// close a tab; a client that ignores this costs a request each time.
const LIMITED_RETRY_SECONDS: RangeInclusive<u32> = 5..=15;

/// A request that becomes a connection.
pub(super) struct Upgrade {
    /// The 101 response, to be sent by whoever owns the connection, once it can receive.
    pub(super) response: Bytes,
    /// Its conversation and place.
    pub(super) admission: Admission,
    /// Whose connection it is.
    pub(super) client: SocketAddr,
    /// How long it may live; `None` is for ever.
    pub(super) lifetime: Option<Duration>,
    /// What it has while it lasts; `None` where nothing is counted.
    pub(super) permit: Option<Box<dyn Send>>,
}

/// Admits a request to a family, or says why not. Cheap and general reasons come first.
pub(super) fn answer(site: &Site, family: &Family, request: &Request<'_>) -> Result<Upgrade, Response> {
    admit(site, family, request).map_err(|Decline { reason, response }| {
        site.metrics().entrance.refused(reason).add(1);
        response
    })
}

fn admit(site: &Site, family: &Family, request: &Request<'_>) -> Result<Upgrade, Decline> {
    let head = request.head();
    check_asked(head)?;
    check_version(head)?;
    let key = find_key(head).ok_or_else(|| {
        let hint = "send one Sec-WebSocket-Key: 16 random bytes in base64; every WebSocket library does";
        refuse(400, "Sec-WebSocket-Key is missing, repeated or malformed", hint)
    })?;
    check_origin(site, request)?;
    // In front of the signature: a server that is full or leaving checks it in vain, a shard that is behind has no time.
    check_room(site)?;
    check_pace(site, site.node)?;
    let identity = if family.access == Access::Everyone { gate::identify(site, request)? } else { None };
    let admission = (family.admit)(&request.of(identity.as_ref()))?;
    check_pace(site, admission.placement.owner(site.node, site.registry.shards.len()))?;
    let client = client_address(head, request.peer(), &site.settings.trusted_proxies);
    let permit = permit(site, user(&admission, identity.as_ref()).as_deref(), client.ip())?;
    site.metrics().admitted.add(1);
    let response = switching(key, auth::offers_marker(head).then_some(auth::MARKER));
    Ok(Upgrade { response, admission, client, lifetime: identity.map(|identity| identity.lifetime), permit })
}

/// RFC 6455 §4.2.1: GET, HTTP/1.1, and the client must want it.
fn check_asked(head: &Head<'_>) -> Result<(), Response> {
    if head.method != Method::Get {
        return Err(Response::method_not_allowed("GET"));
    }
    if !head.is_upgrade() {
        let hint =
            "this path speaks WebSocket: connect with ws:// or wss://; a proxy must pass on Upgrade and Connection";
        return Err(Response::from(Refusal::new(426, "not a WebSocket request", hint)).offering_websocket());
    }
    if head.version == Version::Http10 {
        return Err(refuse(400, "WebSocket needs HTTP/1.1", "a proxy in between must speak HTTP/1.1 with this server"));
    }
    if head.body_bytes > 0 {
        return Err(refuse(400, "an upgrade request has no body", "send messages once the connection is open"));
    }
    Ok(())
}

/// RFC 6455 §4.4: the answer to any other version names the one there is.
fn check_version(head: &Head<'_>) -> Result<(), Response> {
    if head.sole("sec-websocket-version") == Ok(Some("13")) {
        return Ok(());
    }
    let refusal = Refusal::new(426, "unknown WebSocket version", "use version 13 (RFC 6455)");
    Err(Response::from(refusal).offering_websocket().with("Sec-WebSocket-Version", "13"))
}

/// The key, if it is there once and is 16 bytes in base64 (RFC 6455 §4.1).
fn find_key<'a>(head: &Head<'a>) -> Option<&'a str> {
    let key = head.sole("sec-websocket-key").ok()??;
    let digits = key.strip_suffix("==")?;
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    (digits.len() == 22 && digits.bytes().all(is_digit)).then_some(key)
}

/// RFC 6455 §10.2: only browsers send an origin, and only they can be made to connect by a foreign page. The console is
/// no foreign page, whatever the list says: who passes the private door may connect from there.
fn check_origin(site: &Site, request: &Request<'_>) -> Result<(), Decline> {
    let is_allowed = match (site.settings.allowed_origins.as_deref(), request.header("origin")) {
        (None, _) | (_, Ok(None)) => true,
        (Some(allowed), Ok(Some(origin))) => allowed.iter().any(|known| known.eq_ignore_ascii_case(origin)),
        (Some(_), Err(_)) => false,
    };
    if is_allowed || door::check(request, Access::PrivateDoor, site.settings.admin_token.as_deref()).is_ok() {
        return Ok(());
    }
    let hint = "the server's --allowed-origins lists the sites that may connect";
    Err(Decline::new(Refused::Origin, refuse(403, "this origin is not allowed", hint)))
}

fn check_room(site: &Site) -> Result<(), Decline> {
    if site.registry.draining.load(Ordering::Acquire) {
        let refusal = refuse(503, "the server is shutting down", "connect again, to another instance or a new one");
        return Err(Decline::new(Refused::Draining, refusal).retry_after(DRAINING_RETRY_SECONDS));
    }
    if site.is_full() {
        let hint = "come back later; the server's --max-connections sets the limit";
        let refusal = refuse(503, "too many connections", hint);
        return Err(Decline::new(Refused::Full, refusal).retry_after(FULL_RETRY_SECONDS));
    }
    Ok(())
}

/// Who is connected comes first: a shard that is behind takes nobody on.
fn check_pace(site: &Site, shard: NodeId) -> Result<(), Decline> {
    if !site.is_overloaded(shard) {
        return Ok(());
    }
    let refusal = refuse(503, "the server is overloaded", "come back later, or connect to another instance");
    Err(Decline::new(Refused::Overloaded, refusal).retry_after(OVERLOADED_RETRY_SECONDS))
}

/// Who counts as the user: the name that a connection is placed by, or else the one that its token is for.
fn user<'a>(admission: &'a Admission, identity: Option<&'a Identity>) -> Option<Cow<'a, str>> {
    match &admission.placement {
        Placement::Keyed(topic) => Some(Topic::key(topic)),
        Placement::Anywhere => identity.map(|identity| identity.subject.as_str().into()),
    }
}

/// Takes a place among those of the user and of the address, where these are counted.
fn permit(site: &Site, user: Option<&str>, address: IpAddr) -> Result<Option<Box<dyn Send>>, Decline> {
    if !site.census.is_taken() {
        return Ok(None);
    }
    let reason = match site.census.admit(user, address) {
        Ok(permit) => return Ok(Some(Box::new(permit))),
        Err(reason) => reason,
    };
    let (error, hint) = if reason == Refused::UserFull {
        let hint =
            "close another connection of this user first; the server's --max-connections-per-user sets the limit";
        ("too many connections of this user", hint)
    } else {
        let hint = "close another one first; the server's --max-connections-per-address sets the limit, and its \
                    --trusted-proxies must name the proxies in front of it";
        ("too many connections from this address", hint)
    };
    Err(Decline::new(reason, refuse(429, error, hint)).retry_after(LIMITED_RETRY_SECONDS))
}

/// The response that ends HTTP on this connection (RFC 6455 §4.2.2). No extension is agreed on, and no subprotocol but
/// the one that is there for tokens.
fn switching(key: &str, subprotocol: Option<&str>) -> Bytes {
    let accept = derive_accept_key(key.as_bytes());
    let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    Bytes::from(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{subprotocol}\r\n"
    ))
}

fn refuse(status: u16, error: &'static str, hint: &'static str) -> Response {
    Refusal::new(status, error, hint).into()
}
