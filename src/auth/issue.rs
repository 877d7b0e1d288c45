//! Tokens of our own making, for tests: `fanout token`.

use super::identity::Identity;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use std::time::Duration;

/// Makes a token that says this, from `now` since 1970 on, signed with HS256 and this secret.
pub fn issue(identity: &Identity, secret: &str, now: Duration) -> String {
    let mut claims = json!({
        "sub": identity.subject,
        "iat": now.as_secs(),
        "exp": now.saturating_add(identity.lifetime).as_secs_f64(),
    });
    if !identity.usernames.is_empty() {
        claims["usernames"] = json!(identity.usernames);
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("a secret signs every claim")
}
