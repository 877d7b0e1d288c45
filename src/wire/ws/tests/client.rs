//! A client for tests: builds masked frames, feeds them to a decoder in pieces and notes what came out.

use crate::wire::ws::{Decoder, Event, Input, Violation};

/// A limit that no test reaches by accident.
pub(super) const ROOMY: usize = 1 << 20;

/// First bytes of frames: the final bit and the opcode.
pub(super) const CONTINUATION: u8 = 0x00;
pub(super) const TEXT_BEGINS: u8 = 0x01;
pub(super) const BINARY_BEGINS: u8 = 0x02;
pub(super) const LAST: u8 = 0x80;
pub(super) const TEXT: u8 = 0x81;
pub(super) const BINARY: u8 = 0x82;
pub(super) const CLOSE: u8 = 0x88;
pub(super) const PING: u8 = 0x89;
pub(super) const PONG: u8 = 0x8a;

/// An event that outlives its input, and says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

/// How a conversation ended for the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Idle,
    Unfinished,
    Closed,
    Refused(Violation),
}

impl Said {
    fn of(event: Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Part => return None,
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(payload) => Self::Binary(payload.to_owned()),
            Event::Ping(payload) => Self::Ping(payload.to_owned()),
            Event::Pong(payload) => Self::Pong(payload.to_owned()),
            Event::Close(close) => Self::Close(close.map(|close| (close.code, close.reason.to_owned()))),
        })
    }
}

/// A masked frame whose first byte is `first`.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_masked(first, [0x37, 0xfa, 0x21, 0x3d], payload)
}

/// A frame with the mask given, its length in as few bytes as it needs.
pub(super) fn frame_masked(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=65_535 => {
            frame.push(0xfe);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.into_iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The bytes of several frames: first byte and payload of each.
pub(super) fn frames(frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

/// Feeds one piece; how it ended the conversation, if it did.
pub(super) fn feed(decoder: &mut Decoder, piece: &[u8], message_bytes_max: usize, said: &mut Vec<Said>) -> Option<End> {
    let mut piece = piece.to_owned();
    let mut input = Input::new(&mut piece);
    loop {
        match decoder.next(&mut input, message_bytes_max) {
            Ok(None) => return None,
            Err(violation) => return Some(End::Refused(violation)),
            Ok(Some(event)) => {
                said.extend(Said::of(event));
                if matches!(event, Event::Close(_)) {
                    return Some(End::Closed);
                }
            }
        }
    }
}

/// Feeds `bytes` in pieces of at most `piece_bytes()` bytes; what was said and how it ended.
pub(super) fn converse(
    bytes: &[u8],
    message_bytes_max: usize,
    mut piece_bytes: impl FnMut() -> usize,
) -> (Vec<Said>, End) {
    let mut decoder = Decoder::default();
    let mut said = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_bytes().min(rest.len()));
        rest = after;
        if let Some(end) = feed(&mut decoder, piece, message_bytes_max, &mut said) {
            assert!(end == End::Closed || decoder.is_idle(), "a refused connection holds no memory");
            return (said, end);
        }
        assert!(decoder.buffered_bytes() <= (message_bytes_max + 125).min(bytes.len() - rest.len()));
    }
    (said, if decoder.is_idle() { End::Idle } else { End::Unfinished })
}

/// Feeds `bytes` whole, in pieces of 997 bytes, and byte by byte: the same must come out each time.
pub(super) fn check(name: &str, bytes: &[u8], expected: &[Said], end: End) {
    for piece_bytes in [bytes.len().max(1), 997, 1] {
        let (said, ended) = converse(bytes, ROOMY, || piece_bytes);
        assert!(said == expected, "{name}, in pieces of {piece_bytes}: {said:x?}");
        assert_eq!(ended, end, "{name}, in pieces of {piece_bytes}");
    }
}

/// Feeds `bytes` one by one: the index of the byte that was refused, and why.
pub(super) fn refused_at(bytes: &[u8], message_bytes_max: usize) -> Option<(usize, Violation)> {
    let mut decoder = Decoder::default();
    bytes.iter().enumerate().find_map(|(index, byte)| {
        match feed(&mut decoder, std::slice::from_ref(byte), message_bytes_max, &mut Vec::new()) {
            Some(End::Refused(violation)) => Some((index, violation)),
            _ => None,
        }
    })
}

pub(super) fn text(text: &str) -> Said {
    Said::Text(text.to_owned())
}

pub(super) fn binary(payload: &[u8]) -> Said {
    Said::Binary(payload.to_owned())
}

pub(super) fn ping(payload: &[u8]) -> Said {
    Said::Ping(payload.to_owned())
}

pub(super) fn pong(payload: &[u8]) -> Said {
    Said::Pong(payload.to_owned())
}
