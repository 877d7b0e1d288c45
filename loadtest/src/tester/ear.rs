//! Makes events of the bytes that one connection got, and counts them.

use super::board::{Board, Tape, shown};
use super::connection::Connection;
use super::dialect::{Dialect, GapReason, Heard, Notice, notice};
use super::form::Form;
use super::ledger::{Arrival, Standing};
use super::stamp::Stamp;
use super::window::Countdown;
use crate::client_frame::Opcode;
use crate::server_frame::ServerFrame;
use std::sync::atomic::Ordering::SeqCst;

/// A message in several frames or packets may grow to this size, in bytes.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

/// What one thread hears with.
pub(crate) struct Ear<'a> {
    board: &'a Board,
    dialect: &'static dyn Dialect,
    run: u16,
    /// Whether clients asked for the server's own notices.
    is_told: bool,
    /// One for each size of events.
    forms: Vec<Form>,
    countdown: Countdown,
    /// The moment of the last read, in nanoseconds on the run's clock.
    pub(crate) now: u64,
    /// Events due from then on are measured.
    pub(crate) measured_from: u64,
    /// A latency and how often it came in a row: one read brings many events of the same moment.
    latency: (u64, u64),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The close code; 1006 without one (RFC 6455 §7.4.1).
    pub(crate) code: u16,
}

impl<'a> Ear<'a> {
    pub(crate) fn new(board: &'a Board, dialect: &'static dyn Dialect, run: u16, forms: Vec<Form>) -> Self {
        let countdown = Countdown::new(board.window.len(), board.threads_of.len());
        Self { board, dialect, run, is_told: false, forms, countdown, now: 0, measured_from: u64::MAX, latency: (0, 0) }
    }

    /// The same, for clients who asked for the server's own notices, or did not.
    pub(crate) fn told(self, is_told: bool) -> Self {
        Self { is_told, ..self }
    }

    /// Takes what one read brought and gives how many bytes of it made whole frames.
    pub(crate) fn take(&mut self, connection: &mut Connection, bytes: &[u8], tape: &mut Tape) -> Result<usize, Ended> {
        let mut used = 0;
        let outcome = loop {
            let unread = &bytes[used..];
            let found = self.forms.iter().find_map(|form| form.event(unread).map(|stamp| (stamp, form.frame_bytes())));
            if let Some((stamp, length)) = found.filter(|_| self.dialect.is_bare()) {
                used += length;
                self.count(connection, stamp, tape);
                continue;
            }
            let Ok(parsed) = ServerFrame::parse(unread) else {
                mark_foreign(tape, unread);
                break Err(Ended { code: 1002 });
            };
            let Some(frame) = parsed else { break Ok(used) };
            used += frame.length;
            if let Err(ended) = self.take_frame(connection, frame, tape) {
                break Err(ended);
            }
        };
        self.settle(tape);
        outcome
    }

    /// The connection is subscribed.
    pub(crate) fn subscribe(&mut self, connection: &mut Connection, tape: &mut Tape) {
        let Some(began) = connection.rest().waiting_since.take() else { return };
        if std::mem::take(&mut connection.rest().is_back) {
            return tape.take_back(began, self.now);
        }
        tape.connect(began, self.now);
        if connection.expectation.standing != Standing::Steady {
            return;
        }
        tape.steady += 1;
        let topic = connection.expectation.topic;
        if self.countdown.listen(topic) == 1 {
            self.board.threads_of[topic as usize].fetch_add(1, SeqCst);
        }
        self.board.listeners_of[topic as usize].fetch_add(1, SeqCst);
    }

    fn take_frame(
        &mut self,
        connection: &mut Connection,
        frame: ServerFrame<'_>,
        tape: &mut Tape,
    ) -> Result<(), Ended> {
        match frame.opcode {
            Opcode::PING => connection.send(Opcode::PONG, frame.payload),
            Opcode::PONG => {}
            Opcode::CLOSE => return Err(Ended { code: frame.close_code().unwrap_or(1005) }),
            Opcode::TEXT | Opcode::BINARY | Opcode::CONTINUATION => return self.take_part(connection, frame, tape),
            _ => mark_foreign(tape, frame.payload),
        }
        Ok(())
    }

