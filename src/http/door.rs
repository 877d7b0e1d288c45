//! The private door: who may see the administration and publish over HTTP.
//!
//! Without a token only a *direct local* request passes: it comes from this machine (peer), it means this machine
//! (`Host`; a page may have had its name rebound to 127.0.0.1), nobody passed it on (a proxy on this machine would
//! open the door to the world), and no foreign page sent it (`Origin`). With a token, the token decides alone. Browsers
//! bring it as a password (RFC 7617), which they then send with every request that any page makes them send here: so
//! with a password no foreign page passes either; but a link to the console may stand anywhere.

use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use crate::auth;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// What a client without a good token is told to bring (RFC 6750 §3).
pub(super) const CHALLENGE: &str = "Bearer realm=\"fanout\"";

/// What makes a browser ask its user for the token (RFC 7617 §2), under any name.
const PASSWORD_CHALLENGE: &str = "Basic realm=\"fanout\", charset=\"UTF-8\"";

/// What proxies add to the requests they pass on (RFC 7239, and what was there before it).
const PROXY_FIELDS: [&str; 3] = ["forwarded", "via", "x-real-ip"];

/// What the names of the other fields that proxies add begin with.
const PROXY_PREFIX: &str = "x-forwarded-";

/// Who may have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Everyone,
    /// Who passes the private door.
    PrivateDoor,
    /// The same; a browser without the token asks its user. For pages alone: nobody wants to be asked by what they run.
    PrivatePage,
}

/// Lets a request pass, or says how it could.
pub(super) fn check(request: &Request<'_>, access: Access, token: Option<&str>) -> Result<(), Response> {
    match (access, token) {
        (Access::Everyone, _) => Ok(()),
        (_, Some(token)) => check_token(request, token, access),
        (_, None) => check_direct_local(request).map_err(|error| {
            let hint = "ask from the same machine at http://localhost, or start the server with ADMIN_TOKEN set \
                        and send Authorization: Bearer";
            Refusal::new(403, error, hint).into()
        }),
    }
}

fn check_token(request: &Request<'_>, token: &str, access: Access) -> Result<(), Response> {
    let carried = request.header("authorization").ok().flatten();
    let password = carried.and_then(auth::password);
    let is_page = access == Access::PrivatePage;
    if password.is_some() && !(is_own_page(request) || is_page && is_followed_link(request)) {
        let hint = "open the console by its address; programs send Authorization: Bearer";
        return Err(Refusal::new(403, "a password does not speak for a page of another site", hint).into());
    }
    let shown = carried.and_then(auth::bearer).map(str::as_bytes).or(password.as_deref());
    // In a time that tells the length at most, not how far the bytes agree.
    if shown.is_some_and(|shown| shown.ct_eq(token.as_bytes()).into()) {
        return Ok(());
    }
    let error = if shown.is_some() { "wrong token" } else { "a token is required" };
    let hint = "send Authorization: Bearer and the server's ADMIN_TOKEN; in a browser it is the password at /console, \
                under any name";
    let challenge = if is_page { PASSWORD_CHALLENGE } else { CHALLENGE };
    Err(Response::from(Refusal::new(401, error, hint)).with("WWW-Authenticate", challenge))
}

/// Whether no page of another site has made a browser send the request. Browsers name the page's origin where they let
/// it change something, and by `Sec-Fetch-Site`, where the connection is good enough for that, whoever asks.
fn is_own_page(request: &Request<'_>) -> bool {
    has_own_origin(request) && matches!(request.header("sec-fetch-site"), Ok(None | Some("same-origin" | "none")))
}

/// Whether somebody opens a page in a tab of its own, from whichever site: who linked to it cannot read it.
fn is_followed_link(request: &Request<'_>) -> bool {
    has_own_origin(request) && request.header("sec-fetch-dest") == Ok(Some("document"))
}

fn check_direct_local(request: &Request<'_>) -> Result<(), &'static str> {
    let head = request.head();
    if !request.peer().ip().to_canonical().is_loopback() {
        return Err("only for requests from the server's own machine");
    }
    if !head.host.is_some_and(is_loopback_host) {
        return Err("only under a loopback name or address");
    }
    if PROXY_FIELDS.iter().any(|name| head.has(name)) || head.has_prefixed(PROXY_PREFIX) {
        return Err("not through a proxy");
    }
    if has_own_origin(request) { Ok(()) } else { Err("not from a page of another site") }
}

/// Whether `host[:port]` names this machine.
fn is_loopback_host(authority: &str) -> bool {
    let host = without_port(authority);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_loopback = address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether it was no page that sent the request, or one of this very server (RFC 6454 §7).
pub(super) fn has_own_origin(request: &Request<'_>) -> bool {
    let host = request.head().host.unwrap_or_default();
    let is_own = |origin: &str| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    request.header("origin").is_ok_and(|origin| origin.is_none_or(is_own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_addresses_are_this_machine() {
        for (authority, expected) in [
            ("localhost", true),
            ("LocalHost:8084", true),
            ("127.0.0.1", true),
            ("127.1.2.3:80", true),
            ("[::1]", true),
            ("[::1]:8084", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("localhost:", true),
            ("", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8084", false),
            ("evil.example:127", false),
            ("10.0.0.1", false),
            ("0.0.0.0:8084", false),
            ("[::2]", false),
            ("localhost:80x", false),
            ("localhost:80:80", false),
        ] {
            assert_eq!(is_loopback_host(authority), expected, "{authority:?}");
        }
    }
}
