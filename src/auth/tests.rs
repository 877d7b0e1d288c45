//! Tokens that open and tokens that do not, signed by another way than the server checks them.

mod carried;
mod keyring;
mod keys;
mod signer;

use super::{BadToken, Identity, Keys, issue, verify};
use serde_json::{Value, json};
use signer::Signer;
use std::time::Duration;

/// Some day in 2026.
const NOW: u64 = 1_790_000_000;

fn now() -> Duration {
    Duration::from_secs(NOW)
}

/// Claims of alice that are good for an hour, with these in addition or instead; `null` takes one away.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "sub": "alice", "exp": NOW + 3_600 });
    for (name, value) in changes.as_object().expect("claims are an object") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("claims are an object").retain(|_, value| !value.is_null());
    claims
}

fn alice(lifetime: Duration) -> Identity {
    Identity { subject: "alice".to_owned(), usernames: Vec::new(), lifetime }
}

#[test]
fn every_algorithm_opens_with_and_without_a_kid() {
    for signer in Signer::all() {
        let keys = Keys::of_jwks(&json!({ "keys": [signer.jwk("k1")] }).to_string()).unwrap();
        for header in [json!({}), json!({ "kid": "k1" }), json!({ "typ": "at+jwt", "cty": "x" })] {
            let token = signer.token(&header, &claims(&json!({})));
            assert_eq!(verify(&token, &keys, now()), Ok(alice(Duration::from_secs(3_600))), "{token}");
        }
        let token = signer.token(&json!({ "kid": "k2" }), &claims(&json!({})));
        assert_eq!(verify(&token, &keys, now()), Err(BadToken::UnknownKey), "{token}");
        let token = signer.another().token(&json!({ "kid": "k1" }), &claims(&json!({})));
        assert_eq!(verify(&token, &keys, now()), Err(BadToken::WrongSignature), "{token}");
    }
}

#[test]
fn a_set_finds_the_key_by_its_kid_and_tries_all_without_one() {
    let signers: Vec<Signer> = Signer::all().into_iter().flat_map(|signer| [signer.another(), signer]).collect();
    let set: Vec<Value> =
        signers.iter().enumerate().map(|(number, signer)| signer.jwk(&format!("k{number}"))).collect();
    let keys = Keys::of_jwks(&json!({ "keys": set }).to_string()).unwrap();
    for (number, signer) in signers.iter().enumerate() {
        for (header, expected) in [
            (json!({}), Ok(alice(Duration::from_secs(3_600)))),
            (json!({ "kid": format!("k{number}") }), Ok(alice(Duration::from_secs(3_600)))),
            (json!({ "kid": format!("k{}", number ^ 1) }), Err(BadToken::WrongSignature)),
            (json!({ "kid": format!("k{}", (number + 2) % 6) }), Err(BadToken::UnknownKey)),
        ] {
            let token = signer.token(&header, &claims(&json!({})));
            assert_eq!(verify(&token, &keys, now()), expected, "key {number}, {header}");
        }
    }
}

#[test]
fn a_shared_secret_and_a_set_are_good_together() {
    let (secret, signer) = ("a-secret-of-thirty-two-bytes-or-so", Signer::es256());
    let keys = Keys::of_secret(secret);
    let keys = keys.and(Keys::of_jwks(&json!({ "keys": [signer.jwk("k1")] }).to_string()).unwrap());
    let identity = Identity { usernames: vec!["bob".to_owned()], ..alice(Duration::from_millis(1_500)) };
    assert_eq!(verify(&issue(&identity, secret, now()), &keys, now()), Ok(identity));
    let token = Signer::hs256_with(secret).token(&json!({ "kid": "anything" }), &claims(&json!({})));
    assert!(verify(&token, &keys, now()).is_ok());
    assert!(verify(&signer.token(&json!({ "kid": "k1" }), &claims(&json!({}))), &keys, now()).is_ok());
}

