//! Tokens at the door of WebSocket clients: every place they may be in, every answer they may get.

use super::*;
use crate::auth::{Identity, Keyring, issue};
use crate::wire::username::Username;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use std::cell::RefCell;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "a-secret-of-thirty-two-bytes-or-so";

/// A site whose clients are all alice, and have to show it.
fn guarded() -> Site {
    let mut site = site();
    let admit = |request: &Request<'_>| {
        request.claim(&Username::parse("alice").unwrap())?;
        Ok(Admission { protocol: Box::new(Stub), placement: Placement::Anywhere })
    };
    site.families[0].admit = Box::new(admit);
    site.keyring = Some(RefCell::new(Keyring::open(Some(SECRET), None).unwrap()));
    site
}

fn token(subject: &str, usernames: &[&str], age: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let usernames = usernames.iter().map(|&name| name.to_owned()).collect();
    let identity = Identity { subject: subject.to_owned(), usernames, lifetime: Duration::from_secs(3_600) };
    issue(&identity, SECRET, now.checked_sub(age).unwrap())
}

/// The response to an upgrade and, where it is 101, how long the connection may live.
fn answer_to(site: Site, query: &str, fields: &str) -> (String, Option<Duration>) {
    match knock(site, LOCAL, upgrade(query, fields)).1 {
        Ok(adoption) => (String::from_utf8(adoption.response.to_vec()).unwrap(), adoption.lifetime),
        Err(reply) => (format!("{}{}", reply.head, reply.body), None),
    }
}

fn check(query: &str, fields: &str, status: u16) {
    let (answer, lifetime) = answer_to(guarded(), query, fields);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{query} {fields:?}: {answer}");
    assert_eq!(answer.contains("WWW-Authenticate: Bearer"), status == 401, "{answer}");
    let is_an_hour = lifetime.is_some_and(|lifetime| (3_500..=3_600).contains(&lifetime.as_secs()));
    assert_eq!(is_an_hour, status == 101, "{lifetime:?}");
    assert!(status == 101 || answer.contains("\"hint\":\""), "{answer}");
}

#[test]
fn a_good_token_opens_wherever_it_is() {
    let good = token("alice", &[], Duration::ZERO);
    check(&format!("?token={good}"), "", 101);
    check("", &format!("Authorization: Bearer {good}\r\n"), 101);
    check("", &format!("Cookie: a=b; fanout_token={good}\r\n"), 101);
    check("", &format!("Sec-WebSocket-Protocol: fanout.token, fanout.token.{good}\r\n"), 101);
    let listed = token("somebody", &["bob", "alice"], Duration::ZERO);
    check("", &format!("Authorization: Bearer {listed}\r\n"), 101);
}

#[test]
fn without_a_good_token_it_is_401_and_with_somebody_elses_403() {
    let good = token("alice", &[], Duration::ZERO);
    check("", "", 401);
    check("?token=", "", 401);
    check("?token=a.b.c", "", 401);
    check(&format!("?token={good}&token={good}"), "", 401);
    check(&format!("?token={}x", &good[..good.len() - 1]), "", 401);
    check("", &format!("Authorization: Bearer {}\r\n", token("alice", &[], Duration::from_secs(3_601))), 401);
    // The first place that holds a token decides.
    check(&format!("?token={good}"), "Authorization: Bearer a.b.c\r\n", 401);
    check("", &format!("Authorization: Bearer {}\r\n", token("bob", &["carol"], Duration::ZERO)), 403);
    check("", &format!("Authorization: Bearer {}\r\n", token("Alice", &[], Duration::ZERO)), 403);
}

