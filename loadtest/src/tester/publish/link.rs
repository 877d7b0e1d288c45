//! One TCP connection of a publisher: what waits in both directions.

use super::Publisher;
use bytes::{Buf, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How long a server may take for each answer of the greeting: far above what a loaded one needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes read at a time: answers to publishers are short.
const CHUNK_BYTES: usize = 16 * 1024;

/// A connected link.
#[derive(Debug)]
pub(super) struct Link {
    socket: TcpStream,
    /// What the other side said and nobody read yet.
    pub(super) inbound: BytesMut,
    outbound: BytesMut,
    /// Bytes that were ever queued and ever sent.
    queued: u64,
    sent: u64,
    /// Where in `queued` the unsent events end.
    events: VecDeque<u64>,
}

impl Link {
    /// Connects to whoever listens there.
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self::adopt(socket, &[]))
    }

    /// Goes on with a connection that never blocks, on which these bytes were read.
    pub(super) fn adopt(socket: TcpStream, inbound: &[u8]) -> Self {
        let (inbound, outbound) = (BytesMut::from(inbound), BytesMut::new());
        Self { socket, inbound, outbound, queued: 0, sent: 0, events: VecDeque::new() }
    }

    /// Waits until the next turn is of use: during a greeting only.
    ///
    /// # Errors
    /// Where that takes longer than anybody should.
    pub(super) fn wait(&self) -> io::Result<()> {
        let interest = if self.outbound.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        await_events(&self.socket, interest)
    }

    /// Queues bytes that are no event.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
        self.queued += bytes.len() as u64;
    }

    /// Queues one event.
    pub(super) fn queue_event(&mut self, bytes: &[u8]) {
        self.queue(bytes);
        self.events.push_back(self.queued);
    }

    /// Sends what the kernel takes and reads what there is.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.send()?;
        loop {
            match self.read_once() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Events of which the kernel has not taken every byte.
    pub(super) fn unsent_events(&self) -> usize {
        self.events.len()
    }

    /// Bytes the kernel has not taken.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.outbound.len()
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.outbound.is_empty() {
            match self.socket.write(&self.outbound) {
                Ok(length) => {
                    self.outbound.advance(length);
                    self.sent += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        while self.events.front().is_some_and(|&end| end <= self.sent) {
            self.events.pop_front();
        }
        Ok(())
    }

    fn read_once(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        match self.socket.read(&mut chunk) {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the publisher's connection")),
            Ok(length) => {
                self.inbound.extend_from_slice(&chunk[..length]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Waits for `socket`; a sentence where nothing happens.
pub(super) fn await_events(socket: &TcpStream, interest: PollFlags) -> io::Result<()> {
    let timeout = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(socket, interest)], Some(&timeout)) {
        Ok(0) => Err(io::Error::new(ErrorKind::TimedOut, "no answer to the publisher's greeting")),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A publisher that speaks over a link, to a server that may say something too.
pub(super) trait Linked: Send {
    /// Queues one event on the link.
    fn queue(&mut self, name: &str, event: &[u8]);

    /// Takes in what the server said; whether it said that it is ready.
    fn hear(&mut self) -> io::Result<bool>;

    fn link(&self) -> &Link;

    fn link_mut(&mut self) -> &mut Link;

    /// Sends and reads without waiting; whether the server said that it is ready.
    fn exchange(&mut self) -> io::Result<bool> {
        let outcome = self.link_mut().turn();
        // What the server said before it left tells more than that it left.
        let is_ready = self.hear()?;
        outcome.map(|()| is_ready)
    }
}

impl<L: Linked> Publisher for L {
    fn publish(&mut self, name: &str, event: &[u8]) {
        self.queue(name, event);
    }

    fn turn(&mut self) -> io::Result<()> {
        self.exchange().map(drop)
    }

    fn unanswered(&self) -> usize {
        self.link().unsent_events()
    }

    fn unsent_bytes(&self) -> usize {
        self.link().unsent_bytes()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.link().descriptor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
        let link = Link::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        (link, listener.accept().expect("it connected").0)
    }

    #[test]
    fn an_event_is_unsent_until_its_last_byte_is_taken() {
        let (mut link, mut server) = pair();
        let event = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            link.queue_event(&event);
        }
        link.turn().expect("it is open");
        let unsent = (link.unsent_events(), link.unsent_bytes());
        assert_eq!(unsent.0, unsent.1.div_ceil(1 << 20));
        assert!(unsent.0 > 0, "64 MiB fit into no socket buffer");
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; 64 << 20];
            server.read_exact(&mut all).map(|()| server)
        });
        while link.unsent_bytes() > 0 {
            link.turn().expect("it is open");
        }
        assert_eq!(link.unsent_events(), 0);
        reader.join().expect("it does not panic").expect("everything came");
    }

    #[test]
    fn the_end_of_the_other_side_is_an_error() {
        let (mut link, server) = pair();
        link.turn().expect("nothing happened yet");
        drop(server);
        let error = crate::eventually("the end", || link.turn().err());
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
