//! What the HTTP side answers: ordinary pages, hostile heads, and the private door.

use loadtest::{Answer, Launch, RawSocket, Server, exchange};
use std::time::Duration;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn server() -> Server {
    Launch::embedded().start().unwrap()
}

fn ask(server: &Server, request: &str) -> Answer {
    exchange(server.address, request).unwrap_or_else(|error| panic!("{error} from {request:?}"))
}

/// Error answers say what was wrong and what to do.
fn check_error_body(request: &str, answer: &Answer) {
    let json = answer.json();
    for key in ["error", "hint"] {
        assert!(
            json[key].as_str().is_some_and(|text| !text.is_empty()),
            "{request:?}: no {key} in {:?}",
            answer.text()
        );
    }
}

#[test]
fn every_page_answers_as_the_contract_says() {
    let server = server();
    let host = "Host: localhost\r\n";
    let table = [
        (format!("GET /health HTTP/1.1\r\n{host}\r\n"), 200),
        (format!("GET /health?x=1 HTTP/1.1\r\n{host}\r\n"), 200),
        (format!("HEAD /health HTTP/1.1\r\n{host}\r\n"), 200),
        ("GET /health HTTP/1.0\r\n\r\n".to_owned(), 200),
        (format!("GET /ready HTTP/1.1\r\n{host}\r\n"), 200),
        (format!("GET /live HTTP/1.1\r\n{host}\r\n"), 200),
        (format!("GET /metrics HTTP/1.1\r\n{host}\r\n"), 200),
        (format!("GET /admin/stats HTTP/1.1\r\n{host}\r\n"), 200),
        (format!("GET /nowhere HTTP/1.1\r\n{host}\r\n"), 404),
        (format!("GET /echo HTTP/1.1\r\n{host}{UPGRADE}\r\n"), 404),
        (format!("DELETE /health HTTP/1.1\r\n{host}\r\n"), 405),
        (format!("GET /publish/alice HTTP/1.1\r\n{host}\r\n"), 405),
        (format!("POST /ws?username=alice HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n"), 405),
        (format!("GET /ws?username=alice HTTP/1.1\r\n{host}\r\n"), 426),
    ];
    for (request, status) in table {
        let answer = ask(&server, &request);
        assert_eq!(answer.status, status, "{request:?}");
        assert!(answer.header("Content-Length").is_some(), "{request:?}: no length");
        if status >= 400 {
            check_error_body(&request, &answer);
        }
        if status == 405 {
            assert!(answer.header("Allow").is_some(), "{request:?}: RFC 9110 §15.5.6 wants Allow");
        }
    }
}

