//! Where a server is, as a client of it is told: `http(s)://host[:port][/base]`.

use super::refusal::Refusal;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tungstenite::http::Uri;

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether what is said is encrypted.
    pub scheme: Scheme,
    /// A name or an address; one of IPv6 without its brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// What stands before every path of the server: empty, or a slash and more without one at the end.
    pub base: String,
}

/// Whether what is said is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As it is: `http`, `ws`.
    Plain,
    /// By TLS: `https`, `wss`.
    Tls,
}

impl Url {
    /// Reads what a person types; `ws` and `wss` are taken for `http` and `https`. `None` for anything that has more,
    /// such as a password or a query.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let (scheme, usual) = match uri.scheme_str()? {
            "http" | "ws" => (Scheme::Plain, 80),
            "https" | "wss" => (Scheme::Tls, 443),
            _ => return None,
        };
        let authority = uri.authority()?;
        // A `:` without a number behind it is no port, and one that is too large is none either.
        let is_whole = !authority.as_str().contains('@') && !authority.as_str().ends_with(':');
        let says_port = authority.as_str().len() > authority.host().len();
        let port = if says_port { authority.port_u16()? } else { usual };
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        let is_place = is_whole && !host.is_empty() && port > 0 && uri.query().is_none();
        is_place.then(|| Self { scheme, host, port, base: uri.path().trim_end_matches('/').to_owned() })
    }

    /// The same of what stands behind a flag.
    ///
    /// # Errors
    /// A sentence that does not repeat it: some would write a password into it.
    pub(super) fn typed(flag: &str, text: &str) -> Result<Self, Refusal> {
        let shape = "does not name a server; allowed: http(s)://host[:port][/base] without user and query";
        Self::parse(text).ok_or_else(|| Refusal(format!("--{flag} {shape}")))
    }

    /// The server that listens there, as this machine reaches it; `None` where the kernel chooses the port.
    pub fn of_listener(listen: SocketAddr) -> Option<Self> {
        let (ip, port) = (reachable(listen).ip(), listen.port());
        (port > 0).then(|| Self { scheme: Scheme::Plain, host: ip.to_string(), port, base: String::new() })
    }

    /// Where a page is: `path` begins with a slash and may have a query behind it.
    pub fn page(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// Where WebSocket clients connect.
    pub fn websocket(&self, path: &str) -> String {
        let page = self.page(path);
        format!("ws{}", page.strip_prefix("http").expect("it begins with its scheme"))
    }
}

/// Who listens on every address of the machine is reached by the loopback one.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.scheme == Scheme::Tls { "https" } else { "http" };
        let Self { host, port, base, .. } = self;
        if host.contains(':') {
            write!(formatter, "{scheme}://[{host}]:{port}{base}")
        } else {
            write!(formatter, "{scheme}://{host}:{port}{base}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn a_server_is_named_by_scheme_host_port_and_base() {
        for (text, expected) in [
            ("http://localhost", Some("http://localhost:80")),
            ("http://localhost:8084/", Some("http://localhost:8084")),
            ("https://fanout.example", Some("https://fanout.example:443")),
            ("wss://fanout.example/events/", Some("https://fanout.example:443/events")),
            ("ws://[::1]:8084", Some("http://[::1]:8084")),
            ("http://[::1]", Some("http://[::1]:80")),
            ("http://10.0.0.1:1/a/b", Some("http://10.0.0.1:1/a/b")),
            ("localhost:8084", None),
            ("localhost", None),
            ("/base", None),
            ("", None),
            ("ftp://localhost", None),
            ("http://user:secret@localhost", None),
            ("http://localhost?a=b", None),
            ("http://localhost:0", None),
            ("http://localhost:", None),
            ("http://localhost:65536", None),
            ("http://:80", None),
            ("http://local host", None),
        ] {
            let url = Url::parse(text);
            assert_eq!(url.as_ref().map(ToString::to_string).as_deref(), expected, "{text}");
            assert_eq!(
                url.and_then(|url| Url::parse(&url.websocket(""))).map(|url| url.to_string()).as_deref(),
                expected
            );
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_is_reached_on_this_machine() {
        for (listen, expected) in [
            ("0.0.0.0:8084", Some("http://127.0.0.1:8084")),
            ("[::]:8084", Some("http://[::1]:8084")),
            ("10.0.0.1:80", Some("http://10.0.0.1:80")),
            ("127.0.0.1:0", None),
        ] {
            let url = Url::of_listener(listen.parse().unwrap());
            assert_eq!(url.map(|url| url.to_string()).as_deref(), expected, "{listen}");
        }
    }
}
