//! The listening sockets: one per shard on the same port, with the options that every accepted socket inherits.

use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Connections the kernel holds until a shard takes them; it cuts this to `net.core.somaxconn` (4 096 by default).
pub(super) const BACKLOG: usize = 4096;

/// Bytes not yet sent that a socket takes before it refuses: a client that stalls swallows 170 KB instead of 4 MB, and
/// its lateness shows early.
const NOT_SENT_BYTES: u32 = 16 * 1024;

/// After this long without an acknowledgement the other end is gone: less than the silence that pings tolerate.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// One shard's listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
}

/// Binds one listener per shard; the addresses are the same, the kernel spreads new connections over them.
///
/// A port that is taken is refused, even by a server that would share it: one bind without sharing comes first.
pub(super) fn bind(address: SocketAddr, shards: usize) -> io::Result<(SocketAddr, Vec<Listener>)> {
    let probe = open(address)?;
    let address = probe.local_addr()?.as_socket().expect("bound to an internet address");
    drop(probe);
    let listeners = (0..shards).map(|_| share(address)).collect::<io::Result<_>>()?;
    Ok((address, listeners))
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket)
}

fn share(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    set_inherited_options(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).expect("a small number"))?;
    Ok(Listener { socket: socket.into() })
}

/// Options of the listener that Linux copies to every socket it accepts: no calls per connection.
fn set_inherited_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

impl Listener {
    pub(super) fn socket(&self) -> &TcpListener {
        &self.socket
    }

    /// The next connection, non-blocking, or `None` when there is none.
    pub(super) fn accept(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match rustix::net::acceptfrom_with(&self.socket, flags) {
            Ok((socket, Some(peer))) => {
                let peer = SocketAddr::try_from(peer).map_err(|_| io::ErrorKind::Unsupported)?;
                Ok(Some((TcpStream::from(socket), peer)))
            }
            Ok((_, None)) | Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_the_listeners_options() {
        let (address, listeners) = bind(([127, 0, 0, 1], 0).into(), 1).expect("a free port");
        let _client = TcpStream::connect(address).expect("a listener");
        let (socket, _) = listeners[0].accept().expect("no failure").expect("one is waiting");
        let options = SockRef::from(&socket);
        assert!(options.tcp_nodelay().expect("a TCP socket"));
        assert_eq!(options.tcp_notsent_lowat().expect("a TCP socket"), NOT_SENT_BYTES);
        assert_eq!(options.tcp_user_timeout().expect("a TCP socket"), Some(UNACKNOWLEDGED));
        assert!(options.nonblocking().expect("a socket"));
    }

    #[test]
    fn a_port_that_a_sharing_server_holds_is_refused() {
        let (address, _listeners) = bind(([127, 0, 0, 1], 0).into(), 2).expect("a free port");
        assert_eq!(bind(address, 1).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }
}