#[test]
fn an_upgrade_that_breaks_rfc_6455_is_refused_with_the_status_it_earns() {
    let server = server();
    let table = [
        ("without a version", UPGRADE.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        ("an older version", UPGRADE.replace("13", "8"), 426),
        ("without a key", UPGRADE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400),
        ("a short key", UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        ("a key that is not base64", UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!=="), 400),
        ("two keys", format!("{UPGRADE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
    ];
    for (what, headers, status) in table {
        let request = format!("GET /ws?username=alice HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let answer = ask(&server, &request);
        assert_eq!(answer.status, status, "{what}");
        check_error_body(&request, &answer);
        if status == 426 {
            assert_eq!(answer.header("Sec-WebSocket-Version"), Some("13"), "{what}: RFC 6455 §4.4");
        }
    }
}

#[test]
fn an_upgrade_is_answered_with_the_key_of_the_rfc_and_nothing_it_did_not_ask_for() {
    let server = server();
    let extras = "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: unknown, other\r\n";
    let table = [
        UPGRADE.to_owned(),
        format!("{UPGRADE}{extras}"),
        UPGRADE.replace("Connection: Upgrade", "connection: keep-alive, uPgRaDe").replace("websocket", "WebSocket"),
        format!("Origin: https://anywhere.example\r\n{UPGRADE}"),
    ];
    for headers in table {
        let answer = ask(&server, &format!("GET /ws?username=alice HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
        assert_eq!(answer.status, 101, "{headers:?}");
        // RFC 6455 §1.3 has this pair as its example.
        assert_eq!(answer.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(answer.header("Sec-WebSocket-Extensions"), None, "{headers:?}");
        assert_eq!(answer.header("Sec-WebSocket-Protocol"), None, "{headers:?}");
    }
}

#[test]
fn only_listed_origins_connect_where_a_list_is_given() {
    let server = Launch::embedded().option("--allowed-origins", "https://app.example,http://localhost:3000").start();
    let server = server.unwrap();
    let table = [
        ("", 101),
        ("Origin: https://app.example\r\n", 101),
        ("Origin: http://localhost:3000\r\n", 101),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: https://app.example.evil.example\r\n", 403),
        ("Origin: http://app.example\r\n", 403),
        ("Origin: http://localhost:3001\r\n", 403),
        ("Origin: null\r\n", 403),
    ];
    for (origin, status) in table {
        let request = format!("GET /ws?username=alice HTTP/1.1\r\nHost: localhost\r\n{origin}{UPGRADE}\r\n");
        assert_eq!(ask(&server, &request).status, status, "{origin:?}");
    }
}

#[test]
fn heads_that_smuggle_or_overflow_are_refused_and_the_connection_ends() {
    let server = server();
    let long_header = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(17 * 1024));
    let many_headers = format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(101));
    let table: &[(&str, &[u16])] = &[
        ("GET /health HTTP/1.1\r\n\r\n", &[400]),
        ("GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &[400]),
        ("GET /health HTTP/1.1\nHost: localhost\n\n", &[400]),
        ("GET /health HTTP/1.1\r\nHost: localhost\n\r\n", &[400]),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", &[400]),
        ("GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", &[400]),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", &[400]),
        ("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", &[400]),
        ("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", &[400]),
        ("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 1\r\n\r\nx", &[400]),
        ("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\nx", &[400]),
        ("POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\nx", &[400, 413]),
        (
            "POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400, 411, 501],
        ),
        ("GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", &[400, 505]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03", &[400]),
        ("GET\r\n\r\n", &[400]),
        ("*1\r\n$4\r\nPING\r\n\r\n", &[400]),
        (&long_header, &[431]),
        (&many_headers, &[431]),
    ];
    for (request, statuses) in table {
        let mut socket = RawSocket::connect(server.address).unwrap();
        socket.send(request.as_bytes()).unwrap();
        let shown: String = request.chars().take(100).collect();
        let answer = socket.answer().unwrap_or_else(|error| panic!("{error} from {shown:?}"));
        assert!(statuses.contains(&answer.status), "{shown:?} was answered with {}", answer.status);
        check_error_body(&shown, &answer);
        assert!(socket.rest(Duration::from_secs(20)).has_ended, "{shown:?}: nothing more can be trusted");
    }
    assert_eq!(server.get("/health").unwrap().status, 200);
}

#[test]
fn random_bytes_are_answered_or_cut_and_harm_nobody() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(0xfa9);
    let whole = format!("GET /ws?username=alice HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n").into_bytes();
    for _ in 0..200 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..6) {
            let place = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[place] = random.u8(..),
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, random.u8(..)),
            }
        }
        let mut socket = RawSocket::connect(server.address).unwrap();
        socket.send(&bytes).unwrap();
    }
    assert_eq!(server.get("/health").unwrap().status, 200);
}

#[test]
fn requests_on_one_connection_are_answered_in_their_order() {
    let server = server();
    let mut socket = RawSocket::connect(server.address).unwrap();
    let host = "HTTP/1.1\r\nHost: localhost\r\n";
    let requests = format!(
        "GET /health {host}\r\nGET /nowhere {host}\r\nPOST /publish/a {host}Content-Length: 2\r\n\r\n{{}}GET /live {host}\r\n"
    );
    socket.send(requests.as_bytes()).unwrap();
    let statuses: Vec<u16> = (0..4).map(|_| socket.answer().unwrap().status).collect();
    assert_eq!(statuses, [200, 404, 202, 200]);
    // Byte by byte, on the same connection, and then no more of it.
    for byte in format!("GET /health {host}Connection: close\r\n\r\n").bytes() {
        socket.send(&[byte]).unwrap();
    }
    assert_eq!(socket.answer().unwrap().status, 200);
    assert!(socket.rest(Duration::from_secs(20)).has_ended, "it was asked to close");
}

#[test]
fn frames_sent_together_with_the_upgrade_are_not_lost() {
    let server = Launch::embedded().option("--echo-path", "/echo").start().unwrap();
    let mut socket = RawSocket::connect(server.address).unwrap();
    let mut bytes = format!("GET /echo HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n").into_bytes();
    bytes.extend(loadtest::ClientFrame::new(loadtest::Opcode::TEXT, "early").bytes());
    socket.send(&bytes).unwrap();
    assert_eq!(socket.answer().unwrap().status, 101);
    assert_eq!(socket.frame().unwrap().1, b"early");
}

#[test]
fn the_private_door_opens_to_direct_local_requests_only() {
    let server = server();
    let port = server.address.port();
    let own_origin = format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n");
    let table = [
        ("Host: localhost\r\n".to_owned(), true),
        (format!("Host: localhost:{port}\r\n"), true),
        (format!("Host: 127.0.0.1:{port}\r\n"), true),
        ("Host: [::1]\r\n".to_owned(), true),
        (own_origin, true),
        ("Host: fanout.example\r\n".to_owned(), false),
        ("Host: localhost.evil.example\r\n".to_owned(), false),
        ("Host: 192.0.2.1\r\n".to_owned(), false),
        ("Host: localhost\r\nForwarded: for=192.0.2.1\r\n".to_owned(), false),
        ("Host: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n".to_owned(), false),
        ("Host: localhost\r\nX-Forwarded-Proto: https\r\n".to_owned(), false),
        ("Host: localhost\r\nVia: 1.1 proxy\r\n".to_owned(), false),
        ("Host: localhost\r\nX-Real-IP: 127.0.0.1\r\n".to_owned(), false),
        ("Host: localhost\r\nOrigin: https://evil.example\r\n".to_owned(), false),
        ("Host: localhost\r\nOrigin: null\r\n".to_owned(), false),
    ];
    for (headers, is_open) in table {
        let stats = ask(&server, &format!("GET /admin/stats HTTP/1.1\r\n{headers}\r\n"));
        let publish = format!("POST /publish/alice HTTP/1.1\r\n{headers}Content-Length: 2\r\n\r\n{{}}");
        let published = ask(&server, &publish);
        let expected = if is_open { (200, 202) } else { (403, 403) };
        assert_eq!((stats.status, published.status), expected, "{headers:?}");
        if !is_open {
            check_error_body(&headers, &stats);
            check_error_body(&headers, &published);
        }
        // What is for everyone stays for everyone.
        assert_eq!(ask(&server, &format!("GET /health HTTP/1.1\r\n{headers}\r\n")).status, 200);
    }
}

#[test]
fn the_private_door_wants_the_token_where_there_is_one() {
    const TOKEN: &str = "a-token-of-more-than-sixteen-letters";
    let server = Launch::embedded().variable("ADMIN_TOKEN", TOKEN).start().unwrap();
    let table = [
        (String::new(), 401),
        ("Authorization: Bearer wrong\r\n".to_owned(), 401),
        (format!("Authorization: Bearer {TOKEN}x\r\n"), 401),
        (format!("Authorization: Basic {TOKEN}\r\n"), 401),
        (format!("Authorization: Bearer {TOKEN}\r\n"), 200),
        (format!("Authorization: bearer {TOKEN}\r\nX-Forwarded-For: 192.0.2.1\r\n"), 200),
    ];
    for (headers, status) in table {
        let answer = ask(&server, &format!("GET /admin/stats HTTP/1.1\r\nHost: fanout.example\r\n{headers}\r\n"));
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 401 {
            assert!(answer.header("WWW-Authenticate").is_some(), "RFC 9110 §11.6.1");
        }
    }
    assert!(!server.log().contains(TOKEN));
}

#[test]
fn stats_have_the_shape_of_the_contract_and_add_up() {
    let server = server();
    let mut client = loadtest::Client::listen(server.address, "alice").unwrap();
    server.wait_until("/total/connections", 1);
    let bytes_before = server.count("/total/bytes_out");
    server.publisher().unwrap().publish("alice", "12345").unwrap();
    assert_eq!(client.text().as_deref(), Some("12345"));
    let stats = server.stats();
    assert!(stats["version"].is_string() && stats["uptime_ms"].is_u64(), "{stats}");
    let broker = serde_json::json!({
        "kind": "embedded", "connected": true, "reconnects": 0, "epoch": 0, "canary": null,
        "events_in": 1, "events_unfollowed": 0,
    });
    assert_eq!(stats["broker"], broker);
    let shards = stats["shards"].as_array().unwrap();
    assert_eq!(shards.len(), 2);
    for name in ["connections", "topics", "messages_in", "frames_out", "bytes_out", "kernel_sends", "late"] {
        let sum: u64 = shards.iter().map(|shard| shard[name].as_u64().unwrap()).sum();
        assert_eq!(stats["total"][name].as_u64(), Some(sum), "{name}");
    }
    // A header of two bytes and five of payload.
    assert_eq!(stats["total"]["frames_out"], 1);
    assert_eq!(stats["total"]["bytes_out"].as_u64(), Some(bytes_before + 7));
    for name in ["dropped", "closed"] {
        assert!(stats["total"][name].is_object() && shards[0][name].is_object(), "{name}");
    }
    let metrics = server.get("/metrics").unwrap();
    assert!(metrics.text().lines().any(|line| line.starts_with("fanout_") && line.ends_with(" 1")));
    assert!(metrics.header("Content-Type").is_some_and(|value| value.contains("text")));
}
