//! Slow clients of a long run: they pause, or read a little at a time, and come back when they are closed.

use super::{RETRY_AFTER, Worker};
use crate::tester::board::Tape;
use crate::tester::clock::{SECOND, from_seconds};
use crate::tester::seat::Seat;
use rustix::event::epoll;
use std::io;
use std::sync::atomic::Ordering::SeqCst;

/// Between two looks at them, and so between two sips, in nanoseconds.
pub(super) const LOOK_AGAIN: u64 = SECOND / LOOKS_PER_SECOND;
const LOOKS_PER_SECOND: u64 = 10;

/// A pause is followed by reading: this part of it.
const READING_PART: u64 = 6;

/// The slow clients of one thread.
#[derive(Debug, Default)]
pub(super) struct SlowOnes {
    all: Vec<SlowOne>,
    next_look: u64,
}

/// One of them.
#[derive(Debug)]
struct SlowOne {
    seat: Seat,
    manner: Manner,
    /// Whether it was closed and has yet to come back.
    is_away: bool,
    told: Told,
    /// When that changes.
    until: u64,
}

/// How it is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Reads nothing for a while, then everything.
    Pauses,
    /// Reads a few bytes at a time.
    Sips,
}

/// What it hears of its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// That there are bytes.
    Everything,
    /// That the server has ended the stream, and nothing else.
    ItsEnd,
}

impl SlowOnes {
    /// One more, at the place where it was connected; every second one pauses.
    pub(super) fn add(&mut self, seat: Seat) {
        let manner = if self.all.len().is_multiple_of(2) { Manner::Pauses } else { Manner::Sips };
        self.all.push(SlowOne { seat, manner, is_away: false, told: Told::Everything, until: 0 });
    }

    /// When they are looked at next, as far as there are any.
    pub(super) fn next_look(&self) -> u64 {
        if self.all.is_empty() { u64::MAX } else { self.next_look }
    }
}

impl Worker<'_> {
    /// Lets the slow ones be slow, from the scenario's order to the last event.
    pub(super) fn look_at_the_slow(&mut self, now: u64, tape: &mut Tape) -> io::Result<()> {
        let board = self.orders.board;
        if now < self.slow.next_look() || now < board.act_from.load(SeqCst) {
            return Ok(());
        }
        self.slow.next_look = now + LOOK_AGAIN;
        let is_over = now >= board.until.load(SeqCst);
        let mut all = std::mem::take(&mut self.slow.all);
        let looked: io::Result<()> = all.iter_mut().try_for_each(|one| self.look_at(one, is_over, now, tape));
        self.slow.all = all;
        looked
    }

    fn look_at(&mut self, one: &mut SlowOne, is_over: bool, now: u64, tape: &mut Tape) -> io::Result<()> {
        let Some(place) = one.seat.place else { return Ok(()) };
        if self.connections[place].socket.is_none() {
            if !std::mem::replace(&mut one.is_away, true) {
                tape.away += 1;
                self.lobby.expect(Seat { due: now + RETRY_AFTER, ..one.seat });
            }
            return Ok(());
        }
        if std::mem::take(&mut one.is_away) {
            // A new socket, which is told of everything.
            (one.told, one.until) = (Told::Everything, 0);
        }
        match one.manner {
            _ if is_over => self.tell(one, place, Told::Everything),
            Manner::Pauses => self.pause(one, place, now),
            Manner::Sips => {
                self.receive(place, sip_bytes(self.orders.course.slow.bytes_per_second), tape);
                self.tell(one, place, Told::ItsEnd)
            }
        }
    }

    /// Begins a pause or ends it, where that is due. Those who came together do not pause together.
    fn pause(&self, one: &mut SlowOne, place: usize, now: u64) -> io::Result<()> {
        let pause = from_seconds(self.orders.course.slow.pause);
        if one.until == 0 {
            one.until = now + fastrand::u64(..=pause);
        }
        if now < one.until {
            return Ok(());
        }
        let (next, length) = match one.told {
            Told::Everything => (Told::ItsEnd, pause),
            Told::ItsEnd => (Told::Everything, pause / READING_PART),
        };
        one.until = now + length;
        self.tell(one, place, next)
    }

    /// Has one told of its bytes, or of its end alone.
    fn tell(&self, one: &mut SlowOne, place: usize, of: Told) -> io::Result<()> {
        if one.told == of {
            return Ok(());
        }
        one.told = of;
        self.tell_socket(place, of)
    }

    /// Has a connection told of its bytes, or of its end alone.
    pub(super) fn tell_socket(&self, place: usize, of: Told) -> io::Result<()> {
        let Some(socket) = &self.connections[place].socket else { return Ok(()) };
        let flags = match of {
            Told::Everything => epoll::EventFlags::IN,
            Told::ItsEnd => epoll::EventFlags::RDHUP,
        };
        Ok(epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(place as u64), flags)?)
    }
}

/// What somebody reads at a time who reads so much in a second.
pub(super) fn sip_bytes(bytes_per_second: u32) -> usize {
    usize::try_from(u64::from(bytes_per_second) / LOOKS_PER_SECOND).unwrap_or(1).max(1)
}
