//! Bytes as they are: for what no ordinary client would send, and for looking at what comes back.

use crate::answer::Answer;
use crate::client_frame::Opcode;
use crate::patience::PATIENCE;
use crate::server_frame::ServerFrame;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A TCP connection and what was received but not asked for yet.
#[derive(Debug)]
pub struct RawSocket {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl RawSocket {
    /// Connects, nothing more.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, unread: Vec::new() })
    }

    /// Connects with a receive buffer of so many bytes, so that not reading has an effect soon.
    pub fn connect_narrow(address: SocketAddr, receive_bytes: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_recv_buffer_size(receive_bytes)?;
        socket.connect_timeout(&address.into(), PATIENCE)?;
        Ok(Self { socket: socket.into(), unread: Vec::new() })
    }

    /// Connects and becomes a WebSocket at `target` (path and query).
    pub fn upgraded(address: SocketAddr, target: &str) -> io::Result<Self> {
        Self::connect(address)?.upgrade(target)
    }

    /// Becomes a WebSocket at `target` (RFC 6455 §4.1).
    ///
    /// # Errors
    /// With the server's answer where it is anything but 101.
    pub fn upgrade(mut self, target: &str) -> io::Result<Self> {
        self.send(upgrade_request(target, "").as_bytes())?;
        let answer = self.answer()?;
        if answer.status != 101 {
            return Err(io::Error::other(format!("{target} was answered with {answer:?}")));
        }
        Ok(self)
    }

    /// Sends these bytes and nothing else.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Says that nothing more will be sent, and goes on listening.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    /// The next HTTP response, body included.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.answer_to_head()?;
        let length = answer.body_length();
        answer.body = self.take(length)?;
        Ok(answer)
    }

    /// The next HTTP response to a HEAD request, which has no body whatever it announces (RFC 9110 §9.3.2).
    pub fn answer_to_head(&mut self) -> io::Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((answer, length)) = Answer::parse_head(&self.unread)? {
                self.unread.drain(..length);
                return Ok(answer);
            }
            self.receive_more(deadline)?;
        }
    }

    /// The next WebSocket frame: what it is and what it carries.
    pub fn frame(&mut self) -> io::Result<(Opcode, Vec<u8>)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(frame) = ServerFrame::parse(&self.unread)? {
                let (opcode, payload, length) = (frame.opcode, frame.payload.to_vec(), frame.length);
                self.unread.drain(..length);
                return Ok((opcode, payload));
            }
            self.receive_more(deadline)?;
        }
    }

    /// Skips frames until the close frame and gives its code; `None` where the connection ends without one, 1005 where
    /// the close frame has none.
    pub fn close_code(&mut self) -> Option<u16> {
        while let Ok((opcode, payload)) = self.frame() {
            if opcode == Opcode::CLOSE {
                return Some(payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code)));
            }
        }
        None
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + PATIENCE;
        while self.unread.len() < length {
            self.receive_more(deadline)?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Everything until the other side ends the connection; what came so far where it does not within `patience`.
    pub fn rest(&mut self, patience: Duration) -> Rest {
        let deadline = Instant::now() + patience;
        loop {
            if let Err(error) = self.receive_more(deadline) {
                let has_ended = !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                return Rest { bytes: std::mem::take(&mut self.unread), has_ended };
            }
        }
    }

    fn receive_more(&mut self, deadline: Instant) -> io::Result<()> {
        let patience = deadline.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(patience))?;
        let mut scratch = [0; 16 * 1024];
        let length = self.socket.read(&mut scratch)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&scratch[..length]);
        Ok(())
    }
}

/// What came until the end, or until patience ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// All bytes in their order.
    pub bytes: Vec<u8>,
    /// Whether the other side ended the connection.
    pub has_ended: bool,
}

/// One request, raw, and its answer, on a connection of its own.
pub fn exchange(address: SocketAddr, request: &str) -> io::Result<Answer> {
    let mut socket = RawSocket::connect(address)?;
    socket.send(request.as_bytes())?;
    if request.starts_with("HEAD ") { socket.answer_to_head() } else { socket.answer() }
}

/// A page at this address, on a connection of its own.
pub fn get(address: SocketAddr, page: &str) -> io::Result<Answer> {
    exchange(address, &format!("GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

/// The request for a WebSocket at `target` (path and query), with further header fields, each with its end of line
/// (RFC 6455 §4.1).
pub fn upgrade_request(target: &str, fields: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

/// Asks for a WebSocket on a connection of its own: the answer, whatever it is, and the socket, which is a WebSocket
/// where the answer is 101.
///
/// # Panics
/// Where there is no answer.
pub fn knock(address: SocketAddr, target: &str, fields: &str) -> (Answer, RawSocket) {
    let mut socket = RawSocket::connect(address).expect("the server takes connections");
    socket.send(upgrade_request(target, fields).as_bytes()).expect("the server reads requests");
    (socket.answer().expect("the server answers requests"), socket)
}
