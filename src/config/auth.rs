//! Who may connect.

use super::args::Arguments;
use super::key::Key;
use super::refusal::{Refusal, Unfit};
use super::secret::Secret;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// As long as the hash it is for (RFC 7518 §3.2), and no longer than a head.
const SECRET_BYTES: RangeInclusive<usize> = 32..=4096;

/// Longest path (`PATH_MAX` of Linux, its end included).
const PATH_BYTES_MAX: usize = 4095;

/// Who is asked for a token, and what it is checked with.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Whether every WebSocket client needs one; then there is a secret or a file.
    pub is_required: bool,
    /// What tokens with HS256 are signed with: at least 32 bytes.
    pub secret: Option<Secret>,
    /// A file with a JWKS.
    pub keys: Option<PathBuf>,
}

impl Auth {
    /// Whether those who are asked for nothing may come to this address from other machines.
    pub fn leaves_open(&self, address: SocketAddr) -> bool {
        !self.is_required && !address.ip().to_canonical().is_loopback()
    }

    pub(super) fn of(arguments: &Arguments) -> Result<Self, Refusal> {
        let is_required = arguments.choice(Key::Auth, [("none", false), ("token", true)])?;
        let secret = arguments.optional(Key::JwtHs256Secret, secret)?;
        let keys = arguments.optional(Key::JwtKeys, path)?;
        if is_required && secret.is_none() && keys.is_none() {
            return Err(Refusal(format!(
                "{} asks for tokens, but there is nothing to check them with; set JWT_HS256_SECRET to 32 bytes or more, \
                 or --jwt-keys (JWT_KEYS) to a JWKS file",
                arguments.source(Key::Auth)
            )));
        }
        Ok(Self { is_required, secret, keys })
    }
}

fn secret(text: &str) -> Result<Secret, Unfit> {
    SECRET_BYTES.contains(&text.len()).then(|| Secret::new(text)).ok_or(Unfit::Shape)
}

fn path(text: &str) -> Result<PathBuf, Unfit> {
    let is_path = (1..=PATH_BYTES_MAX).contains(&text.len()) && !text.contains('\0');
    is_path.then(|| PathBuf::from(text)).ok_or(Unfit::Shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_asks_nobody_and_is_reached_from_elsewhere_is_open_to_strangers() {
        for (is_required, address, expected) in [
            (false, "127.0.0.1:8084", false),
            (false, "127.1.2.3:8084", false),
            (false, "[::1]:8084", false),
            (false, "[::ffff:127.0.0.1]:8084", false),
            (false, "0.0.0.0:8084", true),
            (false, "[::]:8084", true),
            (false, "10.0.0.1:8084", true),
            (false, "[2001:db8::1]:8084", true),
            (true, "0.0.0.0:8084", false),
        ] {
            let auth = Auth { is_required, secret: None, keys: None };
            assert_eq!(auth.leaves_open(address.parse().unwrap()), expected, "{is_required} {address}");
        }
    }
}
