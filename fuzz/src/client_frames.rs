//! Frames that a client sends, as `wire::ws` reads them.
//!
//! - Wherever the bytes are cut, the same is said and it ends the same.
//! - A decoder holds no more than has arrived, and no more than the longest message and one control frame.
//! - A refused connection holds nothing.
//! - What was said, written as frames again, says the same.

use super::cuts;
use fanout::wire::ws::{Decoder, Event, Input, Violation};

/// Limits of a message: one that short input goes beyond, and one that needs the longest form of a length.
const MESSAGE_BYTES_MAX: [usize; 2] = [100, 70_000];

/// Longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// Events that outlive their input.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The first byte of each one's frame, and where its payload ends.
    events: Vec<(u8, usize)>,
    /// One payload behind the other.
    payloads: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Idle,
    Unfinished,
    Closed,
    Refused(Violation),
}

/// Panics where one of the invariants does not hold.
pub fn check(bytes: &[u8]) {
    for message_bytes_max in MESSAGE_BYTES_MAX {
        let (said, end) = converse(bytes, cuts::whole(bytes), message_bytes_max);
        for pieces in cuts::ways(bytes) {
            let (said_in_pieces, end_of_pieces) = converse(bytes, pieces.clone(), message_bytes_max);
            assert_eq!((&said_in_pieces, end_of_pieces), (&said, end), "cut at {:?}", pieces.collect::<Vec<_>>());
        }
        let written = said.frames();
        let (again, _) = converse(&written, cuts::whole(&written), message_bytes_max);
        assert_eq!(again, said, "written as frames again");
    }
}

/// Reads pieces that end at these places: what was said and how it ended.
fn converse(bytes: &[u8], ends: impl Iterator<Item = usize>, message_bytes_max: usize) -> (Said, End) {
    let (mut decoder, mut said) = (Decoder::default(), Said::default());
    let (mut received, mut start) = (bytes.to_vec(), 0);
    for end in ends {
        let piece = &mut received[start..end];
        start = end;
        if let Some(end) = hear(&mut decoder, piece, message_bytes_max, &mut said) {
            assert!(end == End::Closed || decoder.is_idle(), "a refused connection holds nothing");
            return (said, end);
        }
        let held_bytes_max = end.min(message_bytes_max + CONTROL_BYTES_MAX);
        assert!(decoder.buffered_bytes() <= held_bytes_max, "holds {} bytes", decoder.buffered_bytes());
    }
    (said, if decoder.is_idle() { End::Idle } else { End::Unfinished })
}

/// Reads one piece; how it ended the conversation, if it did.
fn hear(decoder: &mut Decoder, piece: &mut [u8], message_bytes_max: usize, said: &mut Said) -> Option<End> {
    let mut input = Input::new(piece);
    loop {
        match decoder.next(&mut input, message_bytes_max) {
            Ok(None) => return None,
            Err(violation) => return Some(End::Refused(violation)),
            Ok(Some(event)) => {
                said.note(event, message_bytes_max);
                if matches!(event, Event::Close(_)) {
                    return Some(End::Closed);
                }
            }
        }
    }
}

impl Said {
    fn note(&mut self, event: Event<'_>, message_bytes_max: usize) {
        let start = self.payloads.len();
        let (first, bytes_max) = match event {
            Event::Part => return,
            Event::Text(text) => self.copy(0x81, text.as_bytes(), message_bytes_max),
            Event::Binary(payload) => self.copy(0x82, payload, message_bytes_max),
            Event::Ping(payload) => self.copy(0x89, payload, CONTROL_BYTES_MAX),
            Event::Pong(payload) => self.copy(0x8a, payload, CONTROL_BYTES_MAX),
            Event::Close(None) => (0x88, 0),
            Event::Close(Some(close)) => {
                self.payloads.extend(close.code.to_be_bytes());
                self.copy(0x88, close.reason.as_bytes(), CONTROL_BYTES_MAX)
            }
        };
        let end = self.payloads.len();
        assert!(end - start <= bytes_max, "{} bytes in a frame {first:x}", end - start);
        self.events.push((first, end));
    }

    fn copy(&mut self, first: u8, payload: &[u8], bytes_max: usize) -> (u8, usize) {
        self.payloads.extend_from_slice(payload);
        (first, bytes_max)
    }

    /// What was said, as a client's frames.
    fn frames(&self) -> Vec<u8> {
        let (mut frames, mut start) = (Vec::new(), 0);
        for &(first, end) in &self.events {
            write_frame(first, &self.payloads[start..end], &mut frames);
            start = end;
        }
        frames
    }
}

/// A client's frame: masked, its length in as few bytes as it needs.
fn write_frame(first: u8, payload: &[u8], frames: &mut Vec<u8>) {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let length = payload.len().to_be_bytes();
    let [.., high, low] = length;
    frames.push(first);
    match payload.len() {
        0..126 => frames.push(0x80 | low),
        126..0x1_0000 => frames.extend([0xfe, high, low]),
        _ => {
            frames.push(0xff);
            frames.extend(length);
        }
    }
    frames.extend(MASK);
    frames.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
}
