//! Frames a client sends (RFC 6455 §5): a state machine from bytes to messages.
//!
//! ```text
//!   a whole frame that is a message ──► unmasked where it stands ──────► event, borrowed from the input
//!   anything less                   ──► unmasked, copied to Unfinished ─► event, once its last byte is here
//!                                                                         (of a fragment: that there was one)
//! ```
//!
//! Invariants: a decoder holds only what is unfinished; its memory follows the bytes that arrived, never what a header
//! claims; a frame that may not be sent is refused by its header, text by its first wrong byte.

mod event;
mod header;
mod mask;
mod message;
mod text;
mod unfinished;
mod violation;

#[cfg(test)]
mod tests;

pub use event::{ClientClose, Event};
pub use violation::Violation;

use arrayvec::ArrayVec;
use event::Finished;
use header::{HEADER_BYTES_MAX, Header};
use unfinished::Unfinished;

/// What one connection's bytes have come to so far: 8 bytes while nothing is unfinished.
///
/// It holds at most `message_bytes_max` bytes of a message, and beside them either 14 bytes of a header or 125 bytes of
/// a control frame.
#[derive(Debug, Default)]
pub struct Decoder {
    unfinished: Option<Box<Unfinished>>,
}

/// A cursor over bytes that were just read from a socket. Payloads are unmasked in place.
#[derive(Debug)]
pub struct Input<'b> {
    unread: &'b mut [u8],
    /// The message behind the latest event, if it came in pieces; released by the next call or with the input.
    finished: Option<Finished>,
}

impl Decoder {
    /// What the next frame comes to; `None` when all input is consumed and more is needed.
    ///
    /// `message_bytes_max` limits a message's payload, the sum of its fragments; control frames have a limit of their
    /// own, 125 bytes (RFC 6455 §5.5). After [`Event::Close`] or a [`Violation`] the connection is over: whatever
    /// stands behind them in the input is to be ignored (RFC 6455 §5.5.1, §7.1.7).
    #[inline]
    pub fn next<'a>(
        &mut self,
        input: &'a mut Input<'_>,
        message_bytes_max: usize,
    ) -> Result<Option<Event<'a>>, Violation> {
        let event = self.advance(input, message_bytes_max);
        if self.unfinished.as_ref().is_some_and(|unfinished| event.is_err() || unfinished.is_empty()) {
            self.unfinished = None;
        }
        event
    }

    /// Whether nothing is unfinished: no part of a header, a frame or a message waits for its rest.
    pub fn is_idle(&self) -> bool {
        self.unfinished.is_none()
    }

    /// Bytes received that wait for their rest. The memory behind them is at most twice as much, and half a
    /// kilobyte.
    pub fn buffered_bytes(&self) -> usize {
        self.unfinished.as_ref().map_or(0, |unfinished| unfinished.buffered_bytes())
    }

    fn advance<'a>(
        &mut self,
        input: &'a mut Input<'_>,
        message_bytes_max: usize,
    ) -> Result<Option<Event<'a>>, Violation> {
        input.finished = None;
        while !input.unread.is_empty() {
            let mut frame = match self.unfinished.as_mut().and_then(|unfinished| unfinished.resume()) {
                Some(frame) => frame,
                None => match self.open(input, message_bytes_max)? {
                    None => return Ok(None),
                    Some(frame) if frame.is_whole_event(input.unread.len()) => return borrow(frame, input).map(Some),
                    Some(frame) => frame,
                },
            };
            let payload = input.take(frame.payload_bytes_left.min(input.unread.len()));
            frame.receive(payload);
            let ends_here = frame.payload_bytes_left == 0;
            let unfinished = self.unfinished.get_or_insert_default();
            if let Some(finished) = unfinished.gather(frame, payload, message_bytes_max)? {
                return input.finished.insert(finished).event().map(Some);
            }
            if ends_here {
                return Ok(Some(Event::Part));
            }
        }
        Ok(None)
    }

    /// Reads a header; `None` if the input ends within it.
    fn open(&mut self, input: &mut Input<'_>, message_bytes_max: usize) -> Result<Option<Header>, Violation> {
        let under_way_bytes = self.unfinished.as_ref().and_then(|unfinished| unfinished.message_bytes());
        let mut begun = match &mut self.unfinished {
            Some(unfinished) => unfinished.header.take(),
            None => ArrayVec::<u8, HEADER_BYTES_MAX>::new(),
        };
        if begun.is_empty()
            && let Some((header, header_bytes)) = Header::parse(input.unread, under_way_bytes, message_bytes_max)?
        {
            input.take(header_bytes);
            return Ok(Some(header));
        }
        let begun_bytes = begun.len();
        let added_bytes = input.unread.len().min(begun.remaining_capacity());
        begun.extend(input.unread[..added_bytes].iter().copied());
        let Some((header, header_bytes)) = Header::parse(&begun, under_way_bytes, message_bytes_max)? else {
            assert_eq!(added_bytes, input.unread.len(), "only the end of the input leaves a header unfinished");
            input.take(added_bytes);
            self.unfinished.get_or_insert_default().header = begun;
            return Ok(None);
        };
        input.take(header_bytes - begun_bytes);
        Ok(Some(header))
    }
}

impl<'b> Input<'b> {
    /// Bytes as they came from the socket, none of them seen by a decoder yet.
    pub fn new(received: &'b mut [u8]) -> Self {
        Self { unread: received, finished: None }
    }

    /// The next `bytes` bytes, which count as read from now on.
    fn take(&mut self, bytes: usize) -> &'b mut [u8] {
        let (taken, unread) = std::mem::take(&mut self.unread).split_at_mut(bytes);
        self.unread = unread;
        taken
    }
}

/// The event of a frame that stands whole in the input.
fn borrow<'b>(mut frame: Header, input: &mut Input<'b>) -> Result<Event<'b>, Violation> {
    let payload = input.take(frame.payload_bytes_left);
    frame.receive(payload);
    Event::of(frame.kind, payload)
}
