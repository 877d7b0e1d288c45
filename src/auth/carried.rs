//! Where in a request a token may be.

use super::token::BadToken;
use crate::wire::head::Head;
use crate::wire::query::Query;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// The subprotocol a client offers beside the one that holds its token: browsers can send no other header, and want one
/// of their offers back. The one that is sent back must not be the token.
pub const MARKER: &str = "fanout.token";

/// What the subprotocol that is a token begins with.
const TOKEN_PREFIX: &str = "fanout.token.";

const COOKIE: &str = "fanout_token";

const PARAMETER: &str = "token";

/// A token and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// The token as it stands; nothing about it was checked.
    pub token: Cow<'a, str>,
    /// Where it was found.
    pub by: Carrier,
}

/// Where a token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Authorization,
    /// `Sec-WebSocket-Protocol: fanout.token.…`.
    Subprotocol,
    /// The cookie `fanout_token`, which browsers send whichever page has made them.
    Cookie,
    /// The parameter `token`.
    Query,
}

/// Finds the token of a request: the first in the order of [`Carrier`].
pub fn carried<'a>(head: &Head<'a>) -> Result<Option<Carried<'a>>, BadToken> {
    let found = |token: &'a str, by| Carried { token: Cow::Borrowed(token), by };
    if let Some(token) = authorization(head)? {
        return Ok(Some(found(token, Carrier::Authorization)));
    }
    if let Some(token) = offers(head).find_map(|offer| offer.strip_prefix(TOKEN_PREFIX)) {
        return Ok(Some(found(token, Carrier::Subprotocol)));
    }
    if let Some(token) = cookie(head) {
        return Ok(Some(found(token, Carrier::Cookie)));
    }
    let parameter = Query::parse(head.query).and_then(|query| query.unique(PARAMETER));
    let parameter = parameter.map_err(|_| BadToken::Malformed)?;
    Ok(parameter.map(|token| Carried { token, by: Carrier::Query }))
}

/// Whether the client wants [`MARKER`] back.
pub fn offers_marker(head: &Head<'_>) -> bool {
    offers(head).any(|offer| offer == MARKER)
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1); schemes compare without case (RFC 9110 §11.1).
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// The password of `Authorization: Basic …`, whoever it is said to be of (RFC 7617 §2).
pub fn password(value: &str) -> Option<Vec<u8>> {
    let (scheme, pair) = value.split_once(' ')?;
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(pair.trim_matches(' ')).ok())??;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Another scheme is somebody else's: a proxy's, perhaps.
fn authorization<'a>(head: &Head<'a>) -> Result<Option<&'a str>, BadToken> {
    let value = head.sole("authorization").map_err(|_| BadToken::Malformed)?;
    Ok(value.and_then(bearer))
}

/// The subprotocols a client offers, over all header fields of that name (RFC 6455 §11.3.4).
fn offers<'a>(head: &Head<'a>) -> impl Iterator<Item = &'a str> {
    let values = head.values("sec-websocket-protocol").filter_map(|value| str::from_utf8(value).ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The first cookie of that name, which is the one of the longest path (RFC 6265 §5.4).
fn cookie<'a>(head: &Head<'a>) -> Option<&'a str> {
    let values = head.values("cookie").filter_map(|value| str::from_utf8(value).ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.trim_matches('"'))
}
