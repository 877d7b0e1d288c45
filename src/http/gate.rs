//! The gate of WebSocket clients: who shows a good token, where tokens are asked for.

use super::door::is_own_origin;
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::site::Site;
use crate::auth::{self, BadToken, Carrier, Identity};
use crate::ear::wall_clock;
use std::time::Instant;

/// Says who a client is, or why it does not get in; `None` where nobody is asked.
pub(super) fn identify(site: &Site, request: &Request<'_>) -> Result<Option<Identity>, Response> {
    let Some(keyring) = &site.keyring else { return Ok(None) };
    let carried = auth::carried(request.head()).and_then(|carried| carried.ok_or(BadToken::Missing));
    let carried = carried.map_err(unauthorized)?;
    if carried.by == Carrier::Cookie && site.settings.allowed_origins.is_none() {
        check_page(request)?;
    }
    let verified = auth::verify(&carried.token, keyring.borrow_mut().keys(Instant::now()), wall_clock());
    verified.map(Some).map_err(unauthorized)
}

/// Any page can make a browser connect here with the cookie it keeps for this server (RFC 6455 §10.2). Where all origins
/// are allowed, only this server's own pages may let a cookie speak for them.
fn check_page(request: &Request<'_>) -> Result<(), Response> {
    let host = request.head().host.unwrap_or_default();
    match request.header("origin") {
        Ok(None) => Ok(()),
        Ok(Some(origin)) if is_own_origin(origin, host) => Ok(()),
        _ => {
            let hint = "list the page's origin in the server's --allowed-origins, or send the token in another way";
            Err(Refusal::new(403, "a cookie does not speak for a page of another site", hint).into())
        }
    }
}

/// 401, as RFC 6750 §3 wants it.
fn unauthorized(bad: BadToken) -> Response {
    let challenge = match bad {
        BadToken::Missing => "Bearer realm=\"fanout\"",
        _ => "Bearer realm=\"fanout\", error=\"invalid_token\"",
    };
    Response::from(Refusal::new(401, bad.to_string(), bad.hint())).with("WWW-Authenticate", challenge)
}
