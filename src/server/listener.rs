//! The listening sockets: some per shard on the same port, with the options that every accepted socket inherits.
//!
//! One backlog is too short for a storm: a client that finds it full is not heard, and asks again a second later, then
//! after three, then after seven. As many sockets as it takes have room for everybody whom the server may take in.

use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Connections the kernel holds until a shard takes them; it cuts this to `net.core.somaxconn` (4 096 by default).
const BACKLOG: usize = 4096;

/// Sockets of a shard at most: each costs a call when clients come.
const BACKLOGS_MAX: usize = 8;

/// Bytes not yet sent that a socket takes before it refuses: a client that stalls swallows 170 KB instead of 4 MB, and
/// its lateness shows early.
const NOT_SENT_BYTES: u32 = 16 * 1024;

/// After this long without an acknowledgement the other end is gone: less than the silence that pings tolerate.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// One shard's listening sockets.
#[derive(Debug)]
pub(super) struct Listener {
    sockets: Vec<TcpListener>,
    /// Who was asked last for a connection.
    asked: usize,
}

/// Sockets that each of so many shards needs for a backlog of so many connections together.
pub(super) fn backlogs(connections: usize, shards: usize) -> usize {
    connections.div_ceil(BACKLOG * shards).clamp(1, BACKLOGS_MAX)
}

/// Binds one listener per shard, each with so many backlogs; the addresses are the same, the kernel spreads new
/// connections over all of them.
///
/// A port that is taken is refused, even by a server that would share it: one bind without sharing comes first.
pub(super) fn bind(address: SocketAddr, shards: usize, backlogs: usize) -> io::Result<(SocketAddr, Vec<Listener>)> {
    let probe = open(address)?;
    let address = probe.local_addr()?.as_socket().expect("bound to an internet address");
    drop(probe);
    let listener = || {
        let sockets = (0..backlogs).map(|_| share(address)).collect::<io::Result<_>>()?;
        Ok(Listener { sockets, asked: 0 })
    };
    Ok((address, (0..shards).map(|_| listener()).collect::<io::Result<_>>()?))
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket)
}

fn share(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    set_inherited_options(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).expect("a small number"))?;
    Ok(socket.into())
}

/// Options of the listener that Linux copies to every socket it accepts: no calls per connection.
fn set_inherited_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

impl Listener {
    pub(super) fn sockets(&self) -> &[TcpListener] {
        &self.sockets
    }

    /// Connections that may wait in all of its backlogs.
    pub(super) fn backlog(&self) -> usize {
        self.sockets.len() * BACKLOG
    }

    /// The next connection, non-blocking, or `None` when there is none. The backlogs have their turns.
    pub(super) fn accept(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        for _ in 0..self.sockets.len() {
            self.asked = (self.asked + 1) % self.sockets.len();
            if let Some(accepted) = accept(&self.sockets[self.asked])? {
                return Ok(Some(accepted));
            }
        }
        Ok(None)
    }
}

fn accept(socket: &TcpListener) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    match rustix::net::acceptfrom_with(socket, flags) {
        Ok((socket, Some(peer))) => {
            let peer = SocketAddr::try_from(peer).map_err(|_| io::ErrorKind::Unsupported)?;
            Ok(Some((TcpStream::from(socket), peer)))
        }
        Ok((_, None)) | Err(rustix::io::Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_the_listeners_options() {
        let (address, mut listeners) = bind(([127, 0, 0, 1], 0).into(), 1, 1).expect("a free port");
        let _client = TcpStream::connect(address).expect("a listener");
        let (socket, _) = listeners[0].accept().expect("no failure").expect("one is waiting");
        let options = SockRef::from(&socket);
        assert!(options.tcp_nodelay().expect("a TCP socket"));
        assert_eq!(options.tcp_notsent_lowat().expect("a TCP socket"), NOT_SENT_BYTES);
        assert_eq!(options.tcp_user_timeout().expect("a TCP socket"), Some(UNACKNOWLEDGED));
        assert!(options.nonblocking().expect("a socket"));
    }

    #[test]
    fn there_is_room_for_everybody_in_the_backlogs_but_not_without_end() {
        for (connections, shards, expected) in [
            (100, 1, 1),
            (4_096, 1, 1),
            (4_097, 1, 2),
            (20_000, 1, 5),
            (20_000, 2, 3),
            (20_000, 8, 1),
            (1_000_000, 4, BACKLOGS_MAX),
        ] {
            assert_eq!(backlogs(connections, shards), expected, "{connections} connections, {shards} shards");
        }
    }

    #[test]
    fn whoever_waits_in_any_backlog_is_accepted() {
        let (address, mut listeners) = bind(([127, 0, 0, 1], 0).into(), 1, 3).expect("a free port");
        let clients: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(address).expect("a listener")).collect();
        let mut peers: Vec<SocketAddr> =
            std::iter::from_fn(|| listeners[0].accept().expect("no failure")).map(|(_, peer)| peer).collect();
        let mut expected: Vec<SocketAddr> =
            clients.iter().map(|client| client.local_addr().expect("connected")).collect();
        peers.sort_unstable();
        expected.sort_unstable();
        assert_eq!(peers, expected);
    }

    #[test]
    fn a_port_that_a_sharing_server_holds_is_refused() {
        let (address, _listeners) = bind(([127, 0, 0, 1], 0).into(), 2, 1).expect("a free port");
        assert_eq!(bind(address, 1, 1).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }
}
