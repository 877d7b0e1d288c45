//! Sets of keys: which of them count, and what is wrong with the others.

use super::signer::Signer;
use crate::auth::{BadKeys, Keys};
use serde_json::{Value, json};

fn with(mut jwk: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn check(set: &Value, expected: &Result<usize, BadKeys>) {
    assert_eq!(Keys::of_jwks(&set.to_string()).map(|keys| keys.len()), *expected, "{set}");
}

#[test]
fn keys_for_other_things_are_passed_over() {
    let (secret, rsa, curve) = (Signer::hs256().jwk("a"), Signer::rs256().jwk("b"), Signer::es256().jwk("c"));
    check(&json!({ "keys": [secret, rsa, curve], "more": 1 }), &Ok(3));
    for foreign in [
        with(rsa.clone(), &json!({ "use": "enc" })),
        with(rsa.clone(), &json!({ "alg": "RS512" })),
        with(rsa.clone(), &json!({ "alg": "RSA-OAEP" })),
        with(rsa.clone(), &json!({ "key_ops": ["encrypt"] })),
        with(secret.clone(), &json!({ "alg": "HS512" })),
        with(curve.clone(), &json!({ "crv": "P-384" })),
        with(curve.clone(), &json!({ "crv": "secp256k1", "alg": "ES256K" })),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
        json!({ "kty": "new", "kid": "x" }),
    ] {
        check(&json!({ "keys": [foreign, secret] }), &Ok(1));
        check(&json!({ "keys": [foreign] }), &Err(BadKeys::NoneUsable));
    }
    let verifying = json!({ "key_ops": ["verify", "sign"], "use": "sig", "alg": "RS256", "x5t": "x" });
    check(&json!({ "keys": [with(rsa, &verifying)] }), &Ok(1));
    check(&json!({ "keys": [] }), &Err(BadKeys::NoneUsable));
    check(&json!({ "keys": vec![secret.clone(); 32] }), &Ok(32));
    check(&json!({ "keys": vec![secret; 33] }), &Err(BadKeys::TooMany));
}

#[test]
fn keys_that_are_damaged_or_weak_are_refused() {
    let (secret, rsa, curve) = (Signer::hs256().jwk("a"), Signer::rs256().jwk("b"), Signer::es256().jwk("c"));
    for (weak, expected) in [
        (with(secret.clone(), &json!({ "k": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMQ" })), BadKeys::Short(2)),
        (with(rsa.clone(), &json!({ "n": "A".repeat(340) })), BadKeys::Short(2)),
        (with(secret.clone(), &json!({ "k": "*" })), BadKeys::Malformed(2)),
        (with(rsa, &json!({ "n": "not base64!" })), BadKeys::Malformed(2)),
        (with(curve, &json!({ "x": "AAAA" })), BadKeys::Malformed(2)),
    ] {
        check(&json!({ "keys": [secret, weak] }), &Err(expected));
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_without_its_secrets() {
    for text in
        ["", "{", "[]", "{\"keys\":{}}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"hush\"}", "hush", "{\"keys\":\"hush\"}"]
    {
        let bad = Keys::of_jwks(text).expect_err(text);
        assert!(matches!(bad, BadKeys::NotJwks(..)), "{text}: {bad:?}");
        assert!(!bad.to_string().contains("hush"), "{bad}");
    }
    let keys = Keys::of_secret("hush-hush-hush-hush-hush-hush-hush");
    assert!(!format!("{keys:?}").contains("hush"), "{keys:?}");
}
