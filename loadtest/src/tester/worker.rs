//! One receiving thread: an epoll set, its share of the connections, one scratch buffer.

mod slow;
mod unrest;

use super::board::{Board, Tape};
use super::clock::SECOND;
use super::connection::Connection;
use super::course::Course;
use super::dialect::Dialect;
use super::ear::{Ear, Ended};
use super::form::Form;
use super::handshake::{Door, Handshake};
use super::ledger::{Expectation, Standing};
use super::lobby::Lobby;
use super::seat::Seat;
use super::template::topic_name;
use crate::client_frame::Opcode;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::thread::gettid;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::SeqCst;

/// Bytes read from one connection at a time: more than a socket's buffer usually holds.
const SCRATCH_BYTES: usize = 256 * 1024;

/// The longest frame: some servers join whatever waits for a client that was slow for a moment.
const FRAME_BYTES_MAX: usize = 128 << 20;

/// Connections told of in one turn.
const READY_MAX: usize = 1_024;

/// Marks the number of a handshake among those of connections.
const IS_HANDSHAKE: u64 = 1 << 63;

/// How long a thread without work sleeps before it looks at the board, in nanoseconds.
const SLEEP_MAX: u64 = SECOND / 50;

/// How long a client that could not come back waits before it tries again, in nanoseconds.
const RETRY_AFTER: u64 = SECOND;

