//! What began in an earlier input: part of a header, of a frame, of a message.

use super::event::{ClientClose, Finished};
use super::header::{ControlKind, HEADER_BYTES_MAX, Header, Kind};
use super::message::Message;
use super::violation::Violation;
use arrayvec::ArrayVec;

/// The memory of a decoder that is not idle. Dropped as soon as nothing is left in it.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// The start of a header, where an input ended within one.
    pub(super) header: ArrayVec<u8, HEADER_BYTES_MAX>,
    /// The frame whose payload is still arriving: at least one byte of it is missing.
    frame: Option<Header>,
    /// Fragments of the message under way.
    message: Option<Message>,
    /// The payload of a control frame, which may stand between two fragments (RFC 6455 §5.4).
    control: Vec<u8>,
}

impl Unfinished {
    /// The frame whose payload continues in this input.
    pub(super) fn resume(&mut self) -> Option<Header> {
        self.frame.take()
    }

    /// Payload bytes of the message under way, if there is one.
    pub(super) fn message_bytes(&self) -> Option<usize> {
        self.message.as_ref().map(Message::bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.header.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.header.len() + self.control.len() + self.message_bytes().unwrap_or(0)
    }

    /// Memory reserved for payloads.
    #[cfg(test)]
    pub(super) fn reserved_bytes(&self) -> usize {
        self.control.capacity() + self.message.as_ref().map_or(0, Message::reserved_bytes)
    }

    /// Adds what arrived of a frame; gives back what it finishes.
    pub(super) fn gather(
        &mut self,
        frame: Header,
        payload: &[u8],
        message_bytes_max: usize,
    ) -> Result<Option<Finished>, Violation> {
        let is_last = frame.is_final && frame.payload_bytes_left == 0;
        let kind = frame.kind;
        self.frame = (frame.payload_bytes_left > 0).then_some(frame);
        match kind {
            Kind::Control(control) => self.gather_control(control, payload)?,
            Kind::Start(data) => {
                self.message.get_or_insert_with(|| Message::new(data)).push(payload, message_bytes_max)?;
            }
            Kind::Continuation => {
                let message = self.message.as_mut().expect("a header is refused if it continues nothing");
                message.push(payload, message_bytes_max)?;
            }
        }
        if is_last { self.finish(kind).map(Some) } else { Ok(None) }
    }

    fn gather_control(&mut self, control: ControlKind, payload: &[u8]) -> Result<(), Violation> {
        self.control.extend_from_slice(payload);
        if control == ControlKind::Close { ClientClose::check_begun(&self.control) } else { Ok(()) }
    }

    fn finish(&mut self, kind: Kind) -> Result<Finished, Violation> {
        match kind {
            Kind::Control(control) => Ok(Finished::Control(control, std::mem::take(&mut self.control))),
            Kind::Start(_) | Kind::Continuation => self.message.take().expect("its last frame was gathered").finish(),
        }
    }
}
