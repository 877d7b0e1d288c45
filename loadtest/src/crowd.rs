//! Thousands of WebSocket clients in one thread, each counting losses, duplicates and strangers' events.

use crate::answer::Answer;
use crate::client_frame::{ClientFrame, Opcode};
use crate::patience::PATIENCE;
use crate::server_frame::ServerFrame;
use crate::tally::Tally;
use rustix::event::epoll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Connections that share one source address: under half of the source ports that Linux has for one (28 232), so that
/// those of an earlier run which still linger are no obstacle.
const CONNECTIONS_PER_SOURCE: usize = 10_000;

/// Handshakes in flight: enough to keep every shard busy, below any server's backlog.
const HANDSHAKES: usize = 64;

/// Bytes read from one connection at a time.
const SCRATCH_BYTES: usize = 64 * 1024;

/// One client of the crowd.
#[derive(Debug)]
struct Seat {
    socket: TcpStream,
    /// Place of its username in `Crowd::usernames`.
    username: usize,
    /// The sequence number it expects.
    next: u64,
    /// The unfinished frame, nothing most of the time.
    unread: Vec<u8>,
    is_open: bool,
}

/// A crowd of connected clients.
#[derive(Debug)]
pub struct Crowd {
    epoll: OwnedFd,
    seats: Vec<Seat>,
    usernames: Vec<String>,
    tally: Tally,
}

impl Crowd {
    /// Connects `connections_each` clients for each username.
    ///
    /// # Errors
    /// Where a connection is refused or the process may not have so many open files.
    pub fn connect(address: SocketAddr, usernames: Vec<String>, connections_each: usize) -> io::Result<Self> {
        let total = usernames.len() * connections_each;
        raise_open_files(total + HANDSHAKES)?;
        let mut crowd = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            seats: Vec::with_capacity(total),
            usernames,
            tally: Tally::default(),
        };
        let numbers: Vec<usize> = (0..total).collect();
        for batch in numbers.chunks(HANDSHAKES) {
            let begun = batch.iter().map(|&number| crowd.begin(address, number)).collect::<io::Result<Vec<_>>>()?;
            for (socket, &number) in begun.into_iter().zip(batch) {
                crowd.finish(socket, number)?;
            }
        }
        Ok(crowd)
    }

    /// Clients in it, those whose connection ended included.
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// What all of them got so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Receives until `texts` messages came in all or nothing came for `silence`.
    ///
    /// # Errors
    /// For frames that no server may send.
    pub fn gather(&mut self, texts: u64, silence: Duration) -> io::Result<()> {
        let mut events = Vec::with_capacity(1024);
        let mut scratch = vec![0; SCRATCH_BYTES];
        let mut last_heard = Instant::now();
        while self.texts() < texts && last_heard.elapsed() < silence {
            events.clear();
            let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&pause)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                last_heard = Instant::now();
                let place = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
                self.receive(place, &mut scratch)?;
            }
        }
        Ok(())
    }

    fn texts(&self) -> u64 {
        self.tally.delivered + self.tally.repeated + self.tally.strangers + self.tally.garbled
    }

    fn begin(&self, address: SocketAddr, number: usize) -> io::Result<TcpStream> {
        let source = Ipv4Addr::from_bits(
            Ipv4Addr::LOCALHOST.to_bits() + u32::try_from(number / CONNECTIONS_PER_SOURCE).unwrap_or(0),
        );
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect_timeout(&address.into(), PATIENCE)?;
        let mut socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE))?;
        let username = &self.usernames[number % self.usernames.len()];
        socket.write_all(
            format!(
                "GET /ws?username={username} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            .as_bytes(),
        )?;
        Ok(socket)
    }

    fn finish(&mut self, mut socket: TcpStream, number: usize) -> io::Result<()> {
        let mut unread = Vec::new();
        let (answer, length) = loop {
            if let Some(head) = Answer::parse_head(&unread)? {
                break head;
            }
            let mut chunk = [0; 1024];
            match socket.read(&mut chunk)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => unread.extend_from_slice(&chunk[..length]),
            }
        };
        if answer.status != 101 {
            return Err(io::Error::other(format!("connection {number} was refused: {}", answer.status)));
        }
        unread.drain(..length);
        socket.set_nonblocking(true)?;
        let place = epoll::EventData::new_u64(self.seats.len() as u64);
        epoll::add(&self.epoll, &socket, place, epoll::EventFlags::IN)?;
        let username = number % self.usernames.len();
        self.seats.push(Seat { socket, username, next: 0, unread, is_open: true });
        Ok(())
    }

    /// Reads what there is for one client and counts every whole frame of it.
    fn receive(&mut self, place: usize, scratch: &mut [u8]) -> io::Result<()> {
        let seat = &mut self.seats[place];
        let length = match seat.socket.read(scratch) {
            Ok(0) => return self.leave(place, 1006),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return self.leave(place, 1006),
        };
        let mut bytes = std::mem::take(&mut seat.unread);
        bytes.extend_from_slice(&scratch[..length]);
        let mut consumed = 0;
        while let Some(frame) = ServerFrame::parse(&bytes[consumed..])? {
            consumed += frame.length;
            let seat = &mut self.seats[place];
            match frame.opcode {
                Opcode::TEXT => self.tally.count(&self.usernames[seat.username], &mut seat.next, frame.payload),
                // Small enough for any socket buffer; a server that has gone needs no pong.
                Opcode::PING => drop(seat.socket.write_all(&ClientFrame::new(Opcode::PONG, frame.payload).bytes())),
                Opcode::CLOSE => return self.leave(place, frame.close_code().unwrap_or(1005)),
                _ => self.tally.garbled += 1,
            }
        }
        // Nothing left is nothing held: most clients wait for their next frame most of the time.
        if consumed < bytes.len() {
            self.seats[place].unread = bytes.split_off(consumed);
        }
        Ok(())
    }

    fn leave(&mut self, place: usize, code: u16) -> io::Result<()> {
        let seat = &mut self.seats[place];
        if std::mem::replace(&mut seat.is_open, false) {
            epoll::delete(&self.epoll, &seat.socket)?;
            *self.tally.closed.entry(code).or_default() += 1;
        }
        Ok(())
    }
}

/// Raises the limit of open files to what `connections` need, with room for everything else.
fn raise_open_files(connections: usize) -> io::Result<()> {
    /// Open files of a test process besides its crowd.
    const RESERVE: u64 = 256;
    let wanted = connections as u64 + RESERVE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        return Err(io::Error::other(format!("{wanted} open files are needed, {:?} allowed", limit.maximum)));
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })?)
}
