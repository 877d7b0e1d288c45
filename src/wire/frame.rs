//! Frames a server sends (RFC 6455 §5.2): unmasked, final, sealed once.

use arrayvec::ArrayVec;
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Longest header of a frame that is not masked: 2 bytes and a 64-bit length.
pub const HEADER_BYTES_MAX: usize = 10;

/// Longest payload of a control frame (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// A text frame whose payload stands directly behind its header.
#[derive(Clone, Debug)]
pub struct SealedText {
    frame: Bytes,
    header_bytes: u8,
}

impl SealedText {
    /// Header and payload.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The payload alone.
    pub fn payload(&self) -> &[u8] {
        &self.frame[usize::from(self.header_bytes)..]
    }
}

/// A text frame that was written into a receive buffer, before the buffer is frozen.
///
/// ```text
///   … \r\n $ 2 5 6 \r\n {"type":…} \r\n …        what Redis sent
///   … \r\n $ 2 81 7e 01 00 {"type":…} \r\n …     what clients get: the header lies over the length line
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRange {
    frame: Range<usize>,
    header_bytes: u8,
}

impl SealedRange {
    /// Cuts the frame out of the frozen buffer, without a copy.
    pub fn cut(&self, buffer: &Bytes) -> SealedText {
        SealedText { frame: buffer.slice(self.frame.clone()), header_bytes: self.header_bytes }
    }
}

/// Writes a text frame's header over the bytes directly in front of `payload` and says where the frame is now.
///
/// A RESP bulk string always has room there: `\r\n$` + digits + `\r\n` is at least as long as the header of a payload
/// of that length (6 ≥ 2, 8 ≥ 4, 10 ≥ 10).
///
/// # Panics
/// If fewer bytes than the header needs stand in front of the payload.
pub fn seal_in_place(buffer: &mut [u8], payload: Range<usize>) -> SealedRange {
    let header = header(OpCode::Data(Data::Text), payload.len());
    let start = payload.start.checked_sub(header.len()).expect("a length line stands in front of the payload");
    buffer[start..payload.start].copy_from_slice(&header);
    SealedRange { frame: start..payload.end, header_bytes: header_bytes(&header) }
}

/// A text frame in memory of its own, by one copy of the payload.
pub fn seal_copied(payload: &str) -> SealedText {
    let header = header(OpCode::Data(Data::Text), payload.len());
    SealedText { frame: join(&header, payload.as_bytes()), header_bytes: header_bytes(&header) }
}

/// A text frame.
pub fn text(payload: &str) -> Bytes {
    text_of(&[payload])
}

/// A text frame whose payload is these parts, one behind the other.
pub fn text_of(parts: &[&str]) -> Bytes {
    let header = header(OpCode::Data(Data::Text), parts.iter().map(|part| part.len()).sum());
    let mut frame = BytesMut::with_capacity(header.len() + parts.iter().map(|part| part.len()).sum::<usize>());
    frame.extend_from_slice(&header);
    for part in parts {
        frame.extend_from_slice(part.as_bytes());
    }
    frame.freeze()
}

/// A binary frame.
pub fn binary(payload: &[u8]) -> Bytes {
    join(&header(OpCode::Data(Data::Binary), payload.len()), payload)
}

/// A ping without payload.
pub fn ping() -> Bytes {
    control(Control::Ping, &[])
}

/// A pong that answers a ping with its payload (RFC 6455 §5.5.3).
pub fn pong(payload: &[u8]) -> Bytes {
    control(Control::Pong, payload)
}

/// A close frame; without a code it is empty (RFC 6455 §5.5.1).
pub fn close(code: Option<u16>, reason: &str) -> Bytes {
    let mut payload = ArrayVec::<u8, CONTROL_PAYLOAD_BYTES_MAX>::new();
    if let Some(code) = code {
        payload.extend(code.to_be_bytes());
        payload.try_extend_from_slice(reason.as_bytes()).expect("reasons have at most 123 bytes");
    }
    control(Control::Close, &payload)
}