/// What a thread is told at its start.
pub(crate) struct Orders<'a> {
    pub(crate) board: &'a Board,
    /// Which one it is.
    pub(crate) thread: u32,
    pub(crate) run: u16,
    pub(crate) dialect: &'static dyn Dialect,
    /// One for each size of events.
    pub(crate) forms: Vec<Form>,
    pub(crate) door: Door,
    pub(crate) course: Course,
    /// Whether clients asked for the server's own notices.
    pub(crate) is_told: bool,
    /// How many threads there are.
    pub(crate) threads: u32,
    /// Its connections.
    pub(crate) seats: Vec<Seat>,
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
    lobby: Lobby,
    connections: Vec<Connection>,
    restless: unrest::Progress,
    slow: slow::SlowOnes,
    /// Whether who did not come in by the end of connecting was sent away.
    is_seated: bool,
    scratch: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(mut orders: Orders<'a>) -> io::Result<Self> {
        let seats = std::mem::take(&mut orders.seats);
        let frame_bytes_max = orders.forms.iter().map(Form::frame_bytes).max().unwrap_or(0);
        Ok(Self {
            ear: Ear::new(orders.board, orders.dialect, orders.run, orders.forms.clone()).told(orders.is_told),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(seats.len()),
            lobby: Lobby::new(seats.into_iter()),
            scratch: vec![0; SCRATCH_BYTES.max(2 * frame_bytes_max)],
            restless: unrest::Progress::default(),
            slow: slow::SlowOnes::default(),
            is_seated: false,
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

    /// Until the next client is due to come, or something else is.
    fn sleep(&self) -> Timespec {
        let next = self.lobby.next_due().unwrap_or(u64::MAX).min(self.next_stir()).min(self.slow.next_look());
        let pause = next.saturating_sub(self.orders.board.clock.now()).min(SLEEP_MAX);
        Timespec { tv_sec: 0, tv_nsec: i64::try_from(pause).unwrap_or(0) }
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
            if number & IS_HANDSHAKE != 0 {
                self.shake(place, &mut tape)?;
            } else if unrest::is_end(event.flags) && self.connections[place].expectation.standing == Standing::Excused {
                self.read_out(place, &mut tape);
            } else {
                self.receive(place, usize::MAX, &mut tape);
            }
        }
        self.ear.end_turn();
        if began >= self.ear.measured_from && !ready.is_empty() {
            tape.turns.saturating_record(board.clock.now() - began);
        }
        if board.is_seated.load(SeqCst) && !self.is_seated {
            self.is_seated = true;
            self.give_up(&mut tape);
        }
        self.stir(board.clock.now(), &mut tape)?;
        self.look_at_the_slow(board.clock.now(), &mut tape)?;
        self.knock(&mut tape)
    }

    /// Begins as many handshakes as are due and may be in flight.
    fn knock(&mut self, tape: &mut Tape) -> io::Result<()> {
        let now = self.orders.board.clock.now();
        while let Some(seat) = self.lobby.call(now) {
            // Who had to wait for others has waited: the time counts from the schedule.
            let began = if seat.due > 0 { seat.due } else { self.orders.board.clock.now() };
            match self.orders.door.knock(&seat, &topic_name(self.orders.run, seat.topic), began) {
                Ok(handshake) => {
                    let number = self.lobby.keep(handshake, seat);
                    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
                    if let Some(handshake) = self.lobby.handshake(number) {
                        epoll::add(&self.epoll, &handshake.socket, unrest::handshake_data(number), flags)?;
                    }
                }
                Err(reason) => self.turn_away(seat, reason, tape),
            }
        }
        Ok(())
    }

    fn turn_away(&mut self, seat: Seat, reason: String, tape: &mut Tape) {
        match seat.place {
            Some(_) => self.try_again(seat, reason, tape),
            None => tape.refuse(reason),
        }
    }

    /// Who is not in by now will not be.
    fn give_up(&mut self, tape: &mut Tape) {
        let absent = self.lobby.clear();
        let unconfirmed = self.connections.iter_mut().filter(|connection| {
            connection.rest.as_ref().is_some_and(|rest| rest.waiting_since.is_some()) && connection.socket.is_some()
        });
        let unconfirmed = unconfirmed.map(|connection| connection.socket = None).count();
        for _ in 0..absent + unconfirmed {
            tape.refuse("the server did not answer in time".to_owned());
        }
    }

    fn shake(&mut self, number: usize, tape: &mut Tape) -> io::Result<()> {
        let Some(handshake) = self.lobby.handshake(number) else { return Ok(()) };
        let turn = handshake.turn(&self.orders.door);
        self.ear.now = self.orders.board.clock.now();
        match turn {
            Ok(None) => {}
            Err(reason) => {
                if let Some((_, seat)) = self.lobby.release(number) {
                    self.turn_away(seat, reason, tape);
                }
            }
            Ok(Some(unread)) => {
                if let Some((handshake, seat)) = self.lobby.release(number) {
                    self.seat(handshake, seat, unread, tape)?;
                }
            }
        }
        Ok(())
    }

    /// The upgrade is answered: a client like the others.
    fn seat(&mut self, handshake: Handshake, seat: Seat, unread: Vec<u8>, tape: &mut Tape) -> io::Result<()> {
        let place = seat.place.unwrap_or(self.connections.len());
        // Who is slow for hours, and comes back each time, is not looked at from outside.
        if seat.standing == Standing::Excused
            && self.orders.course.slow.clients == 0
            && let (Ok(server), Ok(own)) = (handshake.socket.peer_addr(), handshake.socket.local_addr())
        {
            tape.slow_ends.push((server, own));
        }
        let data = epoll::EventData::new_u64(place as u64);
        epoll::modify(&self.epoll, &handshake.socket, data, epoll::EventFlags::IN)?;
        let Seat { topic, standing, .. } = seat;
        let expectation = match standing {
            Standing::Steady => Expectation::from_the_first(topic),
            Standing::Passing | Standing::Excused => Expectation::from_now_on(topic, standing),
        };
        if seat.place.is_some() {
            self.connections[place] = Connection::again(handshake.socket, expectation, handshake.began);
        } else {
            self.connections.push(Connection::new(handshake.socket, expectation, handshake.began));
            let seat = Seat { place: Some(place), ..seat };
            match standing {
                Standing::Steady => {}
                Standing::Excused if self.orders.course.slow.clients > 0 => self.slow.add(seat),
                Standing::Passing | Standing::Excused => self.restless.add(seat),
            }
        }
        let connection = &mut self.connections[place];
        let opcode = if self.orders.dialect.speaks_text() { Opcode::TEXT } else { Opcode::BINARY };
        for message in self.orders.dialect.greeting(&topic_name(self.orders.run, topic)) {
            connection.send(opcode, &message);
        }
        if self.orders.dialect.is_bare() {
            self.ear.subscribe(connection, tape);
        }
        connection.rest().unread = unread;
        // What came behind the answer is read with what comes next, or now.
        self.receive(place, usize::MAX, tape);
        Ok(())
    }

    /// Reads what there is for one connection, so many bytes at most, and counts it.
    fn receive(&mut self, place: usize, bytes_max: usize, tape: &mut Tape) {
        let connection = &mut self.connections[place];
        let Some(socket) = &mut connection.socket else { return };
        let kept = connection.rest.as_mut().map(|rest| std::mem::take(&mut rest.unread)).unwrap_or_default();
        if self.scratch.len() < 2 * kept.len() {
            self.scratch.resize(2 * kept.len(), 0);
        }
        self.scratch[..kept.len()].copy_from_slice(&kept);
        let end = self.scratch.len().min(kept.len().saturating_add(bytes_max));
        let read = socket.read(&mut self.scratch[kept.len()..end]);
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
            leave(connection, ended, self.ear.now, tape);
        }
    }
}

/// The connection is over; closing its socket takes it out of the epoll set.
fn leave(connection: &mut Connection, ended: Ended, now: u64, tape: &mut Tape) {
    connection.socket = None;
    let is_leaving = connection.rest.as_ref().is_some_and(|rest| rest.is_leaving);
    let waited = connection.rest.take().filter(|rest| rest.waiting_since.is_some());
    match (waited, connection.expectation.standing) {
        // It stays away: a server that lets clients in and throws them out at once is not come back to.
        (Some(rest), _) if rest.is_back => *tape.ledger.closed.entry(ended.code).or_default() += 1,
        (Some(_), _) => {
            tape.refuse(format!("the server ended a connection before it was subscribed ({})", ended.code));
        }
        (None, Standing::Passing) if is_leaving => tape.say_goodbye(ended.code),
        (None, standing) => {
            tape.open -= 1;
            tape.steady -= u64::from(standing == Standing::Steady);
            match standing {
                Standing::Excused => tape.given_up.push((now, ended.code)),
                _ => *tape.ledger.closed.entry(ended.code).or_default() += 1,
            }
        }
    }
}
