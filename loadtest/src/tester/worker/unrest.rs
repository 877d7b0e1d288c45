//! What restless connections do: they drop and come back, or read slowly.

use super::slow::{LOOK_AGAIN, Told, sip_bytes};
use super::{IS_HANDSHAKE, RETRY_AFTER, Worker, leave};
use crate::client_frame::Opcode;
use crate::tester::board::Tape;
use crate::tester::clock::{SECOND, from_seconds, whole};
use crate::tester::course::Unrest;
use crate::tester::ear::Ended;
use crate::tester::seat::Seat;
use rustix::event::epoll;
use std::io;
use std::sync::atomic::Ordering::SeqCst;

/// RFC 6455 §7.4.1: the purpose was fulfilled.
const NORMAL: u16 = 1000;

/// How far this thread is with what its restless connections are to do.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The act that was begun last.
    act: u32,
    /// Seats of the restless, at the places where they were connected.
    seats: Vec<Seat>,
    /// How many have left so far, one after another.
    left: u64,
    /// Those of the seats whose goodbye is not answered yet.
    leaving: Vec<usize>,
    /// When slow readers read next; 0 while they read like everybody.
    next_sip: u64,
}

impl Progress {
    /// One more that will not just listen.
    pub(super) fn add(&mut self, seat: Seat) {
        self.seats.push(seat);
    }
}