/// How many frames of this server's are whole in `bytes`, which begin with one.
pub fn count_whole(mut bytes: &[u8]) -> u32 {
    let mut frames = 0;
    while let Some(rest) = skip_frame(bytes) {
        bytes = rest;
        frames += 1;
    }
    frames
}

/// What is behind the first frame, if that is whole (RFC 6455 §5.2: a server's frames have no mask).
///
/// By hand, because a second caller of tungstenite's parser takes it out of line for what clients send: 65 instructions
/// for each frame.
fn skip_frame(bytes: &[u8]) -> Option<&[u8]> {
    let (_, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (payload_bytes, rest) = match short {
        126 => rest.split_first_chunk().map(|(long, rest)| (u64::from(u16::from_be_bytes(*long)), rest))?,
        127 => rest.split_first_chunk().map(|(long, rest)| (u64::from_be_bytes(*long), rest))?,
        _ => (short.into(), rest),
    };
    rest.get(usize::try_from(payload_bytes).ok()?..)
}

fn control(opcode: Control, payload: &[u8]) -> Bytes {
    assert!(payload.len() <= CONTROL_PAYLOAD_BYTES_MAX, "a control frame carries at most 125 bytes");
    join(&header(OpCode::Control(opcode), payload.len()), payload)
}

fn header(opcode: OpCode, payload_bytes: usize) -> ArrayVec<u8, HEADER_BYTES_MAX> {
    let mut header = ArrayVec::new();
    // Named in full: a header made by `default()` would be a close.
    FrameHeader { is_final: true, rsv1: false, rsv2: false, rsv3: false, opcode, mask: None }
        .format(payload_bytes as u64, &mut header)
        .expect("an unmasked header has at most 10 bytes");
    header
}

fn header_bytes(header: &[u8]) -> u8 {
    u8::try_from(header.len()).expect("at most 10")
}

fn join(header: &[u8], payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(header.len() + payload.len());
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_once_they_are_whole() {
        let lengths = [0, 1, 125, 126, 65_535, 65_536];
        let frames: Vec<Bytes> = lengths.iter().map(|&length| text(&"x".repeat(length))).collect();
        let all = frames.concat();
        let mut end = 0;
        for (number, frame) in (0..).zip(&frames) {
            for cut in 0..frame.len().min(12) {
                assert_eq!(count_whole(&all[..end + cut]), number, "{cut} bytes of the next");
            }
            end += frame.len();
            assert_eq!((count_whole(&all[..end - 1]), count_whole(&all[..end])), (number, number + 1));
        }
    }

    #[test]
    fn a_header_always_fits_over_the_length_line_in_front_of_it() {
        for length in [0, 1, 9, 10, 125, 126, 127, 999, 65_535, 65_536, 99_999, 1 << 20] {
            let payload = "x".repeat(length);
            let mut buffer = format!("$1\r\nc\r\n${length}\r\n{payload}\r\n").into_bytes();
            let start = buffer.len() - 2 - length;
            let sealed = seal_in_place(&mut buffer, start..start + length).cut(&Bytes::from(buffer.clone()));
            assert_eq!(sealed.frame(), &text(&payload), "payload of {length}");
            assert_eq!(sealed.payload(), payload.as_bytes());
            assert!(buffer.starts_with(b"$1\r\nc"), "the channel in front is untouched");
        }
    }

    #[test]
    fn frames_carry_the_bytes_of_the_rfc() {
        assert_eq!(&text("Hello")[..], b"\x81\x05Hello");
        assert_eq!(&binary(&[0; 256])[..4], b"\x82\x7e\x01\x00");
        assert_eq!(&ping()[..], b"\x89\x00");
        assert_eq!(&pong(b"Hello")[..], b"\x8a\x05Hello");
        assert_eq!(&close(None, "ignored")[..], b"\x88\x00");
        assert_eq!(&close(Some(1000), "bye")[..], b"\x88\x05\x03\xe8bye");
    }
}
