//! What a client's frames come to: messages, parts of them, and control frames.

use super::header::{ControlKind, DataKind, Kind};
use super::text;
use super::violation::Violation;
use tungstenite::protocol::frame::coding::CloseCode;

/// What one more frame came to, borrowed from the input until the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A part of a message whose last one is still to come (RFC 6455 §5.4). However short, it cost as much to read as
    /// a message does.
    Part,
    /// A text message (RFC 6455 §5.6).
    Text(&'a str),
    /// A binary message (RFC 6455 §5.6).
    Binary(&'a [u8]),
    /// A ping of at most 125 bytes, to be answered with a pong that carries the same (RFC 6455 §5.5.2).
    Ping(&'a [u8]),
    /// A pong of at most 125 bytes, asked for or not (RFC 6455 §5.5.3).
    Pong(&'a [u8]),
    /// The client closes, perhaps says why; no frame after this one counts (RFC 6455 §5.5.1).
    Close(Option<ClientClose<'a>>),
}

/// Why a client closes (RFC 6455 §5.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientClose<'a> {
    /// A code that may travel: 1000-1003, 1007-1014, 3000-4999 (RFC 6455 §7.4, IANA's registry of close codes).
    pub code: u16,
    /// At most 123 bytes, perhaps empty.
    pub reason: &'a str,
}

/// What an event is made of when it did not stand whole in one input.
#[derive(Debug)]
pub(super) enum Finished {
    Text(String),
    Binary(Vec<u8>),
    Control(ControlKind, Vec<u8>),
}

impl<'a> Event<'a> {
    /// The event of a frame that is a whole message or a control frame; `payload` is unmasked.
    pub(super) fn of(kind: Kind, payload: &'a [u8]) -> Result<Self, Violation> {
        match kind {
            Kind::Start(DataKind::Text) => str::from_utf8(payload).map(Self::Text).map_err(|_| Violation::NotUtf8),
            Kind::Start(DataKind::Binary) => Ok(Self::Binary(payload)),
            Kind::Control(control) => Self::control(control, payload),
            Kind::Continuation => unreachable!("a continuation is never a whole message"),
        }
    }

    fn control(control: ControlKind, payload: &'a [u8]) -> Result<Self, Violation> {
        match control {
            ControlKind::Close => ClientClose::parse(payload).map(Self::Close),
            ControlKind::Ping => Ok(Self::Ping(payload)),
            ControlKind::Pong => Ok(Self::Pong(payload)),
        }
    }
}

impl Finished {
    pub(super) fn event(&self) -> Result<Event<'_>, Violation> {
        match self {
            Self::Text(text) => Ok(Event::Text(text)),
            Self::Binary(payload) => Ok(Event::Binary(payload)),
            Self::Control(control, payload) => Event::control(*control, payload),
        }
    }
}

impl<'a> ClientClose<'a> {
    fn parse(payload: &'a [u8]) -> Result<Option<Self>, Violation> {
        if payload.is_empty() {
            return Ok(None);
        }
        let (code, reason) = payload.split_first_chunk().ok_or(Violation::CLOSE_CODE_CUT)?;
        let code = check_code(u16::from_be_bytes(*code))?;
        let reason = str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
        Ok(Some(Self { code, reason }))
    }

    /// Refuses the start of a payload that no further bytes can mend.
    pub(super) fn check_begun(payload: &[u8]) -> Result<(), Violation> {
        let Some((code, reason)) = payload.split_first_chunk() else { return Ok(()) };
        check_code(u16::from_be_bytes(*code))?;
        text::split(reason).map(|_| ()).map_err(|_| Violation::NotUtf8)
    }
}

/// Some codes are never sent, others mean nothing yet (RFC 6455 §7.4).
fn check_code(code: u16) -> Result<u16, Violation> {
    /// "Bad gateway": registered with IANA after the RFC, and not known to tungstenite.
    const BAD_GATEWAY: u16 = 1014;
    if code == BAD_GATEWAY || CloseCode::from(code).is_allowed() { Ok(code) } else { Err(Violation::CLOSE_CODE) }
}
