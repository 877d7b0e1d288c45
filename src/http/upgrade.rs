//! From an HTTP request to a WebSocket connection: the server's half of the handshake (RFC 6455 §4.2).

use super::gate;
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::routes::{Answer, method_not_allowed};
use super::site::{Family, Site};
use crate::auth;
use crate::engine::protocol::Admission;
use crate::wire::head::{Head, Method, Version};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;

/// Seconds after which a client that found the server full should come back: some will have left by then.
const FULL_RETRY_SECONDS: &str = "5";

/// Seconds after which a client that found the server leaving should come back: to another one, or a new one.
const DRAINING_RETRY_SECONDS: &str = "1";

/// A request that becomes a connection.
pub(super) struct Upgrade {
    /// The 101 response, to be sent by whoever owns the connection, once it can receive.
    pub(super) response: Bytes,
    /// Its conversation and place.
    pub(super) admission: Admission,
    /// How long it may live; `None` is for ever.
    pub(super) lifetime: Option<Duration>,
}

/// Admits a request to a family, or says why not. Cheap and general reasons come first.
pub(super) fn answer(site: &Site, family: &Family, request: &Request<'_>) -> Answer {
    match admit(site, family, request) {
        Ok(upgrade) => Answer::Upgrade(upgrade),
        Err(response) => Answer::Response(response),
    }
}

fn admit(site: &Site, family: &Family, request: &Request<'_>) -> Result<Upgrade, Response> {
    let head = request.head();
    check_asked(head)?;
    check_version(head)?;
    let key = find_key(head).ok_or_else(|| {
        let hint = "send one Sec-WebSocket-Key: 16 random bytes in base64; every WebSocket library does";
        refuse(400, "Sec-WebSocket-Key is missing, repeated or malformed", hint)
    })?;
    check_origin(request, site.settings.allowed_origins.as_deref())?;
    let identity = gate::identify(site, request)?;
    let admission = (family.admit)(&request.of(identity.as_ref())).map_err(Response::from)?;
    check_room(site)?;
    site.metrics().admitted.add(1);
    let response = switching(key, auth::offers_marker(head).then_some(auth::MARKER));
    Ok(Upgrade { response, admission, lifetime: identity.map(|identity| identity.lifetime) })
}

/// RFC 6455 §4.2.1: GET, HTTP/1.1, and the client must want it.
fn check_asked(head: &Head<'_>) -> Result<(), Response> {
    if head.method != Method::Get {
        return Err(method_not_allowed("GET"));
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

/// RFC 6455 §10.2: only browsers send an origin, and only they can be made to connect by a foreign page.
fn check_origin(request: &Request<'_>, allowed: Option<&[String]>) -> Result<(), Response> {
    let is_allowed = match (allowed, request.header("origin")) {
        (None, _) | (_, Ok(None)) => true,
        (Some(allowed), Ok(Some(origin))) => allowed.iter().any(|known| known.eq_ignore_ascii_case(origin)),
        (Some(_), Err(_)) => false,
    };
    if is_allowed {
        return Ok(());
    }
    Err(refuse(403, "this origin is not allowed", "the server's --allowed-origins lists the sites that may connect"))
}

fn check_room(site: &Site) -> Result<(), Response> {
    let (error, hint, seconds) = if site.registry.draining.load(Ordering::Acquire) {
        ("the server is shutting down", "connect again, to another instance or a new one", DRAINING_RETRY_SECONDS)
    } else if site.is_full() {
        ("too many connections", "come back later; the server's --max-connections sets the limit", FULL_RETRY_SECONDS)
    } else {
        return Ok(());
    };
    Err(Response::from(Refusal::new(503, error, hint)).with("Retry-After", seconds))
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
