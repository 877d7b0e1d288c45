//! `fanout health`: asks the server of this machine, or of this container, whether it serves.

use crate::config::Config;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For the connection, and for each part of the answer. Supervisors that ask every few seconds are less patient.
const PATIENCE: Duration = Duration::from_secs(2);

/// What says that the answer is a good one (RFC 9112 §4).
const GOOD: &[u8] = b"HTTP/1.1 200 ";

/// Asks for `/health` where a server with this configuration has it.
///
/// # Errors
/// In one sentence, where nobody answers or the answer is another than 200.
pub fn ask(config: &Config) -> Result<(), String> {
    let address = reachable(config.metrics_listen.unwrap_or(config.listen));
    match answer(address) {
        Ok(answer) if answer == GOOD => Ok(()),
        Ok(answer) => Err(format!("the server at {address} answers {}", String::from_utf8_lossy(&answer))),
        Err(error) => Err(format!("no server answers at {address}: {error}")),
    }
}

/// The beginning of the answer.
fn answer(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = vec![0; GOOD.len()];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

/// Who listens on every address of the machine is reached by the loopback one.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_reached_by_the_loopback_one() {
        for (listens, expected) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("127.0.0.2:1", "127.0.0.2:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), expected.parse().unwrap(), "{listens}");
        }
    }
}
