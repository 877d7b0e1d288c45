//! One HTTP connection: its socket, what has arrived of a request, what has not left of a response.
//!
//! ```text
//!            ┌────────── answered ───────────┐
//!            ▼                               │
//!  Head ──► Idle ──► Head ──► Body ──► Broker┤        (Body and Broker only for an event; where the nodes are
//!  accept    kept     a part of              │         asked something, Nodes stands for Broker)
//!            alive    a head                 └──► Closing ──► Lingering ──► gone
//!                                                 last answer  until the client
//!                                                 is leaving   has read it
//! ```
//!
//! While a response is leaving nothing is read: a client that does not read is not served.

use super::audience::Audience;
use super::inquiry::Inquiry;
use super::request::DISCARD_BYTES_MAX;
use super::response::Persistence;
use crate::ear::{TICK, Tick};
use crate::engine::topic::Topic;
use crate::wire::head::{HEAD_BYTES_MAX, Head};
use bytes::{Bytes, BytesMut};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// From accept, or from the first byte on a kept-alive connection, to the end of the head. A head is one segment or two.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);

/// Between two requests: longer than the 60 s most proxies keep their side, so that they are the ones who close.
const IDLE_TIME_MAX: Duration = Duration::from_secs(75);

/// From the end of the head to the end of the body: 16 MiB at 4.5 Mbit/s.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// Until the broker has answered: several times the back-off of a reconnect.
const BROKER_TIME_MAX: Duration = Duration::from_secs(10);

/// Until every node has answered: each does within a turn or two.
const NODES_TIME_MAX: Duration = Duration::from_secs(10);

/// Until a response is in the kernel: the largest, of a thousand connections, has some hundreds of KB.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Until the client has closed after the last response: as long as a slow mobile round trip.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes that are thrown away behind the last response. Closing over unread bytes resets the connection, and the
/// client might never see the response (RFC 9112 §9.6).
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a connection that expects bytes is left alone while descriptors are short: a request that was begun is there
/// by then on a slow mobile link, too.
pub(super) const HASTE: Duration = Duration::from_secs(1);

/// Where an exchange stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Kept alive; nothing of the next request is there.
    Idle,
    /// A head is expected or arriving.
    Head,
    /// A body is arriving.
    Body(Box<Arrival>),
    /// The broker has the event.
    Broker,
    /// The nodes were asked something.
    Nodes(Box<Inquiry>),
    /// The last response is leaving.
    Closing,
    /// The last response has left; what still arrives is thrown away.
    Lingering {
        /// How much more of it is.
        bytes_left: usize,
    },
}

impl Phase {
    fn time_max(&self) -> Duration {
        match self {
            Self::Idle => IDLE_TIME_MAX,
            Self::Head => HEAD_TIME_MAX,
            Self::Body(_) => BODY_TIME_MAX,
            Self::Broker => BROKER_TIME_MAX,
            Self::Nodes(_) => NODES_TIME_MAX,
            Self::Closing => ANSWER_TIME_MAX,
            Self::Lingering { .. } => LINGER_TIME_MAX,
        }
    }
}

/// What a body is wanted for.
#[derive(Debug)]
pub(super) enum Errand {
    /// It is an event for this topic.
    Publish(Topic),
    /// It says whom to disconnect.
    Dismiss,
}

/// A body of which at least the length is known.
#[derive(Debug)]
pub(super) struct Arrival {
    errand: Errand,
    payload: BytesMut,
    length: usize,
}

impl Arrival {
    /// A body none of which is there; memory grows with what arrives, whatever length was announced.
    pub(super) fn new(errand: Errand, length: usize) -> Self {
        Self { errand, payload: BytesMut::new(), length }
    }

    /// Takes what belongs to the body off the front of `input`.
    pub(super) fn take(&mut self, input: &mut &[u8]) {
        let (own, rest) = input.split_at(input.len().min(self.missing_bytes()));
        self.payload.extend_from_slice(own);
        *input = rest;
    }

    /// How much has not arrived.
    pub(super) fn missing_bytes(&self) -> usize {
        self.length - self.payload.len()
    }

