//! One frame as a client sends it, right or wrong on purpose (RFC 6455 §5.2).

/// The four bits that say what a frame is, reserved ones included (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// The next part of a fragmented message.
    pub const CONTINUATION: Self = Self(0x0);
    /// UTF-8 text.
    pub const TEXT: Self = Self(0x1);
    /// Any bytes.
    pub const BINARY: Self = Self(0x2);
    /// The end, with a code and a reason.
    pub const CLOSE: Self = Self(0x8);
    /// Are you there?
    pub const PING: Self = Self(0x9);
    /// I am.
    pub const PONG: Self = Self(0xA);
}

/// A frame in the making. Begins as a correct one; each method breaks or changes one thing.
#[derive(Clone, Debug)]
pub struct ClientFrame {
    first: u8,
    mask: Option<[u8; 4]>,
    length: Vec<u8>,
    payload: Vec<u8>,
}

impl ClientFrame {
    /// A final, masked frame with the shortest length.
    pub fn new(opcode: Opcode, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref().to_vec();
        Self { first: 0x80 | opcode.0, mask: Some([0x37, 0xfa, 0x21, 0x3d]), length: shortest(payload.len()), payload }
    }

    /// A close frame with this code and reason.
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(Opcode::CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// More parts of this message follow.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.first &= 0x7f;
        self
    }

    /// Sets bits of the first byte, such as the reserved ones (0x40, 0x20, 0x10).
    #[must_use]
    pub fn with_bits(mut self, bits: u8) -> Self {
        self.first |= bits;
        self
    }

    /// Forgets the mask that a client must use (RFC 6455 §5.1).
    #[must_use]
    pub fn unmasked(mut self) -> Self {
        self.mask = None;
        self
    }

    /// Claims a length in 7 + 16 bits, whatever the payload is.
    #[must_use]
    pub fn claiming_16(mut self, length: u16) -> Self {
        self.length = [&[126], &length.to_be_bytes()[..]].concat();
        self
    }

    /// Claims a length in 7 + 64 bits, whatever the payload is.
    #[must_use]
    pub fn claiming_64(mut self, length: u64) -> Self {
        self.length = [&[127], &length.to_be_bytes()[..]].concat();
        self
    }

    /// The frame as it travels.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.first];
        bytes.extend_from_slice(&self.length);
        let Some(mask) = self.mask else {
            bytes.extend_from_slice(&self.payload);
            return bytes;
        };
        bytes[1] |= 0x80;
        bytes.extend_from_slice(&mask);
        bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }
}

fn shortest(length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => vec![short],
        (_, Ok(medium)) => [&[126], &medium.to_be_bytes()[..]].concat(),
        _ => [&[127], &(length as u64).to_be_bytes()[..]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out_byte_for_byte() {
        // RFC 6455 §5.7: an unmasked and a masked "Hello".
        let hello = ClientFrame::new(Opcode::TEXT, "Hello");
        assert_eq!(hello.clone().unmasked().bytes(), b"\x81\x05Hello");
        assert_eq!(hello.bytes(), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        let binary = ClientFrame::new(Opcode::BINARY, [0; 256]).unmasked().bytes();
        assert_eq!(binary[..4], [0x82, 0x7e, 0x01, 0x00]);
        let large = ClientFrame::new(Opcode::BINARY, vec![0; 65_536]).unmasked().bytes();
        assert_eq!(large[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
