//! One receiving thread: an epoll set, its share of the connections, one scratch buffer.

use super::board::{Board, Tape};
use super::connection::Connection;
use super::dialect::Dialect;
use super::ear::{Ear, Ended};
use super::form::Form;
use super::handshake::{Door, Handshake};
use super::ledger::Expectation;
use super::template::topic_name;
use crate::client_frame::Opcode;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::thread::gettid;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::SeqCst;

/// Handshakes of one thread in flight: enough to keep every shard busy, below any server's backlog.
const HANDSHAKES_MAX: usize = 64;

/// Bytes read from one connection at a time: more than a socket's buffer usually holds.
const SCRATCH_BYTES: usize = 256 * 1024;

/// The longest frame: some servers join whatever waits for a client that was slow for a moment.
const FRAME_BYTES_MAX: usize = 128 << 20;

/// Connections told of in one turn.
const READY_MAX: usize = 1_024;

/// Marks the number of a handshake among those of connections.
const IS_HANDSHAKE: u64 = 1 << 63;

/// How long a thread without work sleeps before it looks at the board: 20 ms.
const SLEEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// What a thread is told at its start.
pub(crate) struct Orders<'a> {
    pub(crate) board: &'a Board,
    /// Which one it is.
    pub(crate) thread: u32,
    pub(crate) run: u16,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) form: Form,
    pub(crate) door: Door,
    /// Its connections, each with its topic.
    pub(crate) connections: Vec<(u32, u32)>,
}

/// A connection as the run left it.
pub(crate) struct Left {
    pub(crate) expectation: Expectation,
    /// Whether it was open to the end.
    pub(crate) is_open: bool,
}

