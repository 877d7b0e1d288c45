//! The gate of WebSocket clients: who shows a good token, where tokens are asked for.

use super::decline::Decline;
use super::door::{CHALLENGE, has_own_origin};
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::site::Site;
use crate::auth::{self, BadToken, Carrier, Identity};
use crate::ear::wall_clock;
use crate::metrics::Refused;
use std::time::Instant;

/// Says who a client is, or why it does not get in; `None` where nobody is asked.
pub(super) fn identify(site: &Site, request: &Request<'_>) -> Result<Option<Identity>, Decline> {
    let Some(keyring) = &site.keyring else { return Ok(None) };
    let carried = auth::carried(request.head()).and_then(|carried| carried.ok_or(BadToken::Missing));
    let carried = carried.map_err(unauthorized)?;
    if carried.by == Carrier::Cookie && site.settings.allowed_origins.is_none() {
        check_page(request)?;
    }
    let mut keyring = keyring.borrow_mut();
    let verified = auth::verify(&carried.token, keyring.keys(Instant::now()), wall_clock());
    site.metrics().entrance.key_reloads_failed.set(keyring.failures());
    verified.map(Some).map_err(unauthorized)
}

/// Any page can make a browser connect here with the cookie it keeps for this server (RFC 6455 §10.2). Where all origins
/// are allowed, only this server's own pages may let a cookie speak for them.
fn check_page(request: &Request<'_>) -> Result<(), Decline> {
    if has_own_origin(request) {
        return Ok(());
    }
    let hint = "list the page's origin in the server's --allowed-origins, or send the token in another way";
    let refusal = Refusal::new(403, "a cookie does not speak for a page of another site", hint);
    Err(Decline::new(Refused::CookieOrigin, refusal))
}

/// 401, as RFC 6750 §3 wants it.
fn unauthorized(bad: BadToken) -> Decline {
    let (reason, fault) = match bad {
        BadToken::Missing => (Refused::TokenMissing, ""),
        BadToken::Expired => (Refused::TokenExpired, ", error=\"invalid_token\""),
        _ => (Refused::TokenBad, ", error=\"invalid_token\""),
    };
    let challenge = format!("{CHALLENGE}{fault}");
    let refusal = Refusal::new(401, bad.to_string(), bad.hint());
    Decline::new(reason, Response::from(refusal).with("WWW-Authenticate", challenge))
}
