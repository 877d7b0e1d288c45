//! Whose connection it is: the peer, or whom a trusted proxy names.
//!
//! ```text
//!   client ──► proxy A ──► proxy B ──► here        X-Forwarded-For: whatever the client wrote, client, A
//!                                                                                             ▲      ▲
//!                                     from the right: the first that is no trusted proxy ─────┘      │
//!                                     A is trusted, so what stands in front of it is A's word ───────┘
//! ```
//!
//! A proxy sets one of the two fields and may pass on the other as the client wrote it. Where both are there and do not
//! agree, neither is believed. A field whose rightmost hop cannot be read (RFC 7239 §6.2, §6.3) ends at the proxy that
//! sent it: it does not make room for the other one.

use crate::wire::head::Head;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The client's address. Its port is 0 where a proxy names none.
pub(super) fn client_address(head: &Head<'_>, peer: SocketAddr, trusted: &[IpNet]) -> SocketAddr {
    let is_trusted = |address: SocketAddr| {
        let address = address.ip().to_canonical();
        trusted.iter().any(|network| network.contains(&address))
    };
    if !is_trusted(peer) {
        return peer;
    }
    let first_stranger = |hops: Vec<Option<SocketAddr>>| {
        let mut nearest = (!hops.is_empty()).then_some(peer)?;
        for hop in hops.into_iter().rev() {
            // What nobody can read ends the chain: behind it stands the word of whoever wrote that.
            let Some(hop) = hop else { break };
            nearest = hop;
            if !is_trusted(hop) {
                break;
            }
        }
        Some(nearest)
    };
    match (first_stranger(forwarded_for(head)), first_stranger(forwarded(head))) {
        (Some(one), Some(other)) if one.ip() != other.ip() => peer,
        (one, other) => one.or(other).unwrap_or(peer),
    }
}

/// `X-Forwarded-For`, all of its lines one behind the other.
fn forwarded_for(head: &Head<'_>) -> Vec<Option<SocketAddr>> {
    elements(head, "x-forwarded-for").into_iter().map(address).collect()
}

/// The `for` of each element of `Forwarded` (RFC 7239 §4). Quoted text with a comma or semicolon in it is nothing that
/// an address needs, and reads as no address.
fn forwarded(head: &Head<'_>) -> Vec<Option<SocketAddr>> {
    let node = |element: &str| {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        let value = value.trim();
        address(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    };
    elements(head, "forwarded").into_iter().map(node).collect()
}

/// The elements of a field that is a list; one that is no text is no address.
fn elements<'a>(head: &Head<'a>, name: &str) -> Vec<&'a str> {
    head.values(name).flat_map(|line| std::str::from_utf8(line).unwrap_or("-").split(',')).collect()
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0)).or_else(|_| text.parse()).ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head;

    /// Whom a request with these fields is from, if `10.0.0.0/8` and `fd00::/8` are proxies.
    fn check(peer: &str, fields: &[&str], expected: &str) {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields.concat());
        let head = head::parse(text.as_bytes()).expect("a sound head").expect("a whole one");
        let found = client_address(&head, peer.parse().expect("an address"), &trusted);
        assert_eq!(found, expected.parse().expect("an address"), "{peer} {fields:?}");
    }

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        check("192.0.2.9:5", &["X-Forwarded-For: 198.51.100.1\r\n"], "192.0.2.9:5");
        check("192.0.2.9:5", &["Forwarded: for=198.51.100.1\r\n"], "192.0.2.9:5");
        check("[2001:db8::1]:5", &["X-Forwarded-For: 198.51.100.1\r\n"], "[2001:db8::1]:5");
        check("10.0.0.1:5", &["X-Forwarded-For: 198.51.100.1\r\n"], "198.51.100.1:0");
        check("[fd00::1]:5", &["X-Forwarded-For: 198.51.100.1\r\n"], "198.51.100.1:0");
        check("[::ffff:10.0.0.1]:5", &["X-Forwarded-For: 198.51.100.1\r\n"], "198.51.100.1:0");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_counts() {
        for (list, expected) in [
            ("1.1.1.1, 198.51.100.1", "198.51.100.1:0"),
            ("1.1.1.1, 198.51.100.1 ,10.0.0.2,10.0.0.3", "198.51.100.1:0"),
            ("10.0.0.2,10.0.0.3", "10.0.0.2:0"),
            ("198.51.100.1:4711", "198.51.100.1:4711"),
            ("2001:db8::1", "[2001:db8::1]:0"),
            ("[2001:db8::1]:80, fd00::2", "[2001:db8::1]:80"),
            ("::ffff:198.51.100.1", "198.51.100.1:0"),
            ("198.51.100.1, unknown", "10.0.0.1:5"),
            ("198.51.100.1, garbage, 10.0.0.2", "10.0.0.2:0"),
            ("198.51.100.1,", "10.0.0.1:5"),
            ("", "10.0.0.1:5"),
        ] {
            check("10.0.0.1:5", &[&format!("X-Forwarded-For: {list}\r\n")], expected);
        }
        let lines = ["X-Forwarded-For: 1.1.1.1\r\n", "X-Forwarded-For: 198.51.100.1\r\n"];
        check("10.0.0.1:5", &lines, "198.51.100.1:0");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        for (list, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60:0"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
            ("for=192.0.2.43, for=198.51.100.17;by=10.0.0.1", "198.51.100.17:0"),
            ("for=192.0.2.43, for=10.0.0.7", "192.0.2.43:0"),
            ("for=192.0.2.43, for=_hidden", "10.0.0.1:5"),
            ("for=192.0.2.43, proto=http", "10.0.0.1:5"),
        ] {
            check("10.0.0.1:5", &[&format!("Forwarded: {list}\r\n")], expected);
        }
    }

    #[test]
    fn two_fields_that_disagree_are_both_disbelieved() {
        let own = "X-Forwarded-For: 198.51.100.1\r\n";
        check("10.0.0.1:5", &[own, "Forwarded: for=198.51.100.1\r\n"], "198.51.100.1:0");
        check("10.0.0.1:5", &[own, "Forwarded: for=203.0.113.1\r\n"], "10.0.0.1:5");
    }

    #[test]
    fn a_hop_that_cannot_be_read_does_not_make_the_other_field_believed() {
        for unreadable in ["for=unknown", "for=_hidden", "for=\"_SEVKISEK\"", "for=192.0.2.43, proto=http", ""] {
            let fields = ["X-Forwarded-For: 198.51.100.1\r\n", &format!("Forwarded: {unreadable}\r\n")];
            check("10.0.0.1:5", &fields, "10.0.0.1:5");
        }
        check("10.0.0.1:5", &["X-Forwarded-For: unknown\r\n", "Forwarded: for=198.51.100.1\r\n"], "10.0.0.1:5");
    }
}
