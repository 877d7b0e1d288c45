//! TCP connections of this machine, read from `/proc/net/tcp` (proc(5)): both ends of those over loopback.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// `TCP_ESTABLISHED`: neither end has closed it.
const ESTABLISHED: &str = "01";

/// One end's address and the other's.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// What lies in the kernel for one end, in bytes without the kernel's overhead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Sent by its process, and not acknowledged by the other end.
    pub(crate) unsent: u64,
    /// Received, and not read by its process.
    pub(crate) unread: u64,
}

/// Every end of this machine whose connection nobody has closed; IPv4 only.
pub(crate) fn waiting() -> io::Result<BTreeMap<Ends, Waiting>> {
    Ok(fs::read_to_string("/proc/net/tcp")?.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<(Ends, Waiting)> {
    let mut words = line.split_whitespace().skip(1);
    let (own, other, state) = (words.next()?, words.next()?, words.next()?);
    let (unsent, unread) = words.next()?.split_once(':')?;
    let bytes = |text| u64::from_str_radix(text, 16).ok();
    let waiting = Waiting { unsent: bytes(unsent)?, unread: bytes(unread)? };
    (state == ESTABLISHED).then_some(((address(own)?, address(other)?), waiting))
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
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_is_there_until_one_end_closes_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let ends = (server.local_addr().unwrap(), server.peer_addr().unwrap());
        assert_eq!(waiting().unwrap().get(&ends), Some(&Waiting::default()));
        (&server).write_all(b"12345").unwrap();
        let other = (ends.1, ends.0);
        let unread = || waiting().unwrap().get(&other).filter(|waiting| waiting.unread == 5).copied();
        crate::eventually("five bytes lie there", unread);
        drop(server);
        assert!(!waiting().unwrap().contains_key(&ends));
        drop(client);
    }
}