    /// Puts a message together from its frames; most have one.
    fn take_part(&mut self, connection: &mut Connection, frame: ServerFrame<'_>, tape: &mut Tape) -> Result<(), Ended> {
        let begun = connection.rest.as_mut().and_then(|rest| rest.message.take());
        if frame.is_final && begun.is_none() {
            return self.take_message(connection, frame.payload, tape);
        }
        let mut message = begun.unwrap_or_default();
        message.extend_from_slice(frame.payload);
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Ended { code: 1009 });
        }
        if frame.is_final {
            return self.take_message(connection, &message, tape);
        }
        connection.rest().message = Some(message);
        Ok(())
    }

    fn take_message(&mut self, connection: &mut Connection, message: &[u8], tape: &mut Tape) -> Result<(), Ended> {
        let carry = connection.rest.as_mut().map(|rest| std::mem::take(&mut rest.carry)).unwrap_or_default();
        if carry.is_empty() {
            return self.take_packets(connection, message, tape);
        }
        if carry.len() + message.len() > MESSAGE_BYTES_MAX {
            return Err(Ended { code: 1009 });
        }
        self.take_packets(connection, &[&carry, message].concat(), tape)
    }

    fn take_packets(&mut self, connection: &mut Connection, bytes: &[u8], tape: &mut Tape) -> Result<(), Ended> {
        let mut unheard = bytes;
        loop {
            let Some((heard, used)) = self.dialect.hear(unheard) else {
                connection.rest().carry = unheard.to_vec();
                return Ok(());
            };
            self.hear(connection, heard, tape)?;
            unheard = unheard.get(used..).unwrap_or_default();
            if unheard.is_empty() || used == 0 {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, connection: &mut Connection, heard: Heard<'_>, tape: &mut Tape) -> Result<(), Ended> {
        match heard {
            Heard::Event(event) => match self.forms.iter().find_map(|form| Stamp::parse(event, form.event_bytes())) {
                Some(stamp) => self.count(connection, stamp, tape),
                None => self.take_notice(connection, event, tape),
            },
            Heard::Subscribed => {
                tape.ledger.beside += 1;
                self.subscribe(connection, tape);
            }
            Heard::Answer(answer) => {
                tape.ledger.beside += 1;
                let opcode = if self.dialect.speaks_text() { Opcode::TEXT } else { Opcode::BINARY };
                connection.send(opcode, &answer);
            }
            Heard::Nothing => tape.ledger.beside += 1,
            Heard::Broken(reason) => {
                mark_foreign(tape, reason.as_bytes());
                return Err(Ended { code: 1002 });
            }
        }
        Ok(())
    }

    /// What is no event is the server's own word, where clients asked for it, and a stranger's where not.
    fn take_notice(&self, connection: &mut Connection, text: &[u8], tape: &mut Tape) {
        if !self.is_told {
            return mark_foreign(tape, text);
        }
        match notice(text) {
            // Its own events, which it did not read in time; the server does not count this one as a frame.
            Some(Notice::Gap { reason: GapReason::SlowConsumer }) => connection.expectation.warn(),
            Some(Notice::Gap { .. }) => {
                connection.expectation.warn();
                tape.ledger.gaps += u64::from(connection.expectation.standing == Standing::Steady);
                tape.ledger.beside += 1;
            }
            Some(_) => tape.ledger.beside += 1,
            None => mark_foreign(tape, text),
        }
    }

    fn count(&mut self, connection: &mut Connection, stamp: Stamp, tape: &mut Tape) {
        let expectation = &mut connection.expectation;
        if stamp.run != self.run || stamp.topic != expectation.topic {
            return mark_foreign(tape, format!("{stamp:?} to topic {}", expectation.topic).as_bytes());
        }
        match expectation.take(stamp.sequence) {
            Arrival::New => {}
            Arrival::Late => tape.ledger.reordered += 1,
            Arrival::Again => return tape.ledger.duplicated += 1,
        }
        tape.ledger.arrived += 1;
        match expectation.standing {
            Standing::Steady => tape.ledger.awaited += 1,
            Standing::Passing => {}
            Standing::Excused => return,
        }
        if stamp.due >= self.measured_from {
            tape.ledger.delivered += 1;
            self.note(self.now.saturating_sub(stamp.due), tape);
        }
        self.countdown.count(stamp.place, stamp.topic, &self.board.window);
    }

    fn note(&mut self, latency: u64, tape: &mut Tape) {
        if self.latency.0 != latency {
            tape.latency.saturating_record_n(self.latency.0, self.latency.1);
            self.latency = (latency, 0);
        }
        self.latency.1 += 1;
    }

    /// Hands on what was gathered during one read.
    fn settle(&mut self, tape: &mut Tape) {
        let (latency, count) = std::mem::take(&mut self.latency);
        if count > 0 {
            tape.latency.saturating_record_n(latency, count);
            tape.last_delivery = self.now;
        }
    }

    /// Lets the publishing thread go on, once a turn: woken for every event, it would publish them one by one.
    pub(crate) fn end_turn(&mut self) {
        self.countdown.settle(&self.board.window);
    }
}

fn mark_foreign(tape: &mut Tape, bytes: &[u8]) {
    tape.ledger.foreign += 1;
    tape.stranger.get_or_insert_with(|| shown(bytes));
}

#[cfg(test)]
mod tests;
