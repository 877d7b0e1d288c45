//! Where Redis is and who we are to it.

use super::secret::{HIDDEN, Secret};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The port of a Redis that names none.
pub const REDIS_PORT: u16 = 6379;

/// Longest host name (RFC 1035 §2.3.4, without the final dot).
const HOST_BYTES_MAX: usize = 253;

/// Address and credentials of a Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// A name, resolved again at each attempt, or an IP address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// The ACL user; `None` is Redis' user `default`.
    pub username: Option<String>,
    /// `None`: no `AUTH` is sent.
    pub password: Option<Secret>,
}

impl RedisAddress {
    /// Reads `redis://[user[:password]@]host[:port][/db]`, percent-decoded. The database number is checked and
    /// forgotten: pub/sub knows no databases (redis.io/docs, "Pub/Sub").
    pub fn parse_url(url: &str) -> Result<Self, InvalidRedisUrl> {
        let rest = after_scheme(url)?;
        if rest.contains(['?', '#']) {
            return Err(InvalidRedisUrl::Query);
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(InvalidRedisUrl::Database);
        }
        // The last `@`: passwords with a bare `@` in them are common.
        let (credentials, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (username, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (host, port) = host_and_port(address)?;
        Ok(Self { host, port, username: decoded(username)?, password: decoded(password)?.map(Secret::new) })
    }
}

impl fmt::Display for RedisAddress {
    /// As a URL without its secrets. A user without a password is hidden too: some write the password there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redis://")?;
        match (&self.username, &self.password) {
            (None, None) => {}
            (Some(username), Some(_)) => write!(f, "{username}:{HIDDEN}@")?,
            (None, Some(_)) => write!(f, ":{HIDDEN}@")?,
            (Some(_), None) => write!(f, "{HIDDEN}@")?,
        }
        let (left, right) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{left}{}{right}:{}", self.host, self.port)
    }
}

/// Why a Redis URL is refused. No variant carries text of the URL: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidRedisUrl {
    /// `rediss://`.
    Tls,
    /// `unix://`, `redis+unix://` or a path.
    UnixSocket,
    /// Any other scheme, or none.
    Scheme,
    /// Parameters behind `?` or `#`.
    Query,
    /// A database that is not a number.
    Database,
    /// No host, or not one.
    Host,
    /// Not 1 to 65535.
    Port,
    /// A broken percent escape, or not UTF-8 behind it.
    Escape,
}

impl fmt::Display for InvalidRedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS to Redis (rediss://) is not supported yet: run a TLS proxy such as stunnel beside the server and give its redis:// address",
            Self::UnixSocket => "unix sockets are not supported: let Redis listen on a loopback port and give redis://127.0.0.1:6379",
            Self::Scheme => "the scheme is not redis://",
            Self::Query => "parameters after ? or # are not understood (escape them as %3F and %23 inside a password)",
            Self::Database => "the database is not a number",
            Self::Host => "the host is missing or not a host name or IP address",
            Self::Port => "the port is not a number from 1 to 65535",
            Self::Escape => "a percent escape is broken (write a bare % as %25)",
        })
    }
}

/// Whether this can be looked up or is an IP address without brackets.
pub fn is_host(text: &str) -> bool {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.parse::<IpAddr>().is_ok() || (1..=HOST_BYTES_MAX).contains(&text.len()) && text.bytes().all(name)
}

fn after_scheme(url: &str) -> Result<&str, InvalidRedisUrl> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match scheme.to_ascii_lowercase().as_str() {
        "redis" => Ok(rest),
        "rediss" => Err(InvalidRedisUrl::Tls),
        "unix" | "redis+unix" | "redis+socket" => Err(InvalidRedisUrl::UnixSocket),
        "" if rest.starts_with('/') => Err(InvalidRedisUrl::UnixSocket),
        _ => Err(InvalidRedisUrl::Scheme),
    }
}

fn host_and_port(address: &str) -> Result<(String, u16), InvalidRedisUrl> {
    let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']').ok_or(InvalidRedisUrl::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| InvalidRedisUrl::Host)?;
        let port = if port.is_empty() { "" } else { port.strip_prefix(':').ok_or(InvalidRedisUrl::Port)? };
        (host, port)
    } else {
        let (host, port) = address.split_once(':').unwrap_or((address, ""));
        if !is_host(host) {
            return Err(InvalidRedisUrl::Host);
        }
        (host, port)
    };
    let port = match port {
        "" => REDIS_PORT,
        digits => digits.parse().ok().filter(|port| *port != 0).ok_or(InvalidRedisUrl::Port)?,
    };
    Ok((host.to_owned(), port))
}