    /// All of it, and what it is wanted for.
    pub(super) fn into_parts(self) -> (Errand, Bytes) {
        assert!(self.missing_bytes() == 0, "a body is taken whole or not at all");
        (self.errand, self.payload.freeze())
    }
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// So many bytes in scratch, those that were there before included.
    Bytes(usize),
    /// Nothing new.
    Nothing,
    /// The client has ended its side.
    End,
}

/// Whether a response has left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The kernel has all of it.
    Whole,
    /// The rest goes when the socket has room.
    Partly,
}

#[derive(Debug)]
struct Unsent {
    bytes: Vec<u8>,
    sent_bytes: usize,
}

/// One HTTP connection. While it is idle it owns no memory on the heap.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) audience: Audience,
    pub(super) phase: Phase,
    /// What the request in hand leaves of the connection.
    pub(super) persistence: Persistence,
    /// Bytes of a body that nobody wants, thrown away in front of the next head.
    skip_bytes: u64,
    /// When it is given up.
    pub(super) deadline: Tick,
    /// The entry of the wheel that counts: others for the same exchange are stale.
    pub(super) filed: Tick,
    /// At most [`HEAD_BYTES_MAX`]: a part of a head, or requests sent ahead of their turn.
    unread: Vec<u8>,
    unsent: Option<Box<Unsent>>,
}

