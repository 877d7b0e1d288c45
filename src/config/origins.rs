//! Which web pages may connect.

use super::redis::is_host;
use std::fmt;
use std::net::Ipv6Addr;

/// Origins listed at most; each upgrade compares with all of them.
pub const ORIGINS_MAX: usize = 64;

/// The pages a browser may connect from, by their `Origin` header (RFC 6454 §6.2, RFC 6455 §10.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every page, and clients without an `Origin`.
    Any,
    /// These, in lower case and without default ports, as browsers write them.
    Listed(Vec<String>),
}

impl Origins {
    /// Reads `*` or a comma list of `scheme://host[:port]`. The error is the entry that is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigins> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let mut listed = Vec::new();
        for entry in text.split(',').map(str::trim) {
            let origin = origin(entry).ok_or_else(|| InvalidOrigins::Entry(entry.to_owned()))?;
            if listed.len() == ORIGINS_MAX {
                return Err(InvalidOrigins::TooMany);
            }
            listed.push(origin);
        }
        Ok(Self::Listed(listed))
    }

    /// The origins that may connect; `None` is any.
    pub fn listed(&self) -> Option<&[String]> {
        match self {
            Self::Any => None,
            Self::Listed(listed) => Some(listed),
        }
    }

    /// Whether a page with this `Origin` header may connect; letter case does not matter.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => listed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)),
        }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Listed(listed) => f.write_str(&listed.join(",")),
        }
    }
}

/// Why a list of origins is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidOrigins {
    /// This entry is not an origin.
    Entry(String),
    /// More than [`ORIGINS_MAX`].
    TooMany,
}

impl fmt::Display for InvalidOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(entry) if entry.is_empty() => f.write_str("an entry is empty"),
            Self::Entry(entry) if entry.ends_with('/') => {
                write!(f, "{entry} ends with a slash, which no browser sends")
            }
            Self::Entry(entry) => write!(f, "{entry} is not an origin"),
            Self::TooMany => write!(f, "more than {ORIGINS_MAX} are listed"),
        }
    }
}

/// One origin as browsers serialise it (RFC 6454 §6.2): lower case, default port left out.
fn origin(entry: &str) -> Option<String> {
    let entry = entry.to_ascii_lowercase();
    let (scheme, authority) = entry.split_once("://")?;
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(letters) {
        return None;
    }
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[after_host..].find(':') {
        Some(colon) => (&authority[..after_host + colon], Some(&authority[after_host + colon + 1..])),
        None => (authority, None),
    };
    let is_address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::parse::<Ipv6Addr>);
    if !is_address.map_or_else(|| is_host(host) && !host.contains(':'), |address| address.is_ok()) {
        return None;
    }
    match port.map(|digits| digits.parse::<u16>().ok().filter(|port| *port != 0)) {
        None => Some(format!("{scheme}://{host}")),
        Some(port) => match (scheme, port?) {
            ("http", 80) | ("https", 443) => Some(format!("{scheme}://{host}")),
            (_, port) => Some(format!("{scheme}://{host}:{port}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Origins;

    #[test]
    fn origins_read_as_browsers_write_them() {
        let table = [
            ("*", Ok("*")),
            ("https://a.example", Ok("https://a.example")),
            ("HTTPS://A.Example:443", Ok("https://a.example")),
            ("http://localhost:5173, http://[::1]:80", Ok("http://localhost:5173,http://[::1]")),
            ("chrome-extension://abc", Ok("chrome-extension://abc")),
            ("https://a.example/", Err("https://a.example/ ends with a slash, which no browser sends")),
            ("a.example", Err("a.example is not an origin")),
            ("https://a.example,*", Err("* is not an origin")),
            ("https://a.example,", Err("an entry is empty")),
            ("https://", Err("https:// ends with a slash, which no browser sends")),
            ("https://a:0", Err("https://a:0 is not an origin")),
            ("https://a:", Err("https://a: is not an origin")),
            ("https://ä.example", Err("https://ä.example is not an origin")),
            ("https://user@a", Err("https://user@a is not an origin")),
            ("https://::1", Err("https://::1 is not an origin")),
            ("1s://a", Err("1s://a is not an origin")),
        ];
        for (text, expected) in table {
            let outcome =
                Origins::parse(text).map(|origins| origins.to_string()).map_err(|invalid| invalid.to_string());
            assert_eq!(outcome, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        assert!(Origins::parse(&vec!["https://a"; 65].join(",")).is_err());
    }

    #[test]
    fn only_listed_pages_may_connect() {
        let listed = Origins::parse("https://a.example").expect("valid");
        for (origin, expected) in
            [("https://a.example", true), ("https://A.example", true), ("http://a.example", false), ("null", false)]
        {
            assert_eq!(listed.allow(origin), expected, "{origin}");
            assert!(Origins::Any.allow(origin));
        }
    }

    #[test]
    fn random_lists_never_panic() {
        let mut random = fastrand::Rng::with_seed(4);
        let pieces = ["http", "://", ":", "@", "/", "[", "]", "::1", "é", "host", "80", ",", "*", " "];
        for _ in 0..50_000 {
            let text: String = (0..random.usize(0..12)).map(|_| pieces[random.usize(0..pieces.len())]).collect();
            let _ = Origins::parse(&text);
        }
    }
}
