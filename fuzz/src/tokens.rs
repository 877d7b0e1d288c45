//! Tokens and sets of keys, as `auth` reads them. Input is taken for each: for a token, for a set, and, cut at its first
//! line's end, for a header and claims that somebody has signed.
//!
//! - A token opens only if a key has signed it, which another reader of signatures says.
//! - Who gets in is whom the claims name, for as long as they say, which another reader of JSON says; a token that says
//!   it again opens to the same. With one letter changed it opens nothing.
//! - A set opens to what each of its secrets has signed, and not to what a stranger has.

use super::cuts;
use super::flux_client::{Object, string};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use fanout::auth::{Identity, Keys, SECRET_BYTES_MIN, issue, verify};
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;

/// Some day in 2026, since 1970.
const NOW: Duration = Duration::from_secs(1_790_000_000);

/// The deployment's keys: this secret, and one for each other algorithm in the set.
const SECRET: &str = "a-secret-of-thirty-two-bytes-or-so";
const SET: &str = include_str!("tokens/keys.json");

/// Somebody else's secret: in no set but by a miracle.
const STRANGERS_SECRET: &str = "another-deployment-has-this-secret";

/// Keys of one set at a time.
const KEYS_MAX: usize = 32;

/// Below this a lifetime may get lost where times are written as floating point.
const LIFETIME_MIN: Duration = Duration::from_millis(1);

thread_local! {
    static DEPLOYMENT: Deployment = Deployment::new();
}

/// The same keys as this server and another library hold them.
struct Deployment {
    keys: Keys,
    rsa: PublicKeyComponents<Vec<u8>>,
    curve: UnparsedPublicKey<Vec<u8>>,
    strangers_token: String,
}

/// Panics where one of the invariants does not hold.
pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    DEPLOYMENT.with(|deployment| {
        deployment.check_token(text);
        if let Some((header, claims)) = text.split_once('\n') {
            deployment.check_signed(header, claims);
        }
        deployment.check_set(text);
    });
}

impl Deployment {
    fn new() -> Self {
        let set: Value = serde_json::from_str(SET).expect("JSON");
        let [rsa, curve] = [0, 1].map(|place| &set["keys"][place]);
        let number = |key: &Value, name: &str| BASE64.decode(key[name].as_str().expect("text")).expect("base64");
        let point = [&[4], &number(curve, "x")[..], &number(curve, "y")].concat();
        Self {
            keys: Keys::of_secret(SECRET).and(Keys::of_jwks(SET).expect("two keys")),
            rsa: PublicKeyComponents { n: number(rsa, "n"), e: number(rsa, "e") },
            curve: UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point),
            strangers_token: sign(r#"{"alg":"HS256"}"#, r#"{"sub":"a","exp":9e9}"#, STRANGERS_SECRET.as_bytes()),
        }
    }

    fn check_token(&self, token: &str) {
        assert!(
            verify(token, &self.keys, NOW).is_err() || self.has_signed(token),
            "it opens, and nobody has signed it"
        );
    }

    fn has_signed(&self, token: &str) -> bool {
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let (message, signature) = (message.as_bytes(), BASE64.decode(signature).expect("base64"));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::verify(&secret, message, &signature).is_ok()
            || self.rsa.verify(&RSA_PKCS1_2048_8192_SHA256, message, &signature).is_ok()
            || self.curve.verify(message, &signature).is_ok()
    }

    fn check_signed(&self, header: &str, claims: &str) {
        let token = sign(header, claims, SECRET.as_bytes());
        let Ok(identity) = verify(&token, &self.keys, NOW) else { return };
        let header: Option<Object<'_>> = serde_json::from_str(header).ok();
        if let Some(header) = header {
            assert_eq!(string(header["alg"]).as_deref(), Some("HS256"));
            assert!(header.get("crit").is_none_or(|critical| critical.get() == "null"));
        }
        let claims: Option<Object<'_>> = serde_json::from_str(claims).ok();
        if let Some(claims) = claims {
            assert_eq!(identity, identity_slowly(&claims));
        }
        self.check_again(&identity);
        self.check_changed(token);
    }

