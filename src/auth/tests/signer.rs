//! Whoever issues tokens: signs with aws-lc itself, and puts a token together by hand.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

pub(super) enum Signer {
    Hs256(Vec<u8>),
    Rs256(Box<RsaKeyPair>),
    Es256(EcdsaKeyPair),
}

impl Signer {
    pub(super) fn all() -> [Self; 3] {
        [Self::hs256(), Self::rs256(), Self::es256()]
    }

    pub(super) fn hs256() -> Self {
        let mut secret = vec![0; 32];
        aws_lc_rs::rand::fill(&mut secret).unwrap();
        Self::Hs256(secret)
    }

    pub(super) fn hs256_with(secret: &str) -> Self {
        Self::hs256_with_bytes(secret.as_bytes())
    }

    pub(super) fn hs256_with_bytes(secret: &[u8]) -> Self {
        Self::Hs256(secret.to_vec())
    }

    pub(super) fn rs256() -> Self {
        Self::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(super) fn es256() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        Self::Es256(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap())
    }

    /// One of the same algorithm with another key.
    pub(super) fn another(&self) -> Self {
        match self {
            Self::Hs256(_) => Self::hs256(),
            Self::Rs256(_) => Self::rs256(),
            Self::Es256(_) => Self::es256(),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
        }
    }

    /// The modulus of an RSA key.
    pub(super) fn modulus(&self) -> Vec<u8> {
        let Self::Rs256(pair) = self else { panic!("only RSA has a modulus") };
        RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key()).n
    }

    /// What is needed to check its signatures, as a member of a JWKS.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Hs256(secret) => json!({ "kty": "oct", "k": BASE64.encode(secret) }),
            Self::Rs256(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": BASE64.encode(public.n), "e": BASE64.encode(public.e), "use": "sig" })
            }
            Self::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y), "alg": "ES256" })
            }
        };
        jwk["kid"] = json!(kid);
        jwk
    }

    /// A token with these claims; members of `header` stand beside `alg` or instead of it, `null` takes one away.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let mut whole = json!({ "alg": self.algorithm(), "typ": "JWT" });
        for (name, value) in header.as_object().unwrap() {
            whole[name] = value.clone();
        }
        whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let message = format!("{}.{}", BASE64.encode(whole.to_string()), BASE64.encode(claims.to_string()));
        let signature = BASE64.encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Hs256(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }
}
