//! Networks: who is a proxy of this deployment.

use ipnet::{IpNet, Ipv4Net};
use std::fmt;
use std::net::IpAddr;

/// Networks listed at most; the address of each hop is compared with all of them.
const NETWORKS_MAX: usize = 64;

/// A list of networks; empty is nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads a comma list of networks such as `10.0.0.0/8` and addresses such as `::1`; empty text is nobody. The error is
    /// what is wrong with it. Addresses of IPv4 that are written as IPv6 (`::ffff:10.0.0.1`) are of IPv4, as peers' are.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let networks: Result<Vec<IpNet>, String> = text.split(',').map(str::trim).map(network).collect();
        match networks {
            Ok(listed) if listed.len() > NETWORKS_MAX => Err(format!("more than {NETWORKS_MAX} are listed")),
            networks => networks.map(Self),
        }
    }

    /// The networks.
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }
}

fn network(entry: &str) -> Result<IpNet, String> {
    let address = entry.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network: IpNet =
        address.or_else(|_| entry.parse()).map_err(|_| format!("{entry:?} is no network and no address"))?;
    // Whoever means one address and writes the network's length behind it would trust all the others, too.
    if network.addr() != network.network() {
        return Err(format!("{network} has bits behind its length: write {} or {}", network.trunc(), network.addr()));
    }
    match mapped(network) {
        Some(inner) => Err(format!("{network} is of IPv4: write it as {inner}")),
        None => Ok(network),
    }
}

/// The network of IPv4 that one of IPv6 maps (RFC 4291 §2.5.5.2).
fn mapped(network: IpNet) -> Option<Ipv4Net> {
    let IpNet::V6(network) = network else { return None };
    Ipv4Net::new(network.addr().to_ipv4_mapped()?, network.prefix_len().checked_sub(96)?).ok()
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(if listed.is_empty() { "none" } else { "" })?;
        f.write_str(&listed.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read_and_written_again() {
        for (text, expected) in [
            ("", "none"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 10.1.2.3 , fd00::/8,::1", "10.1.2.3/32,fd00::/8,::1/128"),
            ("0.0.0.0/0,::/0", "0.0.0.0/0,::/0"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ] {
            assert_eq!(Networks::parse(text).map(|networks| networks.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_entry() {
        for (text, expected) in [
            ("10.0.0.0/33", "\"10.0.0.0/33\" is no network and no address"),
            ("10.0.0.0/8,", "\"\" is no network and no address"),
            ("localhost", "\"localhost\" is no network and no address"),
            ("10.1.2.3/8", "10.1.2.3/8 has bits behind its length: write 10.0.0.0/8 or 10.1.2.3"),
            ("::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104 is of IPv4: write it as 10.0.0.0/8"),
            ("::ffff:0.0.0.0/96", "::ffff:0.0.0.0/96 is of IPv4: write it as 0.0.0.0/0"),
        ] {
            assert_eq!(Networks::parse(text), Err(expected.to_owned()), "{text}");
        }
        let many = vec!["::1"; NETWORKS_MAX + 1].join(",");
        assert_eq!(Networks::parse(&many), Err("more than 64 are listed".to_owned()));
    }
}
