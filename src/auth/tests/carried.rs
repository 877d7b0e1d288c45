//! Where a token may be, and which one counts.

use crate::auth::{BadToken, Carrier, bearer, carried, offers_marker};
use crate::wire::head;

fn check(query: &str, fields: &str, expected: Result<Option<(&str, Carrier)>, BadToken>) {
    let text = format!("GET /ws{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let head = head::parse(text.as_bytes()).unwrap().expect("a whole head");
    let found = carried(&head);
    let found = found.as_ref().map(|carried| carried.as_ref().map(|it| (it.token.as_ref(), it.by)));
    assert_eq!(found.map_err(|bad| *bad), expected, "{query} {fields:?}");
}

#[test]
fn a_token_is_found_in_four_places() {
    use Carrier::{Authorization, Cookie, Query, Subprotocol};
    for (query, fields, expected) in [
        ("", "", None),
        ("?username=a", "Authorization: Basic YTpi\r\n", None),
        ("", "authorization: bEARER a.b.c\r\n", Some(("a.b.c", Authorization))),
        ("", "Authorization: Bearer \r\n", None),
        ("", "Sec-WebSocket-Protocol: chat, fanout.token,fanout.token.a.b.c\r\n", Some(("a.b.c", Subprotocol))),
        ("", "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: fanout.token.x\r\n", Some(("x", Subprotocol))),
        ("", "Sec-WebSocket-Protocol: fanout.token\r\n", None),
        ("", "Sec-WebSocket-Protocol: fanout.tokens.x\r\n", None),
        ("", "Cookie: a=b; fanout_token=a.b.c; c=d\r\n", Some(("a.b.c", Cookie))),
        ("", "Cookie: fanout_token=\"a.b.c\"\r\n", Some(("a.b.c", Cookie))),
        ("", "Cookie: fanout_token=x; fanout_token=y\r\n", Some(("x", Cookie))),
        ("", "Cookie: xfanout_token=x; fanout_token\r\n", None),
        ("?username=a&token=a.b.c&meta=1", "", Some(("a.b.c", Query))),
        ("?token=a%2Eb", "", Some(("a.b", Query))),
        ("?token=", "", Some(("", Query))),
        ("?token=q", "Cookie: fanout_token=c\r\n", Some(("c", Cookie))),
        ("?token=q", "Cookie: fanout_token=c\r\nSec-WebSocket-Protocol: fanout.token.p\r\n", Some(("p", Subprotocol))),
        ("", "Sec-WebSocket-Protocol: fanout.token.p\r\nAuthorization: Bearer h\r\n", Some(("h", Authorization))),
        ("?token=q", "Authorization: Basic YTpi\r\n", Some(("q", Query))),
    ] {
        check(query, fields, Ok(expected));
    }
}

#[test]
fn a_token_that_may_be_either_of_two_is_none() {
    check("?token=a&token=b", "", Err(BadToken::Malformed));
    check("?token=%zz", "", Err(BadToken::Malformed));
    check("", "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n", Err(BadToken::Malformed));
}

#[test]
fn the_marker_counts_only_as_a_whole() {
    for (fields, expected) in [
        ("", false),
        ("Sec-WebSocket-Protocol: fanout.token\r\n", true),
        ("Sec-WebSocket-Protocol: fanout.token.a.b.c, fanout.token\r\n", true),
        ("Sec-WebSocket-Protocol: fanout.token.a.b.c\r\n", false),
        ("Sec-WebSocket-Protocol: Fanout.Token\r\n", false),
    ] {
        let text = format!("GET /ws HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = head::parse(text.as_bytes()).unwrap().expect("a whole head");
        assert_eq!(offers_marker(&head), expected, "{fields:?}");
    }
}

#[test]
fn a_bearer_token_is_what_stands_behind_the_scheme() {
    for (value, expected) in
        [("Bearer a", Some("a")), ("bearer  a ", Some("a")), ("Bearer", None), ("Basic a", None), ("", None)]
    {
        assert_eq!(bearer(value), expected, "{value:?}");
    }
}
