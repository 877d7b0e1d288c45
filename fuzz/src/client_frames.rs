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

/// An event that outlives its input: the first byte of its frame, and the payload.
type Said = (u8, Vec<u8>);

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
        let [whole, cut @ ..] = cuts::ways(bytes);
        let (said, end) = converse(bytes, &whole, message_bytes_max);
        for ends in cut {
            let (said_in_pieces, end_of_pieces) = converse(bytes, &ends, message_bytes_max);
            assert_eq!((&said_in_pieces, end_of_pieces), (&said, end), "cut at {ends:?}");
        }
        let written: Vec<u8> = said.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
        let (again, _) = converse(&written, &[written.len()], message_bytes_max);
        assert_eq!(again, said, "written as frames again");
    }
}

/// Reads pieces that end where `ends` says: what was said and how it ended.
fn converse(bytes: &[u8], ends: &[usize], message_bytes_max: usize) -> (Vec<Said>, End) {
    let (mut decoder, mut said) = (Decoder::default(), Vec::new());
    let (mut received, mut start) = (bytes.to_vec(), 0);
    for &end in ends {
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
fn hear(decoder: &mut Decoder, piece: &mut [u8], message_bytes_max: usize, said: &mut Vec<Said>) -> Option<End> {
    let mut input = Input::new(piece);
    loop {
        match decoder.next(&mut input, message_bytes_max) {
            Ok(None) => return None,
            Err(violation) => return Some(End::Refused(violation)),
            Ok(Some(event)) => {
                said.push(note(event, message_bytes_max));
                if matches!(event, Event::Close(_)) {
                    return Some(End::Closed);
                }
            }
        }
    }
}

fn note(event: Event<'_>, message_bytes_max: usize) -> Said {
    let (first, payload, bytes_max) = match event {
        Event::Text(text) => (0x81, text.as_bytes().to_vec(), message_bytes_max),
        Event::Binary(payload) => (0x82, payload.to_vec(), message_bytes_max),
        Event::Ping(payload) => (0x89, payload.to_vec(), CONTROL_BYTES_MAX),
        Event::Pong(payload) => (0x8a, payload.to_vec(), CONTROL_BYTES_MAX),
        Event::Close(None) => (0x88, Vec::new(), 0),
        Event::Close(Some(close)) => {
            (0x88, [&close.code.to_be_bytes(), close.reason.as_bytes()].concat(), CONTROL_BYTES_MAX)
        }
    };
    assert!(payload.len() <= bytes_max, "{} bytes in a frame {first:x}", payload.len());
    (first, payload)
}

/// A client's frame: masked, its length in as few bytes as it needs.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let length = payload.len().to_be_bytes();
    let [.., high, low] = length;
    let length = match payload.len() {
        0..126 => vec![0x80 | low],
        126..0x1_0000 => vec![0xfe, high, low],
        _ => [&[0xff], &length[..]].concat(),
    };
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key);
    [first].into_iter().chain(length).chain(MASK).chain(masked).collect()
}