#[test]
fn claims_decide_who_gets_in_and_for_how_long() {
    let signer = Signer::hs256();
    let keys = Keys::of_jwks(&json!({ "keys": [signer.jwk("k1")] }).to_string()).unwrap();
    for (changes, expected) in [
        (json!({}), Ok(3_600_000)),
        (json!({ "exp": NOW + 1 }), Ok(1_000)),
        (json!({ "exp": 1_790_000_000.25 }), Ok(250)),
        (json!({ "nbf": NOW }), Ok(3_600_000)),
        (json!({ "nbf": NOW + 2 }), Ok(3_600_000)),
        (json!({ "nbf": 0, "iat": NOW + 100, "aud": "somebody", "iss": [1], "channels": ["a"] }), Ok(3_600_000)),
        (json!({ "exp": NOW }), Err(BadToken::Expired)),
        (json!({ "exp": NOW - 1 }), Err(BadToken::Expired)),
        (json!({ "exp": 0 }), Err(BadToken::Expired)),
        (json!({ "nbf": NOW + 3 }), Err(BadToken::NotYetValid)),
        (json!({ "exp": null }), Err(BadToken::Endless)),
        (json!({ "sub": null }), Err(BadToken::Nameless)),
        (json!({ "sub": "" }), Err(BadToken::Nameless)),
        (json!({ "exp": "1999999999" }), Err(BadToken::Malformed)),
        (json!({ "exp": -1 }), Err(BadToken::Malformed)),
        (json!({ "exp": 1e300 }), Err(BadToken::Malformed)),
        (json!({ "nbf": "soon" }), Err(BadToken::Malformed)),
        (json!({ "sub": 7 }), Err(BadToken::Malformed)),
        (json!({ "sub": ["alice"] }), Err(BadToken::Malformed)),
        (json!({ "usernames": "bob" }), Err(BadToken::Malformed)),
        (json!({ "usernames": [1] }), Err(BadToken::Malformed)),
    ] {
        let token = signer.token(&json!({}), &claims(&changes));
        let found = verify(&token, &keys, now()).map(|identity| identity.lifetime.as_millis());
        assert_eq!(found, expected, "{changes}");
    }
}

#[test]
fn what_a_token_says_about_its_signature_is_not_believed() {
    let (rsa, secret) = (Signer::rs256(), Signer::hs256());
    let keys = Keys::of_jwks(&json!({ "keys": [rsa.jwk("k1"), secret.jwk("k2")] }).to_string()).unwrap();
    // The public half of a key pair, taken for a shared secret.
    let confused = Signer::hs256_with_bytes(&rsa.modulus()).token(&json!({ "kid": "k1" }), &claims(&json!({})));
    assert_eq!(verify(&confused, &keys, now()), Err(BadToken::UnknownKey));
    for (header, expected) in [
        (json!({ "alg": "none" }), BadToken::Malformed),
        (json!({ "alg": "None" }), BadToken::Malformed),
        (json!({ "alg": "HS512" }), BadToken::UnknownKey),
        (json!({ "alg": "RS256" }), BadToken::WrongSignature),
        (json!({ "alg": null }), BadToken::Malformed),
        (json!({ "crit": ["exp"] }), BadToken::Critical),
        (json!({ "kid": 7 }), BadToken::Malformed),
    ] {
        let token = secret.token(&header, &claims(&json!({})));
        assert_eq!(verify(&token, &keys, now()), Err(expected), "{header}");
    }
    let token = secret.token(&json!({}), &claims(&json!({})));
    let unsigned = &token[..=token.rfind('.').unwrap()];
    assert_eq!(verify(unsigned, &keys, now()), Err(BadToken::WrongSignature));
}

#[test]
fn no_token_with_a_changed_letter_opens() {
    let mut random = fastrand::Rng::with_seed(6);
    for signer in Signer::all() {
        let keys = Keys::of_jwks(&json!({ "keys": [signer.jwk("k1")] }).to_string()).unwrap();
        let token = signer.token(&json!({}), &claims(&json!({ "usernames": ["bob"] })));
        assert!(verify(&token, &keys, now()).is_ok());
        for place in 0..token.len() {
            let letter = char::from(random.u8(b'-'..=b'z'));
            if token[place..].starts_with(letter) {
                continue;
            }
            let changed = format!("{}{letter}{}", &token[..place], &token[place + 1..]);
            assert!(verify(&changed, &keys, now()).is_err(), "{letter} at {place} of {token}");
            assert!(verify(&token[..place], &keys, now()).is_err(), "{place} letters of {token}");
        }
    }
}

#[test]
fn garbage_is_answered_and_never_panics() {
    let keys = Keys::of_secret("a-secret-of-thirty-two-bytes-or-so");
    let mut random = fastrand::Rng::with_seed(7);
    let pieces = ["eyJhbGciOiJIUzI1NiJ9", "e30", ".", "..", "=", "", "eyJzdWIiOiJhIn0", "\u{e9}", "%", "AAAA"];
    for _ in 0..20_000 {
        let token: String = (0..random.usize(0..8)).map(|_| pieces[random.usize(..pieces.len())]).collect();
        assert!(verify(&token, &keys, now()).is_err(), "{token}");
    }
}

#[test]
fn a_username_is_the_subject_or_one_of_the_list_byte_by_byte() {
    let identity = Identity { usernames: vec!["bob".to_owned(), "b*".to_owned()], ..alice(Duration::ZERO) };
    for (username, expected) in [
        ("alice", true),
        ("bob", true),
        ("b*", true),
        ("Alice", false),
        ("alic", false),
        ("alice2", false),
        ("bobby", false),
        ("", false),
    ] {
        assert_eq!(identity.may_be(username), expected, "{username}");
    }
}
