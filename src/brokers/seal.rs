//! The door every event passes: not too big, valid UTF-8, and then a frame.

use super::seldom::Seldom;
use crate::metrics::Drop;
use crate::router::Router;
use crate::wire::frame::{self, SealedRange, SealedText};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often lost events are mentioned in the log: a publisher that goes wrong does so thousands of times a second.
const MENTION_PERIOD: Duration = Duration::from_secs(60);

/// Seals an event where it lies in a receive buffer; `payload` is a RESP bulk string's bytes, so that the line with
/// its length stands in front of it.
pub fn in_place(buffer: &mut [u8], payload: Range<usize>, event_bytes_max: usize) -> Result<SealedRange, Drop> {
    check(&buffer[payload.clone()], event_bytes_max)?;
    Ok(frame::seal_in_place(buffer, payload))
}

/// Seals an event in memory of its own, by one copy.
pub fn apart(payload: &[u8], event_bytes_max: usize) -> Result<SealedText, Drop> {
    check(payload, event_bytes_max).map(frame::seal_copied)
}

fn check(payload: &[u8], event_bytes_max: usize) -> Result<&str, Drop> {
    if payload.len() > event_bytes_max {
        return Err(Drop::EventTooBig);
    }
    std::str::from_utf8(payload).map_err(|_| Drop::NotUtf8)
}

/// Counts events that cannot be delivered, and mentions them in the log once a minute at most.
pub struct Losses {
    router: Rc<Router>,
    not_utf8: Seldom,
    too_big: Seldom,
}

impl Losses {
    /// Counts on `router`.
    pub fn new(router: Rc<Router>) -> Self {
        Self { router, not_utf8: Seldom::every(MENTION_PERIOD), too_big: Seldom::every(MENTION_PERIOD) }
    }

    /// An event of `payload_bytes` on `channel` was dropped.
    pub fn note(&self, reason: Drop, channel: &[u8], payload_bytes: usize) {
        self.router.drop_event(reason);
        self.router.show_undeliverable(reason, channel, payload_bytes);
        let (seldom, cause) = match reason {
            Drop::NotUtf8 => (&self.not_utf8, "it is not valid UTF-8, so it cannot be a text frame"),
            Drop::EventTooBig => (&self.too_big, "it is larger than the largest event allowed"),
            _ => return,
        };
        if let Some(unmentioned) = seldom.pass(Instant::now()) {
            let channel = channel.escape_ascii();
            tracing::warn!(%channel, payload_bytes, unmentioned, "event dropped: {cause}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn only_events_that_clients_can_get_are_sealed() {
        let table: [(&[u8], Result<(), Drop>); 6] = [
            (b"", Ok(())),
            (b"{}", Ok(())),
            ("é€".as_bytes(), Ok(())),
            (b"12345678", Ok(())),
            (b"123456789", Err(Drop::EventTooBig)),
            (b"\xff", Err(Drop::NotUtf8)),
        ];
        for (payload, expected) in table {
            let mut buffer = format!("$1\r\nc\r\n${}\r\n", payload.len()).into_bytes();
            let start = buffer.len();
            buffer.extend_from_slice(payload);
            let sealed = in_place(&mut buffer, start..start + payload.len(), 8);
            assert_eq!(sealed.as_ref().map(drop).map_err(|reason| *reason), expected, "{payload:?}");
            let copied = apart(payload, 8);
            assert_eq!(copied.as_ref().map(drop).map_err(|reason| *reason), expected, "{payload:?}");
            if let (Ok(sealed), Ok(copied)) = (sealed, copied) {
                assert_eq!(sealed.cut(&Bytes::from(buffer)).frame(), copied.frame(), "both ways give the same frame");
            }
        }
    }
}