/// Decodes percent escapes strictly; nothing is `None`.
fn decoded(text: &str) -> Result<Option<String>, InvalidRedisUrl> {
    let is_escape = |after: &str| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_escape) {
        return Err(InvalidRedisUrl::Escape);
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| InvalidRedisUrl::Escape)?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{InvalidRedisUrl, RedisAddress};

    fn parts(url: &str) -> Result<String, InvalidRedisUrl> {
        let address = RedisAddress::parse_url(url)?;
        let user = address.username.as_deref().unwrap_or("-");
        let password = address.password.as_ref().map_or("-", |secret| secret.expose());
        Ok(format!("{} {} {user} {password}", address.host, address.port))
    }

    #[test]
    fn urls_fall_into_their_parts() {
        let table = [
            ("redis://localhost", Ok("localhost 6379 - -")),
            ("REDIS://localhost/", Ok("localhost 6379 - -")),
            ("redis://10.0.0.1:7000/3", Ok("10.0.0.1 7000 - -")),
            ("redis://:hush@h", Ok("h 6379 - hush")),
            ("redis://user@h", Ok("h 6379 user -")),
            ("redis://us%65r:p%40ss%2F@h:1", Ok("h 1 user p@ss/")),
            ("redis://user:p@ss@h", Ok("h 6379 user p@ss")),
            ("redis://:a:b@h", Ok("h 6379 - a:b")),
            ("redis://[::1]:6380", Ok("::1 6380 - -")),
            ("redis://[::1]", Ok("::1 6379 - -")),
            ("rediss://h", Err(InvalidRedisUrl::Tls)),
            ("unix:///run/redis.sock", Err(InvalidRedisUrl::UnixSocket)),
            ("/run/redis.sock", Err(InvalidRedisUrl::UnixSocket)),
            ("http://h", Err(InvalidRedisUrl::Scheme)),
            ("localhost:6379", Err(InvalidRedisUrl::Scheme)),
            ("redis://", Err(InvalidRedisUrl::Host)),
            ("redis://:6379", Err(InvalidRedisUrl::Host)),
            ("redis://:a/b@h", Err(InvalidRedisUrl::Database)),
            ("redis://a b", Err(InvalidRedisUrl::Host)),
            ("redis://[::1", Err(InvalidRedisUrl::Host)),
            ("redis://[::1]6379", Err(InvalidRedisUrl::Port)),
            ("redis://h:0", Err(InvalidRedisUrl::Port)),
            ("redis://h:65536", Err(InvalidRedisUrl::Port)),
            ("redis://h/x", Err(InvalidRedisUrl::Database)),
            ("redis://h?db=1", Err(InvalidRedisUrl::Query)),
            ("redis://:%zz@h", Err(InvalidRedisUrl::Escape)),
            ("redis://:%f@h", Err(InvalidRedisUrl::Escape)),
            ("redis://:%ff@h", Err(InvalidRedisUrl::Escape)),
        ];
        for (url, expected) in table {
            assert_eq!(parts(url), expected.map(str::to_owned), "{url}");
        }
    }

    #[test]
    fn a_printed_address_hides_what_may_be_a_password() {
        let table = [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://:hush@[::1]", "redis://:***@[::1]:6379"),
            ("redis://user:hush@h", "redis://user:***@h:6379"),
            ("redis://hush@h", "redis://***@h:6379"),
        ];
        for (url, expected) in table {
            let address = RedisAddress::parse_url(url).expect(url);
            assert_eq!(address.to_string(), expected, "{url}");
        }
    }

    #[test]
    fn random_urls_never_panic() {
        let mut random = fastrand::Rng::with_seed(3);
        let pieces = ["redis", "://", ":", "@", "/", "[", "]", "::1", "%", "%41", "é", "host", "6379", "?", ".", " "];
        for _ in 0..50_000 {
            let url: String = (0..random.usize(0..12)).map(|_| pieces[random.usize(0..pieces.len())]).collect();
            let _ = RedisAddress::parse_url(&url);
            let _ = RedisAddress::parse_url(&format!("redis://{url}"));
        }
    }
}
