//! The WebSocket handshake (RFC 6455 §4.2).

use super::*;

fn check_refused(site: Site, line: &str, fields: &str, status: u16, expected: &[(&str, &str)]) {
    let mut visit = Visit::to(site, LOCAL);
    let reply = visit.ask(format!("{line}\r\n{fields}\r\n"));
    assert_eq!(reply.status, status, "{line} {fields:?}: {reply:?}");
    for &(name, value) in expected {
        assert_eq!(reply.field(name), Some(value), "{line} {fields:?}: {name} in {reply:?}");
    }
    assert!(reply.json()["hint"].is_string());
}

fn adopted(site: Site, request: impl AsRef<[u8]>) -> (Visit, Adoption) {
    let (visit, outcome) = knock(site, LOCAL, request);
    assert!(visit.front.is_empty());
    (visit, *outcome.expect("the client is admitted"))
}

#[test]
fn a_sound_request_becomes_a_connection() {
    let (mut visit, adoption) = adopted(site(), upgrade("?ok=1", "") + "\x01\x02");
    let response = String::from_utf8(adoption.response.to_vec()).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && response.ends_with("\r\n\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "RFC 6455 §1.3");
    assert!(response.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"));
    assert_eq!(adoption.unread, b"\x01\x02"[..]);
    assert_eq!(adoption.peer, LOCAL.parse().unwrap());
    (&adoption.socket).write_all(&adoption.response).unwrap();
    assert_eq!(visit.reply().status, 101);
    assert!(matches!(visit.front.readable(visit.key, &mut visit.scratch, visit.now), Step::Gone));
}

#[test]
fn what_the_client_offers_beyond_is_not_agreed_to() {
    let offers = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\nOrigin: http://x\r\n";
    let (_, adoption) = adopted(site(), upgrade("?ok=1", offers));
    let response = String::from_utf8(adoption.response.to_vec()).unwrap();
    assert!(!response.contains("Protocol:") && !response.contains("Extensions:"), "{response}");
}

#[test]
fn every_flaw_has_its_answer() {
    let line = "GET /ws?ok=1 HTTP/1.1";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = [("sec-websocket-version", "13"), ("upgrade", "websocket"), ("connection", "Upgrade")];
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade")];
    for (line, fields, status, expected) in [
        ("POST /ws?ok=1 HTTP/1.1", UPGRADE.to_owned(), 405, &[("allow", "GET")][..]),
        (line, "Host: a\r\n".to_owned(), 426, &upgrade),
        (line, UPGRADE.replace("websocket\r\n", "h2c\r\n"), 426, &upgrade),
        (line, UPGRADE.replace("Connection: Upgrade", "Connection: keep-alive"), 426, &upgrade),
        ("GET /ws?ok=1 HTTP/1.0", UPGRADE.to_owned(), 400, &[]),
        (line, format!("{UPGRADE}Content-Length: 1\r\n"), 400, &[]),
        (line, UPGRADE.replace("13", "8"), 426, &version),
        (line, UPGRADE.replace("Sec-WebSocket-Version: 13\r\n", ""), 426, &version),
        (line, UPGRADE.replace(key, ""), 400, &[]),
        (line, format!("{UPGRADE}{key}"), 400, &[]),
        (line, UPGRADE.replace("dGhl", ""), 400, &[]),
        (line, UPGRADE.replace("dGhl", "dGh%"), 400, &[]),
        (line, UPGRADE.replace("dGhl", "dGhldGhl"), 400, &[]),
        (line, UPGRADE.replace("ZQ==", "ZQA="), 400, &[]),
        ("GET /ws HTTP/1.1", UPGRADE.to_owned(), 403, &[]),
        ("GET /ws?ok=%zz HTTP/1.1", UPGRADE.to_owned(), 400, &[]),
        ("GET /wss?ok=1 HTTP/1.1", UPGRADE.to_owned(), 404, &[]),
    ] {
        check_refused(site(), line, &fields, status, expected);
    }
}

#[test]
fn only_allowed_origins_may_connect() {
    let strict = || {
        let mut site = site();
        site.settings.allowed_origins =
            Some(vec!["https://app.example".to_owned(), "http://localhost:3000".to_owned()]);
        site
    };
    let line = "GET /ws?ok=1 HTTP/1.1";
    for origin in
        ["", "Origin: https://app.example\r\n", "Origin: HTTPS://App.Example\r\n", "Origin: http://localhost:3000\r\n"]
    {
        adopted(strict(), upgrade("?ok=1", origin));
    }
    for origin in [
        "Origin: https://app.example.evil\r\n",
        "Origin: http://app.example\r\n",
        "Origin: null\r\n",
        "Origin:\r\n",
        "Origin: https://app.example\r\nOrigin: https://app.example\r\n",
    ] {
        check_refused(strict(), line, &format!("{UPGRADE}{origin}"), 403, &[]);
    }
}
