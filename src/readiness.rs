//! Waiting, under the executor, until a descriptor is readable that the executor cannot read: an epoll set, a listener.

use adopted_socket2::Socket;
use futures_lite::AsyncRead;
use glommio::net::TcpStream;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// One wait. Ends once; the next one needs a new value.
///
/// glommio has no public way to watch a descriptor, but its streams wait for readability *before* they read. So the
/// descriptor is given to it as a stream: the first read completes when the descriptor is readable, with the error that
/// there is nothing of a stream's to read, and this stream is done.
pub(crate) struct Readiness(TcpStream);

impl Readiness {
    /// A wait for `descriptor`, which is closed with it: pass a duplicate.
    pub(crate) fn of(descriptor: OwnedFd) -> Self {
        // The executor adopts sockets of this type; that it is one is never looked at before the read.
        Self(TcpStream::from(Socket::from(TcpListener::from(descriptor))))
    }

    /// Ready once the descriptor is readable; until then the task is woken when it becomes so.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let outcome = ready!(AsyncRead::poll_read(Pin::new(&mut self.0), context, &mut [0]));
        debug_assert!(outcome.is_err(), "neither an epoll set nor a listener is ever read from");
        Poll::Ready(())
    }
}
