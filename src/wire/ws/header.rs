//! The header of a client's frame, held against every rule that it alone can break.

use super::mask::Mask;
use super::violation::Violation;
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Longest header of a client's frame: 2 bytes, a 64-bit length and the mask (RFC 6455 §5.2).
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// Longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_PAYLOAD_BYTES_MAX: u64 = 125;

/// A frame that a client may send here and now, and how much of its payload is still to come.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The last frame of its message; true of every control frame.
    pub(super) is_final: bool,
    pub(super) payload_bytes_left: usize,
    mask: Mask,
}

/// The opcodes that exist (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first frame of a message, perhaps the only one.
    Start(DataKind),
    /// A further frame of the message under way.
    Continuation,
    /// A control frame, whole in itself.
    Control(ControlKind),
}

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataKind {
    Text,
    Binary,
}

/// What a control frame asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ControlKind {
    Close,
    Ping,
    Pong,
}

impl Header {
    /// Reads a header and says how long it is; `None` if `bytes` end within it.
    ///
    /// `under_way_bytes` is what the message under way has gathered, `None` between messages.
    pub(super) fn parse(
        bytes: &[u8],
        under_way_bytes: Option<usize>,
        message_bytes_max: usize,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::RESERVED_OPCODE)?;
        let Some((header, payload_bytes)) = parsed else { return Ok(None) };
        let header_bytes = usize::try_from(cursor.position()).expect("at most 14");
        let mask = check_bits(&header)?;
        check_length(&header, header_bytes, payload_bytes)?;
        let kind = Kind::of(header.opcode)?;
        match kind {
            Kind::Control(control) => check_control(control, header.is_final, payload_bytes)?,
            Kind::Start(_) | Kind::Continuation => {
                check_turn(kind, under_way_bytes)?;
                let room_bytes = message_bytes_max.saturating_sub(under_way_bytes.unwrap_or(0));
                if payload_bytes > room_bytes as u64 {
                    return Err(Violation::TooBig);
                }
            }
        }
        let payload_bytes_left = usize::try_from(payload_bytes).map_err(|_| Violation::TooBig)?;
        Ok(Some((Self { kind, is_final: header.is_final, payload_bytes_left, mask }, header_bytes)))
    }

    /// Whether the frame makes an event by itself and all its payload is among the next `input_bytes` bytes.
    pub(super) fn is_whole_event(&self, input_bytes: usize) -> bool {
        self.is_final && self.kind != Kind::Continuation && self.payload_bytes_left <= input_bytes
    }

    /// Unmasks the next part of the payload in place, at most as much as is left.
    pub(super) fn receive(&mut self, payload: &mut [u8]) {
        self.payload_bytes_left -= payload.len();
        self.mask.apply(payload);
    }
}

impl Kind {
    fn of(opcode: OpCode) -> Result<Self, Violation> {
        match opcode {
            OpCode::Data(Data::Continue) => Ok(Self::Continuation),
            OpCode::Data(Data::Text) => Ok(Self::Start(DataKind::Text)),
            OpCode::Data(Data::Binary) => Ok(Self::Start(DataKind::Binary)),
            OpCode::Control(Control::Close) => Ok(Self::Control(ControlKind::Close)),
            OpCode::Control(Control::Ping) => Ok(Self::Control(ControlKind::Ping)),
            OpCode::Control(Control::Pong) => Ok(Self::Control(ControlKind::Pong)),
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => Err(Violation::RESERVED_OPCODE),
        }
    }
}

/// No extension is negotiated, so no reserved bit may be set (RFC 6455 §5.2); clients mask (RFC 6455 §5.1).
fn check_bits(header: &FrameHeader) -> Result<Mask, Violation> {
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(Violation::RESERVED_BITS);
    }
    header.mask.map(Mask::new).ok_or(Violation::NOT_MASKED)
}

/// A length is written in as few bytes as it needs, and its top bit is 0 (RFC 6455 §5.2).
fn check_length(header: &FrameHeader, header_bytes: usize, payload_bytes: u64) -> Result<(), Violation> {
    if payload_bytes > i64::MAX as u64 {
        return Err(Violation::LENGTH_TOP_BIT);
    }
    if header_bytes != header.len(payload_bytes) {
        return Err(Violation::LENGTH_NOT_MINIMAL);
    }
    Ok(())
}

/// Control frames are short and never fragmented (RFC 6455 §5.5); a close carries a whole code or nothing (§5.5.1).
fn check_control(control: ControlKind, is_final: bool, payload_bytes: u64) -> Result<(), Violation> {
    if !is_final {
        return Err(Violation::CONTROL_FRAGMENTED);
    }
    if payload_bytes > CONTROL_PAYLOAD_BYTES_MAX {
        return Err(Violation::CONTROL_TOO_LONG);
    }
    if control == ControlKind::Close && payload_bytes == 1 {
        return Err(Violation::CLOSE_CODE_CUT);
    }
    Ok(())
}

/// Fragments of two messages never mix (RFC 6455 §5.4).
fn check_turn(kind: Kind, under_way_bytes: Option<usize>) -> Result<(), Violation> {
    match (kind, under_way_bytes) {
        (Kind::Continuation, None) => Err(Violation::NOTHING_TO_CONTINUE),
        (Kind::Start(_), Some(_)) => Err(Violation::MESSAGE_UNDER_WAY),
        _ => Ok(()),
    }
}
