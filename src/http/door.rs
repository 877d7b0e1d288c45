//! The private door: who may see the administration and publish over HTTP.
//!
//! Without a token only a *direct local* request passes: it comes from this machine (peer), it means this machine
//! (`Host`; a page may have had its name rebound to 127.0.0.1), nobody passed it on (a proxy on this machine would
//! open the door to the world), and no foreign page sent it (`Origin`). With a token, the token decides alone.

use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use crate::auth;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// What a client without a good token is told to bring (RFC 6750 §3).
pub(super) const CHALLENGE: &str = "Bearer realm=\"fanout\"";

/// What proxies add to the requests they pass on (RFC 7239, and what was there before it).
const PROXY_FIELDS: [&str; 3] = ["forwarded", "via", "x-real-ip"];

/// What the names of the other fields that proxies add begin with.
const PROXY_PREFIX: &str = "x-forwarded-";

/// Lets a request pass, or says how it could.
pub(super) fn check(request: &Request<'_>, token: Option<&str>) -> Result<(), Response> {
    match token {
        Some(token) => check_token(request, token),
        None => check_direct_local(request).map_err(|error| {
            let hint = "ask from the same machine at http://localhost, or start the server with ADMIN_TOKEN set \
                        and send Authorization: Bearer";
            Refusal::new(403, error, hint).into()
        }),
    }
}

fn check_token(request: &Request<'_>, token: &str) -> Result<(), Response> {
    let carried = request.header("authorization").ok().flatten().and_then(auth::bearer);
    // In a time that tells the length at most, not how far the bytes agree.
    if carried.is_some_and(|carried| carried.as_bytes().ct_eq(token.as_bytes()).into()) {
        return Ok(());
    }
    let error = if carried.is_some() { "wrong token" } else { "a token is required" };
    let refusal = Refusal::new(401, error, "send Authorization: Bearer and the server's ADMIN_TOKEN");
    Err(Response::from(refusal).with("WWW-Authenticate", CHALLENGE))
}

fn check_direct_local(request: &Request<'_>) -> Result<(), &'static str> {
    let head = request.head();
    if !request.peer().ip().to_canonical().is_loopback() {
        return Err("only for requests from the server's own machine");
    }
    let host = head.host.filter(|host| is_loopback_host(host)).ok_or("only under a loopback name or address")?;
    if PROXY_FIELDS.iter().any(|name| head.has(name)) || head.has_prefixed(PROXY_PREFIX) {
        return Err("not through a proxy");
    }
    match request.header("origin") {
        Ok(None) => Ok(()),
        Ok(Some(origin)) if is_own_origin(origin, host) => Ok(()),
        _ => Err("not from a page of another site"),
    }
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

/// Whether a page of this very server sent the request (RFC 6454 §7).
pub(super) fn is_own_origin(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
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
