//! Takes RESP connections from a listening socket that somebody else has bound.

use crate::readiness::{is_scarce, readable};
use adopted_socket2::Socket;
use futures_lite::io::AsyncWriteExt;
use glommio::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

/// After this long without a byte the kernel asks whether the other end still exists; Redis' default.
const KEEP_ALIVE: Duration = Duration::from_secs(300);

/// A listening socket on this executor.
pub(super) struct Acceptor {
    listener: TcpListener,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// The port it listens on; 0 if the system does not say.
    pub(super) fn port(&self) -> u16 {
        self.listener.local_addr().map_or(0, |address| address.port())
    }

    /// The next connection, with its options set.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) if is_scarce(stream.as_fd()) => {
                    return Err(io::Error::other("few open files are left: raise the limit (ulimit -n)"));
                }
                Ok((stream, peer)) => {
                    let options = SockRef::from(&stream);
                    options.set_tcp_nodelay(true)?;
                    options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
                    return Ok((TcpStream::from(Socket::from(stream)), peer));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => readable(self.listener.as_fd()).await,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Says that there is no seat, in Redis' words, and closes.
pub(super) async fn turn_away(mut stream: TcpStream) {
    // A fresh socket takes so few bytes at once; whoever closed it in the meantime need not know.
    let _ = stream.write(b"-ERR max number of clients reached\r\n").await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutorBuilder;
    use glommio::timer::timeout;
    use std::net::Ipv4Addr;

    #[test]
    fn it_sleeps_until_a_connection_comes_and_does_so_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let executor = LocalExecutorBuilder::default().io_memory(0).make().expect("an executor");
        executor.run(async move {
            let acceptor = Acceptor::new(listener).expect("a socket");
            let accept = || async { acceptor.accept().await.map_err(glommio::GlommioError::<()>::from) };
            for _ in 0..3 {
                // Were the wait over at once, this would never come to an end.
                assert!(timeout(Duration::from_millis(20), accept()).await.is_err(), "nobody is there");
                let clients = [(); 2].map(|()| std::net::TcpStream::connect(address).expect("a listener"));
                for client in clients {
                    let (_, peer) = accept().await.expect("a connection");
                    assert_eq!(peer, client.local_addr().expect("connected"));
                }
            }
        });
    }
}
