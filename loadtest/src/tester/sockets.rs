//! TCP connections of this machine, read from `/proc/net/tcp` (proc(5)): both ends of those over loopback.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// `TCP_ESTABLISHED`: neither end has closed it.
const ESTABLISHED: &str = "01";

/// One end's address and the other's.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// Every end of this machine whose connection nobody has closed; IPv4 only.
pub(crate) fn established() -> io::Result<BTreeSet<Ends>> {
    Ok(fs::read_to_string("/proc/net/tcp")?.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Ends> {
    let mut words = line.split_whitespace().skip(1);
    let (own, other, state) = (words.next()?, words.next()?, words.next()?);
    (state == ESTABLISHED).then_some((address(own)?, address(other)?))
}

/// `0100007F:1F94`: the address in the machine's order of bytes, the port not.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let host = Ipv4Addr::from(u32::from_str_radix(host, 16).ok()?.to_ne_bytes());
    Some(SocketAddrV4::new(host, u16::from_str_radix(port, 16).ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_is_there_until_one_end_closes_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let ends = (server.local_addr().unwrap(), server.peer_addr().unwrap());
        assert!(established().unwrap().contains(&ends));
        drop(server);
        assert!(!established().unwrap().contains(&ends));
        drop(client);
    }
}
