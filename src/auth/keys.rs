//! The keys that tokens are checked with: one shared secret, a set in JWKS form (RFC 7517), or both.

use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use std::fmt;
use std::io;

/// A shorter secret than its hash can be guessed from one token at home (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// RSA keys of less than 2048 bits can be broken (RFC 7518 §3.3).
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// A point of P-256: a mark and two numbers of 32 bytes (SEC 1 §2.3.3).
const P256_POINT_BYTES: usize = 65;

/// Keys at a time. A token without `kid` may be tried with each of its algorithm, and an issuer that rotates has three.
const KEYS_MAX: usize = 32;

/// What tokens may be signed with.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

/// One key and what it is for.
#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// Why keys cannot be used. Never repeats any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadKeys {
    /// The file cannot be read.
    Unreadable(io::ErrorKind),
    /// It is a directory, a pipe, a device or the like.
    NoFile,
    /// The file has more than 64 KiB.
    TooLong,
    /// It is not a JWKS; this line and column are where that shows.
    NotJwks(usize, usize),
    /// The key at this place, counted from 1, is damaged.
    Malformed(usize),
    /// The key at this place, counted from 1, is so short that it can be broken.
    Short(usize),
    /// More than 32.
    TooMany,
    /// None is for checking tokens with HS256, RS256 or ES256.
    NoneUsable,
}

impl fmt::Display for BadKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(formatter, "it cannot be read ({kind})"),
            Self::NoFile => formatter.write_str("it is no regular file"),
            Self::TooLong => formatter.write_str("it is longer than 64 KiB"),
            Self::NotJwks(line, column) => {
                write!(formatter, "it is not a JWKS, {{\"keys\":[…]}}, as line {line}, column {column} shows")
            }
            Self::Malformed(place) => write!(formatter, "key number {place} is damaged"),
            Self::Short(place) => {
                write!(
                    formatter,
                    "key number {place} is too short: 32 bytes for HS256 and 2048 bits for RS256 at least"
                )
            }
            Self::TooMany => write!(formatter, "it has more than {KEYS_MAX} keys"),
            Self::NoneUsable => formatter.write_str("none of its keys is for signatures with HS256, RS256 or ES256"),
        }
    }
}

impl std::error::Error for BadKeys {}

impl Keys {
    /// A secret that is shared with whoever issues tokens, for HS256. It is good for tokens with any `kid` and without.
    pub fn of_secret(secret: &str) -> Self {
        assert!(secret.len() >= SECRET_BYTES_MIN, "the configuration takes no shorter secret");
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Self(vec![Key { id: None, algorithm: Algorithm::HS256, decoding }])
    }

    /// The keys of a set that are for checking tokens; others, of other kinds or for encryption, are passed over.
    pub fn of_jwks(text: &str) -> Result<Self, BadKeys> {
        // What the parser says would repeat what it has found: a secret, perhaps.
        let set: JwkSet = serde_json::from_str(text).map_err(|error| BadKeys::NotJwks(error.line(), error.column()))?;
        let keys: Result<Vec<Option<Key>>, BadKeys> =
            set.keys.iter().enumerate().map(|(index, jwk)| Key::of(jwk, index + 1)).collect();
        let keys: Vec<Key> = keys?.into_iter().flatten().collect();
        match keys.len() {
            0 => Err(BadKeys::NoneUsable),
            1..=KEYS_MAX => Ok(Self(keys)),
            _ => Err(BadKeys::TooMany),
        }
    }

    /// These and those.
    #[must_use]
    pub fn and(&self, others: Self) -> Self {
        Self(self.0.iter().cloned().chain(others.0).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys a token with this header may have been signed with. A key without a name may be meant by any.
    pub(super) fn candidates(&self, algorithm: Algorithm, id: Option<&str>) -> impl Iterator<Item = &DecodingKey> {
        let is_meant = move |key: &&Key| {
            let is_named = id.is_none_or(|id| key.id.as_deref().is_none_or(|own| own == id));
            key.algorithm == algorithm && is_named
        };
        self.0.iter().filter(is_meant).map(|key| &key.decoding)
    }
}

impl Key {
    /// The key at this place of a set; `None` if it is for something else than checking tokens.
    fn of(jwk: &Jwk, place: usize) -> Result<Option<Self>, BadKeys> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
            _ => return Ok(None),
        };
        if !is_for(&jwk.common, algorithm) {
            return Ok(None);
        }
        let decoding = DecodingKey::from_jwk(jwk).map_err(|_| BadKeys::Malformed(place))?;
        match (algorithm, bytes_of(&decoding)) {
            (Algorithm::HS256, ..SECRET_BYTES_MIN) | (Algorithm::RS256, ..RSA_MODULUS_BYTES_MIN) => {
                Err(BadKeys::Short(place))
            }
            (Algorithm::ES256, bytes) if bytes != P256_POINT_BYTES => Err(BadKeys::Malformed(place)),
            _ => Ok(Some(Self { id: jwk.common.key_id.clone(), algorithm, decoding })),
        }
    }
}

/// Whether a key may be used to check this kind of signature (RFC 7517 §4.2 to §4.4).
fn is_for(common: &CommonParameters, algorithm: Algorithm) -> bool {
    let is_of_algorithm = common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let is_for_signatures = common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let checks = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
    is_of_algorithm && is_for_signatures && common.key_operations.as_ref().is_none_or(checks)
}

/// How long the secret, the modulus or the point is.
fn bytes_of(key: &DecodingKey) -> usize {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len(),
    }
}
