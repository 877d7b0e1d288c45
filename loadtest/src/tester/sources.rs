//! The addresses that connections come from: one has only so many ports.

use super::plan::Source;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Connections that share one source address: under half of the source ports that Linux has for one (28 232), so that
/// those of an earlier run which still linger are no obstacle.
const CONNECTIONS_PER_SOURCE: u32 = 10_000;

/// The address for one connection; `None` leaves it to the system.
pub(crate) fn source(source: &Source, server: SocketAddr, connection: u32) -> Option<SocketAddr> {
    let turn = connection / CONNECTIONS_PER_SOURCE;
    let address = match (source, server.ip()) {
        // The first ones are 127.0.0.1 in any case, and the system finds a port sooner when it knows both ends.
        (Source::Auto, IpAddr::V4(server)) if server.is_loopback() && turn > 0 => {
            IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + turn))
        }
        (Source::Addresses(addresses), _) => addresses[connection as usize % addresses.len()],
        _ => return None,
    };
    Some(SocketAddr::new(address, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_every_ten_thousand_have_an_address_of_their_own() {
        let server = SocketAddr::from(([127, 0, 0, 1], 8084));
        let from = |connection| source(&Source::Auto, server, connection).map(|source| source.ip().to_string());
        assert_eq!(from(9_999), None);
        assert_eq!(from(10_000).as_deref(), Some("127.0.0.2"));
        assert_eq!(source(&Source::Auto, SocketAddr::from(([192, 0, 2, 1], 80)), 5), None);
        assert_eq!(source(&Source::System, server, 5), None);
    }
}