    fn check_again(&self, identity: &Identity) {
        if identity.lifetime < LIFETIME_MIN {
            return;
        }
        let again = verify(&issue(identity, SECRET, NOW), &self.keys, NOW).expect("it was good a moment ago");
        // The last digit of a time may be another one.
        let tolerance = (NOW + identity.lifetime).mul_f64(1e-15);
        assert!(again.lifetime.abs_diff(identity.lifetime) <= tolerance, "{again:?} instead of {identity:?}");
        assert_eq!((&again.subject, &again.usernames), (&identity.subject, &identity.usernames));
    }

    fn check_changed(&self, mut token: String) {
        let mut random = cuts::random(token.as_bytes());
        let (place, letter) = (random.usize(..token.len()), char::from(random.u8(b'-'..=b'z')));
        if !token[place..].starts_with(letter) {
            token.replace_range(place..=place, letter.encode_utf8(&mut [0; 4]));
            assert!(verify(&token, &self.keys, NOW).is_err(), "{letter} at {place}");
        }
    }

    fn check_set(&self, text: &str) {
        let Ok(keys) = Keys::of_jwks(text) else { return };
        assert!((1..=KEYS_MAX).contains(&keys.len()));
        assert!(verify(&self.strangers_token, &keys, NOW).is_err(), "it opens to a stranger");
        check_secrets(text);
    }
}

/// Whom these claims name, and for how long: they open, so they are sound.
fn identity_slowly(claims: &Object<'_>) -> Identity {
    let seconds = |name: &str| claims.get(name).and_then(|value| serde_json::from_str(value.get()).ok());
    let begins = Duration::from_secs_f64(seconds("nbf").unwrap_or(0.0));
    assert!(begins <= NOW + Duration::from_secs(2), "it is not valid yet");
    let expires = Duration::from_secs_f64(seconds("exp").expect("it expires"));
    assert!(expires > NOW, "it has expired");
    let names = |list: &&RawValue| serde_json::from_str::<Vec<String>>(list.get()).expect("a list of names");
    let subject = string(claims["sub"]).expect("it is for somebody");
    assert_ne!(subject, "");
    Identity {
        subject,
        usernames: claims.get("usernames").map(names).unwrap_or_default(),
        lifetime: expires.checked_sub(NOW).expect("later than now"),
    }
}

/// A set, written so that no member stands in it twice, opens to what its secrets sign.
fn check_secrets(text: &str) {
    let Ok(set) = serde_json::from_str::<Value>(text) else { return };
    let Ok(keys) = Keys::of_jwks(&set.to_string()) else { return };
    for key in set["keys"].as_array().into_iter().flatten().filter_map(Value::as_object) {
        let is_secret = key.get("kty").is_some_and(|kind| kind == "oct");
        let is_plain = is_secret && key.keys().all(|name| ["kty", "k", "kid"].contains(&name.as_str()));
        let secret = key.get("k").and_then(Value::as_str).and_then(|text| BASE64.decode(text).ok());
        let Some(secret) = secret.filter(|secret| is_plain && secret.len() >= SECRET_BYTES_MIN) else { continue };
        let header = serde_json::json!({ "alg": "HS256", "kid": key.get("kid") });
        let token = sign(&header.to_string(), r#"{"sub":"a","exp":9e9}"#, &secret);
        assert!(verify(&token, &keys, NOW).is_ok(), "it does not open to its own {key:?}");
    }
}

/// A token with this header and these claims, signed with HS256 whatever it says.
fn sign(header: &str, claims: &str, secret: &[u8]) -> String {
    let mut token = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), token.as_bytes());
    token.push('.');
    BASE64.encode_string(signature, &mut token);
    token
}