impl Worker<'_> {
    /// Does what is due.
    pub(super) fn stir(&mut self, now: u64, tape: &mut Tape) -> io::Result<()> {
        let board = self.orders.board;
        if self.restless.seats.is_empty() || now < board.act_from.load(SeqCst) {
            return Ok(());
        }
        let act = board.act.load(SeqCst);
        let is_new = self.restless.act != act;
        self.restless.act = act;
        match self.orders.course.unrest {
            Unrest::Storm { stagger } if is_new => self.scatter(stagger, tape),
            Unrest::None | Unrest::Storm { .. } => {}
            Unrest::Churn { per_second } => self.churn(per_second / f64::from(self.orders.threads), now, tape),
            Unrest::Slow { .. } if is_new && act == 1 => self.tell_all(Told::ItsEnd)?,
            Unrest::Slow { .. } if is_new => self.tell_all(Told::Everything)?,
            Unrest::Slow { bytes_per_second } => self.sip(bytes_per_second, now, tape),
        }
        Ok(())
    }

    /// When [`Worker::stir`] has something to do next, as far as that is known.
    pub(super) fn next_stir(&self) -> u64 {
        match self.orders.course.unrest {
            Unrest::Slow { bytes_per_second: 1.. } if self.restless.next_sip > 0 => self.restless.next_sip,
            Unrest::Storm { .. } if self.restless.act != self.orders.board.act.load(SeqCst) => {
                self.orders.board.act_from.load(SeqCst)
            }
            _ => u64::MAX,
        }
    }

    /// Everybody drops, without a word as when a network fails, and comes back within `stagger` seconds.
    fn scatter(&mut self, stagger: f64, tape: &mut Tape) {
        let from = self.orders.board.act_from.load(SeqCst);
        let spread = from_seconds(stagger);
        self.lobby.open_wide();
        for number in 0..self.restless.seats.len() {
            let due = from + if spread > 0 { fastrand::u64(..spread) } else { 0 };
            self.go_away(number, due, tape);
        }
    }

    /// One after another leaves with a goodbye and comes back once that is answered.
    fn churn(&mut self, per_second: f64, now: u64, tape: &mut Tape) {
        let board = self.orders.board;
        let until = now.min(board.until.load(SeqCst));
        let due = whole((until.saturating_sub(board.act_from.load(SeqCst))) as f64 / SECOND as f64 * per_second);
        // A thread that was held up does not send all of them away at once.
        let due_now = due.saturating_sub(self.restless.left).min(self.restless.seats.len() as u64);
        self.restless.left = due.max(self.restless.left);
        for turn in 0..due_now {
            let number = usize::try_from((due - turn) % self.restless.seats.len() as u64).unwrap_or(0);
            self.say_goodbye(number);
        }
        let mut leaving = std::mem::take(&mut self.restless.leaving);
        leaving.retain(|&number| !self.has_left(number, now, tape));
        self.restless.leaving = leaving;
    }

    /// Closes as browsers do. What the server sent before it heard of that is still read and counted.
    fn say_goodbye(&mut self, number: usize) {
        let Some(place) = self.restless.seats[number].place else { return };
        let connection = &mut self.connections[place];
        // Who is on the way back, or leaving, stays with that.
        let is_busy = connection.rest.as_ref().is_some_and(|rest| rest.waiting_since.is_some() || rest.is_leaving);
        if connection.socket.is_none() || is_busy {
            return;
        }
        connection.send(Opcode::CLOSE, &NORMAL.to_be_bytes());
        connection.rest().is_leaving = true;
        self.restless.leaving.push(number);
    }

    /// Whether the goodbye was answered; then the client comes back at once.
    fn has_left(&mut self, number: usize, now: u64, tape: &mut Tape) -> bool {
        let seat = self.restless.seats[number];
        let Some(place) = seat.place.filter(|&place| self.connections[place].socket.is_none()) else { return false };
        tape.ledger.lost += self.connections[place].expectation.skipped();
        tape.ledger.announced += self.connections[place].expectation.announced(0);
        self.lobby.expect(Seat { due: now.max(1), ..seat });
        true
    }

    fn go_away(&mut self, number: usize, due: u64, tape: &mut Tape) {
        let seat = Seat { due, ..self.restless.seats[number] };
        let Some(place) = seat.place else { return };
        let connection = &mut self.connections[place];
        // Who was closed by the server has failed the run and stays away.
        if connection.socket.take().is_none() {
            return;
        }
        tape.ledger.lost += connection.expectation.skipped();
        if connection.rest.take().is_some_and(|rest| rest.waiting_since.is_some()) {
            // It was on its way back.
            tape.open += 1;
            tape.away -= 1;
        }
        tape.open -= 1;
        tape.away += 1;
        self.lobby.expect(seat);
    }

    /// The slow are told of nothing but the end of their connection, or of everything again.
    fn tell_all(&mut self, of: Told) -> io::Result<()> {
        for place in self.restless.seats.iter().filter_map(|seat| seat.place) {
            self.tell_socket(place, of)?;
        }
        self.restless.next_sip = u64::from(of == Told::ItsEnd);
        Ok(())
    }

    /// Slow readers read a little.
    fn sip(&mut self, bytes_per_second: u32, now: u64, tape: &mut Tape) {
        if self.restless.next_sip == 0 || now < self.restless.next_sip || bytes_per_second == 0 {
            return;
        }
        self.restless.next_sip = now + LOOK_AGAIN;
        for number in 0..self.restless.seats.len() {
            if let Some(place) = self.restless.seats[number].place {
                self.receive(place, sip_bytes(bytes_per_second), tape);
            }
        }
    }

    /// Reads what is left of a connection that ended while nobody read.
    pub(super) fn read_out(&mut self, place: usize, tape: &mut Tape) {
        const READS_MAX: u32 = 1_024;
        for _ in 0..READS_MAX {
            self.receive(place, usize::MAX, tape);
            if self.connections[place].socket.is_none() {
                return;
            }
        }
        leave(&mut self.connections[place], Ended { code: 1006 }, self.ear.now, tape);
    }

    /// A client that could not come back tries again, as clients do.
    pub(super) fn try_again(&mut self, seat: Seat, reason: String, tape: &mut Tape) {
        tape.turn_away(reason);
        self.lobby.expect(Seat { due: self.ear.now + RETRY_AFTER, ..seat });
    }
}

/// Whether these events of a connection say that its end has come.
pub(super) fn is_end(flags: epoll::EventFlags) -> bool {
    flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
}

/// A number for epoll that says it is a handshake's.
pub(super) fn handshake_data(number: usize) -> epoll::EventData {
    epoll::EventData::new_u64(IS_HANDSHAKE | number as u64)
}
