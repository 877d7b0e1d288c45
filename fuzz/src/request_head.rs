//! Heads of HTTP requests, as `wire::head` reads them.
//!
//! - A beginning is either answered as all of it is, or waited with; what follows a head does not change it.
//! - A reader who knows nothing but lines and colons finds the same fields, the same host and the same length of the
//!   body: there is no second reading for somebody in front of this server.
//! - Its query is read as `query` demands.

use super::{cuts, query};
use fanout::wire::head::{self, BadHead, FIELDS_MAX, HEAD_BYTES_MAX, Head, Version};

/// Panics where one of the invariants does not hold.
pub fn check(bytes: &[u8]) {
    let answer = head::parse(bytes);
    for length in cuts::beginnings(bytes) {
        check_beginning(head::parse(&bytes[..length]), length, &answer);
    }
    if let Ok(Some(head)) = answer {
        check_head(&bytes[..head.bytes], &head);
        query::check(head.query.as_bytes());
    }
}

fn check_beginning(
    early: Result<Option<Head<'_>>, BadHead>,
    length: usize,
    answer: &Result<Option<Head<'_>>, BadHead>,
) {
    match (early, answer) {
        (Ok(None), Ok(Some(head))) => assert!(length < head.bytes, "there was a whole head"),
        (Ok(None), _) => {}
        (Ok(Some(early)), Ok(Some(head))) => {
            let parts = |head: &Head<'_>| (head.bytes, head.body_bytes, head.method, head.version);
            assert_eq!((parts(&early), early.host), (parts(head), head.host), "after {length} bytes");
            assert_eq!((early.path, early.query), (head.path, head.query), "after {length} bytes");
        }
        (Err(early), Err(bad)) => assert_eq!(&early, bad, "after {length} bytes"),
        (early, answer) => panic!("after {length} bytes {early:?}, later {answer:?}"),
    }
}

fn check_head(bytes: &[u8], head: &Head<'_>) {
    assert!(bytes.len() <= HEAD_BYTES_MAX + 2, "one empty line in front is not counted");
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let text = bytes.strip_suffix(b"\r\n\r\n").expect("an empty line ends a head");
    let mut lines = lines(text).into_iter();
    let line = lines.next().expect("a first line");
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [_, target, _] = words[..] else { panic!("a request line of {} words", words.len()) };
    let target = str::from_utf8(target).expect("targets are ASCII");
    assert!(head.path.starts_with('/') || head.path == "*");
    assert!(target.ends_with(head.query) && (target.contains(head.path) || head.path == "/"));

    let fields: Vec<(&[u8], &[u8])> = lines.map(split_field).collect();
    assert!(fields.len() <= FIELDS_MAX);
    for (name, value) in &fields {
        let name = str::from_utf8(name).expect("names are ASCII");
        assert!(head.values(name).any(|found| found == *value), "{name} is not found");
    }
    check_host(&values(&fields, b"host"), target, head);
    let lengths = values(&fields, b"content-length");
    let length = lengths.first().map_or("0", |digits| str::from_utf8(digits).expect("digits"));
    assert!(lengths.len() <= 1 && length.parse() == Ok(head.body_bytes), "{lengths:?} is {}", head.body_bytes);
    assert!(values(&fields, b"transfer-encoding").is_empty(), "two ways to tell the length");
}

fn check_host(hosts: &[&[u8]], target: &str, head: &Head<'_>) {
    assert!(hosts.len() == 1 || hosts.is_empty() && head.version == Version::Http10, "{} hosts", hosts.len());
    let host = head.host.map(str::as_bytes);
    if target.starts_with('/') || target == "*" {
        assert_eq!(host, hosts.first().copied());
    } else {
        assert!(target.contains(head.host.expect("a whole URL names its host")));
    }
}

/// What stands between the ends of lines.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let lines = text.split(|&byte| byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

/// The name and the value of a field's line.
fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = line.iter().position(|&byte| byte == b':').expect("a field has a colon");
    (&line[..colon], line[colon + 1..].trim_ascii())
}

fn values<'a>(fields: &[(&[u8], &'a [u8])], wanted: &[u8]) -> Vec<&'a [u8]> {
    fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value).collect()
}