/// The thread's own.
pub(crate) struct Worker<'a> {
    orders: Orders<'a>,
    ear: Ear<'a>,
    epoll: OwnedFd,
    /// Connections that nobody began to open.
    waiting: std::vec::IntoIter<(u32, u32)>,
    handshakes: Vec<Option<(Handshake, u32)>>,
    connections: Vec<Connection>,
    scratch: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(mut orders: Orders<'a>) -> io::Result<Self> {
        let waiting = std::mem::take(&mut orders.connections).into_iter();
        Ok(Self {
            ear: Ear::new(orders.board, orders.dialect, orders.run, orders.form.clone()),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(waiting.len()),
            handshakes: (0..HANDSHAKES_MAX).map(|_| None).collect(),
            scratch: vec![0; SCRATCH_BYTES.max(2 * orders.form.frame_bytes())],
            waiting,
            orders,
        })
    }

    /// Connects and receives until the run is over.
    pub(crate) fn run(mut self) -> io::Result<Vec<Left>> {
        let board = self.orders.board;
        board.tape(self.orders.thread).thread = gettid().as_raw_nonzero().get();
        let mut ready = Vec::with_capacity(READY_MAX);
        while !board.is_over.load(SeqCst) {
            ready.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), Some(&self.sleep())) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            self.turn(&ready)?;
        }
        let left =
            |connection: Connection| Left { is_open: connection.socket.is_some(), expectation: connection.expectation };
        Ok(self.connections.into_iter().map(left).collect())
    }

    /// No sleep while handshakes may begin.
    fn sleep(&self) -> Timespec {
        let may_knock = self.waiting.len() > 0 && self.handshakes.iter().any(Option::is_none);
        if may_knock { Timespec { tv_sec: 0, tv_nsec: 0 } } else { SLEEP }
    }

    fn turn(&mut self, ready: &[epoll::Event]) -> io::Result<()> {
        let board = self.orders.board;
        let began = board.clock.now();
        let mut tape = board.tape(self.orders.thread);
        self.ear.measured_from = board.measured_from.load(SeqCst);
        self.ear.now = began;
        for event in ready {
            let number = event.data.u64();
            let place = usize::try_from(number & !IS_HANDSHAKE).map_err(io::Error::other)?;
            if number & IS_HANDSHAKE == 0 {
                self.receive(place, &mut tape);
            } else {
                self.shake(place, &mut tape)?;
            }
        }
        self.ear.end_turn();
        if began >= self.ear.measured_from && !ready.is_empty() {
            tape.turns.saturating_record(board.clock.now() - began);
        }
        if board.is_seated.load(SeqCst) {
            self.give_up(&mut tape);
        } else {
            self.knock(&mut tape)?;
        }
        Ok(())
    }

    /// Begins as many handshakes as may be in flight.
    fn knock(&mut self, tape: &mut Tape) -> io::Result<()> {
        for place in 0..self.handshakes.len() {
            if self.handshakes[place].is_some() {
                continue;
            }
            let Some((connection, topic)) = self.waiting.next() else { return Ok(()) };
            let began = self.orders.board.clock.now();
            match self.orders.door.knock(connection, &topic_name(self.orders.run, topic), began) {
                Ok(handshake) => {
                    let data = epoll::EventData::new_u64(IS_HANDSHAKE | place as u64);
                    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
                    epoll::add(&self.epoll, &handshake.socket, data, flags)?;
                    self.handshakes[place] = Some((handshake, topic));
                }
                Err(reason) => tape.refuse(|| reason),
            }
        }
        Ok(())
    }

    /// Who is not in by now will not be.
    fn give_up(&mut self, tape: &mut Tape) {
        let began = self.handshakes.iter_mut().filter_map(Option::take).count();
        let unconfirmed = self.connections.iter_mut().filter(|connection| {
            connection.rest.as_ref().is_some_and(|rest| rest.waiting_since.is_some()) && connection.socket.is_some()
        });
        let unconfirmed = unconfirmed.map(|connection| connection.socket = None).count();
        for _ in 0..began + unconfirmed + self.waiting.by_ref().count() {
            tape.refuse(|| "the server did not answer in time".to_owned());
        }
    }

    fn shake(&mut self, place: usize, tape: &mut Tape) -> io::Result<()> {
        let Some((handshake, _)) = &mut self.handshakes[place] else { return Ok(()) };
        match handshake.turn(&self.orders.door) {
            Ok(None) => {}
            Err(reason) => {
                self.handshakes[place] = None;
                tape.refuse(|| reason);
            }
            Ok(Some(unread)) => {
                self.ear.now = self.orders.board.clock.now();
                if let Some((handshake, topic)) = self.handshakes[place].take() {
                    self.seat(handshake, topic, unread, tape)?;
                }
            }
        }
        Ok(())
    }

    /// The upgrade is answered: a client like the others.
    fn seat(&mut self, handshake: Handshake, topic: u32, unread: Vec<u8>, tape: &mut Tape) -> io::Result<()> {
        let place = self.connections.len();
        let data = epoll::EventData::new_u64(place as u64);
        epoll::modify(&self.epoll, &handshake.socket, data, epoll::EventFlags::IN)?;
        let mut connection = Connection::new(handshake.socket, topic, handshake.began);
        let opcode = if self.orders.dialect.speaks_text() { Opcode::TEXT } else { Opcode::BINARY };
        for message in self.orders.dialect.greeting(&topic_name(self.orders.run, topic)) {
            connection.send(opcode, &message);
        }
        if self.orders.dialect.is_subscribed_by_upgrade() {
            self.ear.subscribe(&mut connection, tape);
        }
        connection.rest().unread = unread;
        self.connections.push(connection);
        // What came behind the answer is read with what comes next, or now.
        self.receive(place, tape);
        Ok(())
    }

    /// Reads what there is for one connection and counts it.
    fn receive(&mut self, place: usize, tape: &mut Tape) {
        let connection = &mut self.connections[place];
        let Some(socket) = &mut connection.socket else { return };
        let kept = connection.rest.as_mut().map(|rest| std::mem::take(&mut rest.unread)).unwrap_or_default();
        if self.scratch.len() < 2 * kept.len() {
            self.scratch.resize(2 * kept.len(), 0);
        }
        self.scratch[..kept.len()].copy_from_slice(&kept);
        let read = socket.read(&mut self.scratch[kept.len()..]);
        self.ear.now = self.orders.board.clock.now();
        let (length, is_at_end) = match read {
            Ok(0) => (0, true),
            Ok(length) => (length, false),
            Err(error) => (0, !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)),
        };
        let bytes = &self.scratch[..kept.len() + length];
        let taken = self.ear.take(connection, bytes, tape);
        let ended = match taken {
            Err(ended) => Some(ended),
            Ok(0) if bytes.len() >= FRAME_BYTES_MAX => Some(Ended { code: 1009 }),
            Ok(used) => {
                if used < bytes.len() {
                    connection.rest().unread = bytes[used..].to_vec();
                }
                is_at_end.then_some(Ended { code: 1006 })
            }
        };
        connection.tidy();
        if let Some(ended) = ended {
            leave(connection, ended, tape);
        }
    }
}

/// The connection is over; closing its socket takes it out of the epoll set.
fn leave(connection: &mut Connection, ended: Ended, tape: &mut Tape) {
    connection.socket = None;
    if connection.rest.as_ref().is_some_and(|rest| rest.waiting_since.is_some()) {
        return tape.refuse(|| format!("the server ended a connection before it was subscribed ({})", ended.code));
    }
    tape.open -= 1;
    *tape.ledger.closed.entry(ended.code).or_default() += 1;
}
