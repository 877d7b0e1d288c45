//! The private door: every way to it, and every way around it.

use super::*;

/// What is behind the door, and what whoever passes is answered there; 0 is a question to the nodes or the broker.
const PRIVATE: [(&str, &str, u16); 9] = [
    ("GET", "/", 200),
    ("GET", "/console/console.js", 200),
    ("GET", "/admin/stats", 200),
    ("GET", "/admin/connections", 0),
    ("GET", "/admin/topics", 0),
    ("GET", "/admin/trace", 400),
    ("POST", "/admin/disconnect", 400),
    ("GET", "/admin/else", 404),
    ("POST", "/publish/alice", 0),
];

fn check(peer: &str, host: &str, fields: &str, token: Option<&str>, status: u16) {
    for (method, path, passed) in PRIVATE {
        let mut site = site();
        site.settings.admin_token = token.map(str::to_owned);
        let mut visit = Visit::to(site, peer);
        visit.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"));
        let step = visit.turn();
        let context = format!("{method} {path} from {peer} with {host:?} {fields:?} {token:?}");
        let expected = if status == 200 { passed } else { status };
        if expected == 0 {
            assert!(matches!(step, Step::Publish(_) | Step::Ask(..)), "{context}");
            continue;
        }
        let reply = visit.reply();
        assert_eq!(reply.status, expected, "{context}: {reply:?}");
        assert_eq!(reply.field("www-authenticate").is_some(), expected == 401, "{context}");
    }
}

#[test]
fn without_a_token_only_direct_local_requests_pass() {
    for (peer, host, fields, status) in [
        (LOCAL, "localhost:8084", "", 200),
        (LOCAL, "127.0.0.1", "", 200),
        ("127.9.9.9:1", "localhost", "", 200),
        ("[::1]:50000", "[::1]:8084", "", 200),
        ("[::ffff:127.0.0.1]:50000", "localhost", "", 200),
        (LOCAL, "localhost:8084", "Origin: http://localhost:8084\r\n", 200),
        (LOCAL, "localhost:8084", "Authorization: Bearer anything\r\n", 200),
        ("10.0.0.1:50000", "localhost:8084", "", 403),
        ("[::ffff:10.0.0.1]:50000", "localhost", "", 403),
        ("[2001:db8::1]:50000", "localhost", "", 403),
        (LOCAL, "rebound.example:8084", "", 403),
        (LOCAL, "localhost.rebound.example", "", 403),
        (LOCAL, "", "", 403),
        (LOCAL, "localhost", "Forwarded: for=1.2.3.4\r\n", 403),
        (LOCAL, "localhost", "X-Forwarded-For: 127.0.0.1\r\n", 403),
        (LOCAL, "localhost", "x-forwarded-anything:\r\n", 403),
        (LOCAL, "localhost", "Via: 1.1 proxy\r\n", 403),
        (LOCAL, "localhost", "X-Real-IP: 127.0.0.1\r\n", 403),
        (LOCAL, "localhost:8084", "Origin: http://localhost:3000\r\n", 403),
        (LOCAL, "localhost:8084", "Origin: https://evil.example\r\n", 403),
        (LOCAL, "localhost:8084", "Origin: null\r\n", 403),
        (LOCAL, "localhost:8084", "Origin: http://localhost:8084\r\nOrigin: http://localhost:8084\r\n", 403),
    ] {
        check(peer, host, fields, None, status);
    }
}

#[test]
fn with_a_token_it_alone_decides() {
    let token = Some("0123456789abcdef");
    for (peer, host, fields, status) in [
        (LOCAL, "localhost", "", 401),
        (LOCAL, "localhost", "Authorization: Bearer 0123456789abcdeX\r\n", 401),
        (LOCAL, "localhost", "Authorization: Bearer 0123456789abcde\r\n", 401),
        (LOCAL, "localhost", "Authorization: Bearer 0123456789abcdef0\r\n", 401),
        (LOCAL, "localhost", "Authorization: Basic 0123456789abcdef\r\n", 401),
        (LOCAL, "localhost", "Authorization: 0123456789abcdef\r\n", 401),
        (LOCAL, "localhost", "Authorization: Bearer\r\n", 401),
        (LOCAL, "localhost", "Authorization: Bearer x\r\nAuthorization: Bearer 0123456789abcdef\r\n", 401),
        (LOCAL, "localhost", "Authorization: Bearer 0123456789abcdef\r\n", 200),
        ("10.0.0.1:50000", "fanout.example", "authorization: bearer 0123456789abcdef\r\n", 200),
        ("10.0.0.1:50000", "fanout.example", "Via: 1.1 x\r\nAuthorization: Bearer 0123456789abcdef\r\n", 200),
    ] {
        check(peer, host, fields, token, status);
    }
}

#[test]
fn an_absolute_target_counts_before_the_host_header() {
    let mut visit = Visit::new();
    let reply = visit.ask("GET http://rebound.example/admin/stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(reply.status, 403);
}

#[test]
fn the_hint_names_the_cure() {
    let reply = Visit::to(site(), "10.0.0.1:5").ask(get("/admin/stats"));
    assert!(reply.json()["hint"].as_str().unwrap().contains("ADMIN_TOKEN"), "{reply:?}");
}
