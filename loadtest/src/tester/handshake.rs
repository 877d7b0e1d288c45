//! One client on its way in: connect, upgrade, check the answer.

use super::ledger::Standing;
use super::plan::Source;
use super::seat::Seat;
use super::sources::source;
use super::target::Target;
use crate::answer::Answer;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::handshake::{client::generate_key, derive_accept_key};

/// Longest answer to an upgrade, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What the kernel may hold for a client that reads slowly, in bytes: as on a phone far from its mast, little.
const NARROW_BYTES: usize = 4_096;

/// What all clients of a run ask for.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    target: Target,
    source: Source,
    subprotocol: Option<&'static str>,
    /// One key for all: what it is good for, a cache in between noticing itself, one does as well as many.
    key: String,
    accept: String,
}

/// One client whose upgrade is not answered.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) socket: TcpStream,
    /// When connecting began, in nanoseconds on the run's clock.
    pub(crate) began: u64,
    request: Vec<u8>,
    unread: Vec<u8>,
}

impl Door {
    pub(crate) fn new(target: Target, source: Source, subprotocol: Option<&'static str>) -> Self {
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        Self { target, source, subprotocol, key, accept }
    }

    /// Begins to connect without waiting.
    pub(crate) fn knock(&self, seat: &Seat, topic: &str, began: u64) -> Result<Handshake, String> {
        let socket = self.connect(seat).map_err(|error| self.unreachable(&error))?;
        let subprotocol =
            self.subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {}\r\n{subprotocol}\r\n",
            self.target.path.fill(topic),
            self.target.host,
            self.key
        );
        Ok(Handshake { socket, began, request: request.into_bytes(), unread: Vec::new() })
    }

    fn connect(&self, seat: &Seat) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.target.address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // Ends with a reset: tens of thousands of connections would else keep their ports for a minute (TIME_WAIT).
        socket.set_linger(Some(Duration::ZERO))?;
        if seat.standing == Standing::Excused {
            socket.set_recv_buffer_size(NARROW_BYTES)?;
        }
        if let Some(source) = source(&self.source, self.target.address, seat.connection) {
            socket.bind(&source.into())?;
        }
        match socket.connect(&self.target.address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
            _ => Ok(socket.into()),
        }
    }

    fn unreachable(&self, error: &io::Error) -> String {
        format!("no connection to {}: {error}", self.target.host)
    }
}

impl Handshake {
    /// Goes on as far as it can without waiting: `Some` with the bytes that came behind the answer once it is done.
    ///
    /// # Errors
    /// One sentence, where the server does not let this client in.
    pub(crate) fn turn(&mut self, door: &Door) -> Result<Option<Vec<u8>>, String> {
        let errors = [self.send(), self.read()].into_iter().filter_map(Result::err);
        let mut ends = errors.filter(|error| !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected));
        // An answer that is followed by the end at once is an answer all the same.
        let Some((answer, head)) = Answer::parse_head(&self.unread).map_err(|error| door.unreachable(&error))? else {
            return ends.next().map_or(Ok(None), |error| Err(door.unreachable(&error)));
        };
        if answer.status != 101 {
            let body = String::from_utf8_lossy(&self.unread[head..]).into_owned();
            return Err(format!("the server answered {} instead of 101 {}", answer.status, body.trim()));
        }
        if answer.header("Sec-WebSocket-Accept") != Some(&door.accept) {
            return Err("the server answered the upgrade with a wrong Sec-WebSocket-Accept".to_owned());
        }
        Ok(Some(self.unread.split_off(head)))
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.request.is_empty() {
            let sent = self.socket.write(&self.request)?;
            self.request.drain(..sent);
        }
        Ok(())
    }

    /// Reads until nothing is left: the readiness of this socket is told once only.
    fn read(&mut self) -> io::Result<()> {
        let mut chunk = [0; 2048];
        while self.unread.len() < ANSWER_BYTES_MAX {
            match self.socket.read(&mut chunk)? {
                0 => return Err(io::Error::other("the server closed the connection before it answered")),
                length => self.unread.extend_from_slice(&chunk[..length]),
            }
        }
        Err(io::Error::other("the answer to the upgrade does not end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::template::Template;
    use std::net::TcpListener;
    use std::time::Instant;

    /// What a client makes of a server that sends these bytes and leaves at once.
    fn met(answer: &str) -> Result<Option<Vec<u8>>, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = Template(format!("ws://{}/", listener.local_addr().unwrap()));
        let door = Door::new(Target::parse("ws://", &url).unwrap(), Source::System, None);
        let mut handshake = door.knock(&Seat::alone(), "", 0).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(answer.replace("{accept}", &door.accept).as_bytes()).unwrap();
        // The request is never read: the end comes as a reset.
        assert_eq!(handshake.send().map_err(|error| error.kind()), Ok(()));
        drop(server);
        let deadline = Instant::now() + crate::PATIENCE;
        loop {
            match handshake.turn(&door) {
                Ok(None) if Instant::now() < deadline => std::thread::yield_now(),
                outcome => return outcome,
            }
        }
    }

    #[test]
    fn an_answer_counts_though_the_server_leaves_at_once() {
        let refusal = met("HTTP/1.1 503 Service Unavailable\r\n\r\nfull").unwrap_err();
        assert_eq!(refusal, "the server answered 503 instead of 101 full");
        let welcome = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\nx";
        assert_eq!(met(welcome), Ok(Some(b"x".to_vec())));
    }

    #[test]
    fn who_leaves_without_an_answer_is_said_to_have_left() {
        assert!(met("HTTP/1.1 5").unwrap_err().starts_with("no connection to 127.0.0.1"));
    }
}