#[test]
fn only_the_marker_is_sent_back_and_only_to_who_offers_it() {
    let good = token("alice", &[], Duration::ZERO);
    for (offers, expected) in [
        (format!("fanout.token, fanout.token.{good}"), Some("Sec-WebSocket-Protocol: fanout.token")),
        (format!("fanout.token.{good}, chat, fanout.token"), Some("Sec-WebSocket-Protocol: fanout.token")),
        (format!("fanout.token.{good}"), None),
    ] {
        let (answer, _) = answer_to(guarded(), "", &format!("Sec-WebSocket-Protocol: {offers}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert_eq!(answer.lines().find(|line| line.starts_with("Sec-WebSocket-Protocol")), expected, "{answer}");
        assert!(!answer.contains(&good), "{answer}");
    }
    let (answer, lifetime) = answer_to(site(), "?ok=1", "Sec-WebSocket-Protocol: fanout.token, fanout.token.x\r\n");
    assert!(answer.contains("\r\nSec-WebSocket-Protocol: fanout.token\r\n") && lifetime.is_none(), "{answer}");
}

#[test]
fn no_answer_repeats_a_token() {
    for bad in [token("bob", &[], Duration::ZERO), "eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0".to_owned()] {
        for (query, fields) in [
            (format!("?token={bad}"), String::new()),
            (String::new(), format!("Authorization: Bearer {bad}\r\n")),
            (String::new(), format!("Cookie: fanout_token={bad}\r\n")),
            (String::new(), format!("Sec-WebSocket-Protocol: fanout.token, fanout.token.{bad}\r\n")),
        ] {
            let (answer, _) = answer_to(guarded(), &query, &fields);
            assert!(answer.starts_with("HTTP/1.1 40") && !answer.contains(&bad), "{answer}");
            assert!(!answer.contains("bob"), "nor whom it is for: {answer}");
        }
    }
}

#[test]
fn a_cookie_speaks_for_pages_of_this_host_or_of_listed_origins() {
    let cookie = format!("Cookie: fanout_token={}\r\n", token("alice", &[], Duration::ZERO));
    let listed = || {
        let mut site = guarded();
        site.settings.allowed_origins = Some(vec!["https://app.example".to_owned()]);
        site
    };
    for (origin, any, only_listed) in [
        ("", 101, 101),
        ("Origin: https://a.example\r\n", 101, 403),
        ("Origin: http://A.example\r\n", 101, 403),
        ("Origin: https://app.example\r\n", 403, 101),
        ("Origin: https://evil.example\r\n", 403, 403),
        ("Origin: null\r\n", 403, 403),
    ] {
        for (site, status) in [(guarded(), any), (listed(), only_listed)] {
            let (answer, _) = answer_to(site, "", &format!("{cookie}{origin}"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{origin:?}: {answer}");
        }
    }
    let header = format!("Authorization: Bearer {}\r\n", token("alice", &[], Duration::ZERO));
    check("", &format!("{header}Origin: https://evil.example\r\n"), 101);
}

#[test]
fn every_token_that_is_refused_is_counted_by_reason() {
    let bearer = |token: String| format!("Authorization: Bearer {token}\r\n");
    let good = token("alice", &[], Duration::ZERO);
    for (fields, reason) in [
        (String::new(), Refused::TokenMissing),
        (bearer(token("alice", &[], Duration::from_secs(3_601))), Refused::TokenExpired),
        (bearer("a.b.c".to_owned()), Refused::TokenBad),
        (bearer(token("bob", &[], Duration::ZERO)), Refused::TokenForeign),
        (format!("Cookie: fanout_token={good}\r\nOrigin: https://evil.example\r\n"), Refused::CookieOrigin),
    ] {
        let (visit, _) = knock(guarded(), LOCAL, upgrade("", &fields));
        assert_eq!(refused(&visit), [(reason, 1)], "{fields}");
    }
}

#[test]
fn a_file_of_keys_that_has_become_unusable_is_counted_and_changes_nothing() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let secret = BASE64.encode(SECRET);
    fs::write(&path, format!("{{\"keys\":[{{\"kty\":\"oct\",\"k\":\"{secret}\"}}]}}")).unwrap();
    let site = Site { keyring: Some(RefCell::new(Keyring::open(None, Some(&path)).unwrap())), ..guarded() };
    fs::write(&path, "{").unwrap();
    let good = token("alice", &[], Duration::ZERO);
    let (visit, outcome) = knock(site, LOCAL, upgrade(&format!("?token={good}"), ""));
    assert!(outcome.is_ok(), "the key is what it was");
    assert_eq!(visit.front.site.metrics().entrance.key_reloads_failed.get(), 1);
}

#[test]
fn who_passes_the_private_door_is_asked_for_no_other_token() {
    let mut site = guarded();
    site.families[0].access = Access::PrivateDoor;
    let request = upgrade("", "").replace("a.example", "localhost:8084");
    assert!(knock(site, LOCAL, request).1.is_ok());
}
