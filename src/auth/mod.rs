//! Who gets in: JSON Web Tokens (RFC 7519), checked against the keys of this deployment.
//!
//! ```text
//! head, query ──► carried ──► token ──► verify ──► Identity ──► may it have this username?
//!                 four places           signature, exp, nbf, sub
//! ```
//!
//! - A key is for one algorithm only, whatever a token says about itself (RFC 8725 §3.1): HS256, RS256 or ES256.
//! - The signature is checked before a claim is read; the time is handed in.
//! - The cryptography is `jsonwebtoken`'s on aws-lc. Nothing here prints a token or a key.

mod carried;
mod identity;
mod issue;
mod keyring;
mod keys;
#[cfg(test)]
mod tests;
mod token;

pub use carried::{Carried, Carrier, MARKER, bearer, carried, offers_marker, password};
pub use identity::Identity;
pub use issue::issue;
pub use keyring::Keyring;
pub use keys::{BadKeys, Keys, SECRET_BYTES_MIN};
pub use token::{BadToken, verify};
