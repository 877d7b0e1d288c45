//! What a client may not send, and what it is told.

/// Why a connection has to end at once (RFC 6455 §7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A broken rule of RFC 6455, named for a person.
    Protocol(&'static str),
    /// Text, or the reason of a close, that is not UTF-8 (RFC 6455 §8.1).
    NotUtf8,
    /// A message above the limit (RFC 6455 §10.4).
    TooBig,
}

impl Violation {
    pub(super) const RESERVED_BITS: Self = Self::Protocol("a reserved bit is set, but no extension was agreed on");
    pub(super) const RESERVED_OPCODE: Self = Self::Protocol("the frame has a reserved opcode");
    pub(super) const NOT_MASKED: Self = Self::Protocol("the frame is not masked");
    pub(super) const LENGTH_NOT_MINIMAL: Self =
        Self::Protocol("the frame's length is written in more bytes than it needs");
    pub(super) const LENGTH_TOP_BIT: Self = Self::Protocol("the top bit of the frame's length is set");
    pub(super) const CONTROL_FRAGMENTED: Self = Self::Protocol("a control frame is fragmented");
    pub(super) const CONTROL_TOO_LONG: Self = Self::Protocol("a control frame carries more than 125 bytes");
    pub(super) const CLOSE_CODE_CUT: Self = Self::Protocol("the close code has one byte instead of two");
    pub(super) const CLOSE_CODE: Self = Self::Protocol("the close code must not be sent");
    pub(super) const NOTHING_TO_CONTINUE: Self = Self::Protocol("a continuation frame continues nothing");
    pub(super) const MESSAGE_UNDER_WAY: Self = Self::Protocol("a new message begins before the last one has ended");

    /// The code to close with: 1002, 1007 or 1009 (RFC 6455 §7.4.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Protocol(_) => 1002,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
        }
    }

    /// The reason for the close frame, at most 123 bytes.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Protocol(rule) => rule,
            Self::NotUtf8 => "the text is not UTF-8",
            Self::TooBig => "the message is longer than this server accepts",
        }
    }
}
