//! One frame as a server sends it.

use crate::client_frame::Opcode;
use std::io::{self, Cursor, ErrorKind};
use tungstenite::protocol::frame::FrameHeader;

/// A whole frame at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFrame<'a> {
    /// What it is.
    pub opcode: Opcode,
    /// Whether the message ends here.
    pub is_final: bool,
    /// What it carries.
    pub payload: &'a [u8],
    /// How many bytes it takes on the wire, header included.
    pub length: usize,
}

impl<'a> ServerFrame<'a> {
    /// The frame at the front of `bytes`; `None` until it is whole.
    ///
    /// # Errors
    /// For a frame that no server may send: masked, or with reserved bits set (RFC 6455 §5.1, §5.2).
    pub fn parse(bytes: &'a [u8]) -> io::Result<Option<Self>> {
        let mut cursor = Cursor::new(bytes);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(invalid)? else { return Ok(None) };
        if header.mask.is_some() || header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(invalid(format!("a server may not send {header:?}")));
        }
        let head = usize::try_from(cursor.position()).map_err(invalid)?;
        let whole = usize::try_from(length).ok().and_then(|length| head.checked_add(length));
        let whole = whole.ok_or_else(|| invalid(format!("a frame of {length} bytes")))?;
        let opcode = Opcode(header.opcode.into());
        Ok(bytes.get(head..whole).map(|payload| Self { opcode, is_final: header.is_final, payload, length: whole }))
    }

    /// The close code, where this is a close frame that has one (RFC 6455 §5.5.1).
    pub fn close_code(&self) -> Option<u16> {
        match self.payload {
            &[high, low, ..] if self.opcode == Opcode::CLOSE => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }
}

fn invalid(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_frame::ClientFrame;

    #[test]
    fn a_frame_is_read_back_once_it_is_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut bytes = ClientFrame::new(Opcode::TEXT, &payload).unmasked().bytes();
            let whole = bytes.len();
            assert_eq!(ServerFrame::parse(&bytes[..whole - 1]).unwrap(), None, "{length} bytes, one missing");
            bytes.extend_from_slice(b"more");
            let frame = ServerFrame::parse(&bytes).unwrap().expect("it is whole");
            assert_eq!((frame.opcode, frame.payload, frame.length), (Opcode::TEXT, &payload[..], whole));
        }
    }

    #[test]
    fn what_no_server_may_send_is_an_error() {
        for frame in
            [ClientFrame::new(Opcode::TEXT, "x"), ClientFrame::new(Opcode::TEXT, "x").unmasked().with_bits(0x40)]
        {
            assert!(ServerFrame::parse(&frame.bytes()).is_err(), "{frame:?}");
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut random = fastrand::Rng::with_seed(0x5eed);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(..24)).map(|_| random.u8(..)).collect();
            if let Ok(Some(frame)) = ServerFrame::parse(&bytes) {
                assert!(frame.length <= bytes.len());
            }
        }
    }
}
