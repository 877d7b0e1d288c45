//! One token: what it must be to open the door.

use super::identity::Identity;
use super::keys::Keys;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// How far the clock of whoever issues tokens may be ahead: a token must be good the moment it was made. `exp` gets no
/// such grace.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(2);

/// Why a token opens nothing. All of it is answered with 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadToken {
    /// There is none.
    Missing,
    /// It is no JWT, or its claims are not what they must be.
    Malformed,
    /// It demands extensions that nobody here knows (RFC 7515 §4.1.11).
    Critical,
    /// No key is for its algorithm and `kid`.
    UnknownKey,
    /// It was not signed with the key, or was changed since.
    WrongSignature,
    /// It has no `exp`.
    Endless,
    /// It has no `sub`.
    Nameless,
    /// Its `exp` has passed.
    Expired,
    /// Its `nbf` is still to come.
    NotYetValid,
}

impl BadToken {
    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Missing => {
                "send Authorization: Bearer, the subprotocols fanout.token and fanout.token.<token>, the cookie \
                 fanout_token, or the parameter token"
            }
            Self::Malformed => "send a JWT: three parts in base64url, claims sub (text) and exp (seconds since 1970)",
            Self::Critical => "leave crit out of the token's header",
            Self::UnknownKey => "sign with HS256, RS256 or ES256 and a key the server has; its kid must match",
            Self::WrongSignature => "sign with the key of this server, and send the token as it was made",
            Self::Endless => "give the token an exp: when it expires, in seconds since 1970",
            Self::Nameless => "give the token a sub: whom it is for",
            Self::Expired => "get a new token, and compare the clocks",
            Self::NotYetValid => "wait until its nbf, and compare the clocks",
        }
    }
}

impl fmt::Display for BadToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "a token is required",
            Self::Malformed => "the token is malformed",
            Self::Critical => "the token demands an unknown extension",
            Self::UnknownKey => "no key of this server is for the token",
            Self::WrongSignature => "the token's signature is wrong",
            Self::Endless => "the token has no exp",
            Self::Nameless => "the token has no sub",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
        })
    }
}

impl std::error::Error for BadToken {}

/// The claims that count (RFC 7519 §4.1); others are passed over. Times are seconds since 1970, with fractions.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    #[serde(default)]
    usernames: Vec<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// Checks a token: who brings it, at `now` since 1970 by the wall clock?
pub fn verify(token: &str, keys: &Keys, now: Duration) -> Result<Identity, BadToken> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| BadToken::Malformed)?;
    if header.crit.is_some() {
        return Err(BadToken::Critical);
    }
    let mut bad = BadToken::UnknownKey;
    for key in keys.candidates(header.alg, header.kid.as_deref()) {
        match signed_claims(token, header.alg, key) {
            Ok(claims) => return claims.identity(now),
            Err(BadToken::WrongSignature) => bad = BadToken::WrongSignature,
            Err(other) => return Err(other),
        }
    }
    Err(bad)
}

/// The claims, if this key has signed them.
fn signed_claims(token: &str, algorithm: Algorithm, key: &DecodingKey) -> Result<Claims, BadToken> {
    // Times are judged by the clock that was handed in, and this server is no audience of its own.
    let mut validation = Validation::new(algorithm);
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    validation.required_spec_claims.clear();
    match jsonwebtoken::decode(token, key, &validation) {
        Ok(decoded) => Ok(decoded.claims),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => Err(BadToken::WrongSignature),
        Err(_) => Err(BadToken::Malformed),
    }
}

impl Claims {
    fn identity(self, now: Duration) -> Result<Identity, BadToken> {
        let expires = moment(self.exp.ok_or(BadToken::Endless)?)?;
        let begins = self.nbf.map_or(Ok(Duration::ZERO), moment)?;
        let subject = self.sub.filter(|name| !name.is_empty()).ok_or(BadToken::Nameless)?;
        if now >= expires {
            return Err(BadToken::Expired);
        }
        if begins > now.saturating_add(CLOCK_AHEAD_MAX) {
            return Err(BadToken::NotYetValid);
        }
        Ok(Identity { subject, usernames: self.usernames, lifetime: expires.saturating_sub(now) })
    }
}

/// A `NumericDate` (RFC 7519 §2); what no clock will ever show is malformed.
fn moment(seconds: f64) -> Result<Duration, BadToken> {
    Duration::try_from_secs_f64(seconds).map_err(|_| BadToken::Malformed)
}
