//! Where something listens: a URL as it was typed, cut into what a request needs.

use super::template::Template;
use std::net::{SocketAddr, ToSocketAddrs};

/// The server's side of a URL.
#[derive(Clone, Debug)]
pub struct Target {
    /// Resolved once.
    pub address: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// Path and query, with the topic's place.
    pub path: Template,
}

impl Target {
    /// Reads `ws://host[:port][/path]`, for HTTP with `http://`; the port is 80 where none is given.
    ///
    /// # Errors
    /// One sentence, for what is no such URL and for a host that has no address.
    pub fn parse(scheme: &str, url: &Template) -> Result<Self, String> {
        let rest = url.0.strip_prefix(scheme).ok_or_else(|| format!("`{}` does not begin with {scheme}", url.0))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if path.contains(|letter: char| letter.is_ascii_whitespace() || letter.is_control()) {
            return Err(format!("`{}` holds a space or a control character", url.0));
        }
        Ok(Self { address: resolve(host, 80)?, host: host.to_owned(), path: Template(path) })
    }
}

/// The first address of `host[:port]`.
///
/// # Errors
/// One sentence, where there is none.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()));
    let full = if has_port { host.to_owned() } else { format!("{host}:{port}") };
    let addresses = full.to_socket_addrs().map_err(|error| format!("`{host}` is no address: {error}"))?;
    // `localhost` may be ::1 first, where most servers do not listen.
    let mut addresses: Vec<SocketAddr> = addresses.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| format!("`{host}` has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<(String, String), String> {
        let target = Target::parse("ws://", &Template(url.to_owned()))?;
        Ok((target.address.to_string(), target.path.0))
    }

    #[test]
    fn a_url_is_cut_into_address_and_path() {
        let table = [
            ("ws://127.0.0.1:8084/ws?username={user}", "127.0.0.1:8084", "/ws?username={user}"),
            ("ws://127.0.0.1", "127.0.0.1:80", "/"),
            ("ws://127.0.0.1:81?a=b", "127.0.0.1:81", "/?a=b"),
            ("ws://[::1]:81/", "[::1]:81", "/"),
        ];
        for (url, address, path) in table {
            assert_eq!(parsed(url), Ok((address.to_owned(), path.to_owned())), "{url}");
        }
        for url in ["http://127.0.0.1/", "127.0.0.1:80", "ws://", "ws://127.0.0.1:99999/", "ws://127.0.0.1/a b"] {
            assert!(parsed(url).is_err(), "{url}");
        }
    }
}
