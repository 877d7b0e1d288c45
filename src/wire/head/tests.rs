//! Heads that are read, heads that are refused, and that it never matters how the bytes were cut.

use super::*;

/// Parses prefixes as a connection would see them grow, and hands back the first answer. Long heads grow by more than
/// a byte at a time, or the test would take seconds.
fn first_answer(bytes: &[u8]) -> Result<Option<Head<'_>>, BadHead> {
    let step = 1 + bytes.len() / 500;
    (0..bytes.len())
        .step_by(step)
        .chain([bytes.len()])
        .map(|cut| parse(&bytes[..cut]))
        .find(|answer| !matches!(answer, Ok(None)))
        .unwrap_or(Ok(None))
}

fn check_refused(text: &str, expected: BadHead) {
    assert_eq!(parse(text.as_bytes()).map(|_| ()), Err(expected), "{text:?}");
    assert_eq!(first_answer(text.as_bytes()).map(|_| ()), Err(expected), "{text:?} byte by byte");
}

fn check_read<'a>(text: &'a str, path: &str, query: &str, host: Option<&str>, body_bytes: u64) -> Head<'a> {
    let head = parse(text.as_bytes()).expect(text).expect(text);
    let grown = first_answer(text.as_bytes()).expect(text).expect(text);
    assert_eq!((head.path, head.query, head.host, head.body_bytes), (path, query, host, body_bytes), "{text:?}");
    assert_eq!((grown.path, grown.host, grown.bytes), (head.path, head.host, head.bytes), "{text:?} byte by byte");
    head
}

#[test]
fn sound_heads_are_read() {
    for (text, path, query, host, body_bytes) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", "", Some("a"), 0),
        ("GET /ws?username=x&a HTTP/1.1\r\nHOST: a:80\r\n\r\n", "/ws", "username=x&a", Some("a:80"), 0),
        ("GET /? HTTP/1.1\r\nhost:\r\n\r\n", "/", "", Some(""), 0),
        ("GET /a?b?c HTTP/1.1\r\nhost:\t[::1]:80 \t\r\n\r\n", "/a", "b?c", Some("[::1]:80"), 0),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", "", Some("a"), 0),
        ("GET / HTTP/1.0\r\n\r\n", "/", "", None, 0),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "/", "", Some("a"), 5),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0005\r\n\r\n", "/", "", Some("a"), 5),
        ("GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x", "y", Some("b"), 0),
        ("GET HTTPS://b:1?y HTTP/1.1\r\nHost: a\r\n\r\n", "/", "y", Some("b:1"), 0),
        ("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "/", "", Some("b"), 0),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", "", Some("a"), 0),
        ("GET //b/x HTTP/1.1\r\nHost: a\r\n\r\n", "//b/x", "", Some("a"), 0),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: caf\u{e9}\t!\r\n\r\n", "/", "", Some("a"), 0),
    ] {
        let head = check_read(text, path, query, host, body_bytes);
        assert!(text[head.bytes..].is_empty() || &text[head.bytes..] == "hello", "{text:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for (text, expected) in [
        ("GET / HTTP/1.1\nHost: a\n\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[2J\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tfolded\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BadHead::Malformed),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::Malformed),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::Malformed),
        ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::Malformed),
        ("GET /\r\n\r\n", BadHead::Malformed),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::Malformed),
        ("\x16\x03\x01\x02", BadHead::Malformed),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::Malformed),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", BadHead::Malformed),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", BadHead::BadVersion),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", BadHead::BadVersion),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BadHead::BadVersion),
        ("GET / HTTP/1.1\r\n\r\n", BadHead::BadHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", BadHead::BadHost),
        ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", BadHead::BadHost),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BadHead::BadHost),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", BadHead::BadHost),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BadHead::BadHost),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BadHead::BadHost),
        ("GET http://b/ HTTP/1.1\r\n\r\n", BadHead::BadHost),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("GET ws HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("GET http://u:p@b/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", BadHead::BadTarget),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: x\r\nContent-Length: 5\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", BadHead::BadLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", BadHead::LengthRequired),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", BadHead::UnknownCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", BadHead::UnknownCoding),
    ] {
        check_refused(text, expected);
    }
}

#[test]
fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
    let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    let head = |filler: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(filler));
    assert_eq!(check_read(&head(HEAD_BYTES_MAX - frame), "/", "", Some("a"), 0).bytes, HEAD_BYTES_MAX);
    check_refused(&head(HEAD_BYTES_MAX - frame + 1), BadHead::TooLong);
    check_refused(&format!("\r\n{}", head(HEAD_BYTES_MAX - frame - 1)), BadHead::TooLong);
    check_refused(&head(64 * 1024), BadHead::TooLong);
    check_refused(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(64 * 1024)), BadHead::TooLong);
}

#[test]
fn a_head_may_have_as_many_fields_as_the_limit_and_no_more() {
    let head = |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
    check_read(&head(FIELDS_MAX), "/", "", Some("a"), 0);
    check_refused(&head(FIELDS_MAX + 1), BadHead::TooManyFields);
}

#[test]
fn a_connection_persists_as_both_versions_say() {
    for (text, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y , close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap().unwrap().keep_alive(), expected, "{text:?}");
    }
}

#[test]
fn an_upgrade_is_one_only_if_both_headers_say_so() {
    for (fields, expected) in [
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", true),
        ("upgrade: h2c, WebSocket\r\nconnection: keep-alive, upgrade\r\n", true),
        ("Upgrade: websocket\r\n", false),
        ("Connection: upgrade\r\n", false),
        ("Upgrade: websocket2\r\nConnection: upgrade\r\n", false),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(parse(text.as_bytes()).unwrap().unwrap().is_upgrade(), expected, "{fields:?}");
    }
}

#[test]
fn fields_are_found_without_case_and_counted() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-two: 1\r\nX-TWO: 2\r\nX-Raw: \xff\r\n\r\n";
    let head = parse(text).unwrap().unwrap();
    assert_eq!(head.sole("x-one"), Ok(Some("1")));
    assert_eq!(head.sole("X-Two"), Err(BadField::Repeated));
    assert_eq!(head.sole("x-raw"), Err(BadField::NotText));
    assert_eq!(head.sole("x-none"), Ok(None));
    assert_eq!(head.values("x-two").collect::<Vec<_>>(), [b"1", b"2"]);
    assert!(head.has("X-RAW") && !head.has("x-none"));
}

#[test]
fn garbage_is_answered_the_same_however_it_is_cut() {
    let mut random = fastrand::Rng::with_seed(5);
    let pieces: [&[u8]; 24] = [
        b"GET ",
        b"POST ",
        b"/",
        b"/ws?username=a",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"Host: a",
        b"Content-Length: ",
        b"7",
        b"Transfer-Encoding: chunked",
        b": ",
        b" ",
        b"\t",
        b"\0",
        b"\xff",
        b"X",
        b"http://b",
        b"%zz",
        b"Connection: close",
    ];
    for _ in 0..5_000 {
        let count = random.usize(0..14);
        let bytes: Vec<u8> = (0..count).flat_map(|_| pieces[random.usize(..pieces.len())]).copied().collect();
        let whole = parse(&bytes).map(|head| head.map(|head| head.bytes));
        let grown = first_answer(&bytes).map(|head| head.map(|head| head.bytes));
        assert_eq!(whole, grown, "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..5_000 {
        let bytes: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(..)).collect();
        let _ = parse(&bytes);
    }
}
