//! The frame that every event of a run comes in, so that most are recognised by comparing a few bytes.

use super::stamp::{EVENT_BYTES_MIN, Stamp};

/// Text, final, not masked: the first byte of an event's frame (RFC 6455 §5.2).
const FINAL_TEXT: u8 = 0x81;

/// What all events of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    head: Vec<u8>,
    event_bytes: usize,
}

impl Form {
    /// Of events of this size, one in each frame.
    pub(crate) fn new(event_bytes: usize) -> Self {
        let event_bytes = event_bytes.max(EVENT_BYTES_MIN);
        let mut head = vec![FINAL_TEXT];
        match (u8::try_from(event_bytes), u16::try_from(event_bytes)) {
            (Ok(length @ ..126), _) => head.push(length),
            (_, Ok(length)) => head.extend([&[126], &length.to_be_bytes()[..]].concat()),
            _ => head.extend([&[127], &(event_bytes as u64).to_be_bytes()[..]].concat()),
        }
        Self { head, event_bytes }
    }

    /// Bytes of an event.
    pub(crate) fn event_bytes(&self) -> usize {
        self.event_bytes
    }

    /// Bytes of its frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.head.len() + self.event_bytes
    }

    /// The event at the front of these bytes, where a whole frame stands there that is exactly one.
    pub(crate) fn event(&self, bytes: &[u8]) -> Option<Stamp> {
        let frame = bytes.get(..self.frame_bytes())?;
        Stamp::parse(frame.strip_prefix(self.head.as_slice())?, self.event_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_frame::{ClientFrame, Opcode};

    #[test]
    fn an_event_s_frame_is_recognised_and_no_other() {
        let stamp = Stamp { run: 1, topic: 2, sequence: 3, place: 4, due: 5 };
        for event_bytes in [EVENT_BYTES_MIN, 125, 126, 127, 65_535, 65_536] {
            let form = Form::new(event_bytes);
            let mut event = Vec::new();
            stamp.write(event_bytes, &mut event);
            let mut bytes = ClientFrame::new(Opcode::TEXT, &event).unmasked().bytes();
            assert_eq!(form.event(&bytes[..bytes.len() - 1]), None, "{event_bytes} bytes, one missing");
            bytes.push(b'x');
            assert_eq!(form.event(&bytes), Some(stamp), "{event_bytes} bytes");
            assert_eq!(form.frame_bytes(), bytes.len() - 1);
            let binary = ClientFrame::new(Opcode::BINARY, &event).unmasked().bytes();
            assert_eq!(form.event(&binary), None, "{event_bytes} bytes, binary");
        }
    }
}
