//! Takes RESP connections from a listening socket that somebody else has bound.

use crate::ear::{Ear, Watched, is_scarce};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

/// After this long without a byte the kernel asks whether the other end still exists; Redis' default.
const KEEP_ALIVE: Duration = Duration::from_secs(300);

/// A listening socket that this node hears.
pub(super) struct Acceptor {
    listener: Watched<TcpListener>,
}

impl Acceptor {
    pub(super) fn new(ear: &Ear, listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: ear.watch(listener)? })
    }

    /// The port it listens on; 0 if the system does not say.
    pub(super) fn port(&self) -> u16 {
        self.listener.get().local_addr().map_or(0, |address| address.port())
    }

    /// The next connection, with its options set.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            self.listener.readable().await;
            match self.listener.get().accept() {
                Ok((stream, _)) if is_scarce(stream.as_fd()) => {
                    return Err(io::Error::other("few open files are left: raise the limit (ulimit -n)"));
                }
                Ok((stream, peer)) => {
                    let options = SockRef::from(&stream);
                    options.set_tcp_nodelay(true)?;
                    options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
                    stream.set_nonblocking(true)?;
                    return Ok((stream, peer));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.listener.note_empty(),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Says that there is no seat, in Redis' words, and closes.
pub(super) fn turn_away(mut stream: TcpStream) {
    // A fresh socket takes so few bytes at once; whoever closed it in the meantime need not know.
    let _ = stream.write(b"-ERR max number of clients reached\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ear;
    use glommio::Placement;
    use std::net::Ipv4Addr;

    #[test]
    fn it_sleeps_until_a_connection_comes_and_does_so_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let executor = ear::executor(Placement::Unbound).make().expect("an executor");
        executor.run(async move {
            let ear = Ear::new(Duration::ZERO).expect("descriptors are left");
            let acceptor = Acceptor::new(&ear, listener).expect("a socket");
            let clock = ear.clone();
            ear.hear_until(async move {
                for _ in 0..3 {
                    // Were the wait over at once, this would never come to an end.
                    assert!(
                        clock.within(Duration::from_millis(20), acceptor.accept()).await.is_none(),
                        "nobody is there"
                    );
                    let clients = [(); 2].map(|()| std::net::TcpStream::connect(address).expect("a listener"));
                    for client in clients {
                        let (_, peer) = acceptor.accept().await.expect("a connection");
                        assert_eq!(peer, client.local_addr().expect("connected"));
                    }
                }
            })
            .await;
        });
    }
}
