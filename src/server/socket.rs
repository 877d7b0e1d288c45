//! A client's TCP socket, as the engine is handed it.

use super::lease::Lease;
use super::token::Token;
use crate::ear::{Ear, Interest, Tick};
use crate::engine::connection::{ConnectionId, Socket, Watch};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

/// A non-blocking stream and its place in the shard's epoll set.
pub(super) struct TcpSocket {
    stream: TcpStream,
    ear: Ear,
    token: u64,
    arrival: Arrival,
    /// Where it has no bounds there is nothing.
    tenure: Option<Box<Tenure>>,
}

/// Where a connection has come from, and when.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// The client's address; behind a trusted proxy its own.
    pub(super) address: SocketAddr,
    /// When its shard took it in.
    pub(super) at: Tick,
}

/// What bounds a connection's stay.
pub(super) struct Tenure {
    /// How long it may live.
    pub(super) lease: Option<Rc<Lease>>,
    /// Its place among those of its user and address.
    pub(super) permit: Option<Box<dyn Send>>,
}

impl TcpSocket {
    pub(super) fn new(stream: TcpStream, ear: Ear, arrival: Arrival, tenure: Tenure) -> Self {
        let has_bounds = tenure.lease.is_some() || tenure.permit.is_some();
        Self { stream, ear, token: 0, arrival, tenure: has_bounds.then(|| Box::new(tenure)) }
    }

    /// Gives the kernel what it takes now.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.stream).write(bytes)
    }

    /// Where it has come from, and when.
    pub(super) fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// Both ends as the kernel names them; `None` once it has forgotten the connection.
    pub(super) fn ends(&self) -> Option<[SocketAddr; 2]> {
        Some([self.stream.local_addr().ok()?, self.stream.peer_addr().ok()?])
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Socket for TcpSocket {
    fn take_seat(&mut self, id: ConnectionId) {
        self.token = Token::Connection(id).number();
        let added = self.ear.add(&self.stream, self.token, Interest::Reads);
        added.expect("a socket that is in no set fits into this one");
        if let Some(lease) = self.tenure.as_ref().and_then(|tenure| tenure.lease.as_ref()) {
            lease.run(id);
        }
    }

    fn watch(&mut self, watch: Watch) {
        let interest = match watch {
            Watch::Reads => Interest::Reads,
            Watch::ReadsAndWrites => Interest::ReadsAndWrites,
        };
        self.ear.change(&self.stream, self.token, interest).expect("the socket is in the set for as long as it lives");
    }

    fn finish(&mut self) {
        // The other end may be gone already; then there is nobody to tell.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl Read for TcpSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}