impl Exchange {
    /// A connection that was just accepted; `socket` is non-blocking.
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, audience: Audience, now: Tick) -> Self {
        let deadline = now.after(HEAD_TIME_MAX);
        Self {
            socket,
            peer,
            audience,
            phase: Phase::Head,
            persistence: Persistence::Implied,
            skip_bytes: 0,
            deadline,
            filed: deadline,
            unread: Vec::new(),
            unsent: None,
        }
    }

    /// Moves on, and gives the new phase its time.
    pub(super) fn enter(&mut self, phase: Phase, now: Tick) {
        self.deadline = now.after(phase.time_max());
        self.phase = phase;
    }

    /// Whether nothing is under way in either direction.
    pub(super) fn is_idle(&self) -> bool {
        let expects_nothing = matches!(self.phase, Phase::Idle | Phase::Head);
        expects_nothing && self.unread.is_empty() && self.unsent.is_none()
    }

    /// Whether it has expected bytes for a while that it owes nothing for: who needs its descriptor needs it more.
    pub(super) fn is_dispensable(&self, now: Tick) -> bool {
        let expects_bytes = matches!(self.phase, Phase::Idle | Phase::Head | Phase::Lingering { .. });
        let left = TICK.saturating_mul(self.deadline.ticks_since(now));
        expects_bytes && !self.is_sending() && left + HASTE <= self.phase.time_max()
    }

    /// Whether a response is leaving.
    pub(super) fn is_sending(&self) -> bool {
        self.unsent.is_some()
    }

    /// Whether a part of a request has arrived, and no answer is on its way.
    pub(super) fn is_mid_request(&self) -> bool {
        let is_partial = match self.phase {
            Phase::Head => !self.unread.is_empty(),
            Phase::Body(_) => true,
            _ => false,
        };
        is_partial && !self.is_sending()
    }

    /// Reads once into `scratch`, behind what was left unread before.
    pub(super) fn receive(&mut self, scratch: &mut [u8]) -> io::Result<Received> {
        let unread = mem::take(&mut self.unread);
        let limit = scratch.len().min(self.read_bytes_max());
        assert!(unread.len() < limit, "a head that fills its limit was refused");
        scratch[..unread.len()].copy_from_slice(&unread);
        match self.socket.read(&mut scratch[unread.len()..limit]) {
            Ok(0) => Ok(Received::End),
            Ok(read) => Ok(Received::Bytes(unread.len() + read)),
            Err(error) if is_temporary(&error) => {
                self.unread = unread;
                Ok(Received::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// What may be read ahead is what [`Exchange::keep`] may have to keep.
    fn read_bytes_max(&self) -> usize {
        match &self.phase {
            Phase::Body(arrival) => arrival.missing_bytes().saturating_add(HEAD_BYTES_MAX),
            Phase::Lingering { .. } => usize::MAX,
            _ => HEAD_BYTES_MAX,
        }
    }

    /// Throws away what was read and nobody wants; `false` once it is too much.
    pub(super) fn discard(&mut self, read: usize) -> bool {
        let Phase::Lingering { bytes_left } = &mut self.phase else { unreachable!("only who lingers discards") };
        *bytes_left = bytes_left.saturating_sub(read);
        *bytes_left > 0
    }

    /// Nobody wants the body of this request: it is thrown away, or the connection ends with the answer.
    pub(super) fn decline_body(&mut self, head: &Head<'_>) {
        self.skip_bytes = head.body_bytes;
        // Whoever waits for a go-ahead may or may not send the body (RFC 9110 §10.1.1).
        if head.body_bytes > DISCARD_BYTES_MAX || head.expects_continue() {
            self.persistence = Persistence::Close;
        }
    }

    /// Takes the rest of an unwanted body off the front of `input`.
    pub(super) fn skip(&mut self, input: &mut &[u8]) {
        let skipped = usize::try_from(self.skip_bytes).unwrap_or(usize::MAX).min(input.len());
        self.skip_bytes -= skipped as u64;
        *input = &input[skipped..];
    }

    /// Keeps what cannot be answered yet.
    pub(super) fn keep(&mut self, input: &[u8], now: Tick) {
        assert!(input.len() <= HEAD_BYTES_MAX, "no more is read ahead than one head");
        self.unread = input.to_vec();
        if matches!(self.phase, Phase::Idle) && !input.is_empty() && !self.is_sending() {
            self.enter(Phase::Head, now);
        }
    }

    /// What was kept.
    pub(super) fn take_unread(&mut self) -> Vec<u8> {
        mem::take(&mut self.unread)
    }

    /// Sends as much as the kernel takes; what it does not take must leave within [`ANSWER_TIME_MAX`].
    pub(super) fn send(&mut self, bytes: Vec<u8>, now: Tick) -> io::Result<Sent> {
        assert!(self.unsent.is_none(), "one response at a time");
        let sent_bytes = write_some(&mut &self.socket, &bytes)?;
        if sent_bytes == bytes.len() {
            return Ok(Sent::Whole);
        }
        self.unsent = Some(Box::new(Unsent { bytes, sent_bytes }));
        self.deadline = now.after(ANSWER_TIME_MAX);
        Ok(Sent::Partly)
    }

    /// Waits for room once, although nothing is left to send.
    pub(super) fn yield_turn(&mut self) {
        self.unsent.get_or_insert_with(|| Box::new(Unsent { bytes: Vec::new(), sent_bytes: 0 }));
    }

    /// Goes on sending; once all has left, the phase gets its time anew.
    pub(super) fn flush(&mut self, now: Tick) -> io::Result<Sent> {
        let Some(unsent) = &mut self.unsent else { return Ok(Sent::Whole) };
        unsent.sent_bytes += write_some(&mut &self.socket, &unsent.bytes[unsent.sent_bytes..])?;
        if unsent.sent_bytes < unsent.bytes.len() {
            return Ok(Sent::Partly);
        }
        self.unsent = None;
        self.deadline = now.after(self.phase.time_max());
        Ok(Sent::Whole)
    }

    /// Ends this side; the client reads the last response and ends its own.
    pub(super) fn linger(&mut self, now: Tick) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)?;
        self.enter(Phase::Lingering { bytes_left: LINGER_BYTES_MAX }, now);
        Ok(())
    }

    /// Whether it costs more memory than its place.
    #[cfg(test)]
    pub(super) fn owns_heap(&self) -> bool {
        self.unread.capacity() > 0 || self.unsent.is_some() || matches!(self.phase, Phase::Body(_))
    }

    /// Whether the client has broken the connection off while nothing was read from it.
    pub(super) fn is_broken(&self) -> bool {
        !matches!(self.socket.take_error(), Ok(None))
    }
}

fn write_some(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    match socket.write(bytes) {
        Err(error) if is_temporary(&error) => Ok(0),
        written => written,
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
