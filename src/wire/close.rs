//! Why connections end: the close codes this server sends or counts, each with a reason a person can read.

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseCode {
    /// 1000: the client is done.
    Normal,
    /// 1001: the server goes away.
    GoingAway,
    /// 1002: the client broke RFC 6455.
    Protocol,
    /// 1003: the client may not send this kind of data.
    Unsupported,
    /// 1005: the client closed without saying why. Counted, never sent (RFC 6455 §7.4.1).
    NoStatus,
    /// 1006: the connection broke without a close frame. Counted, never sent (RFC 6455 §7.4.1).
    Abnormal,
    /// 1007: text that is not UTF-8.
    NotUtf8,
    /// 1008: too fast, or silent for too long.
    Policy,
    /// 1009: a message above the limit.
    TooBig,
    /// 1011: our own fault.
    Internal,
    /// 1012: the server restarts; come back.
    Restart,
    /// 1013: overloaded; come back later.
    Overloaded,
    /// 4001: the client does not read fast enough.
    SlowConsumer,
    /// 4002: replaced or removed by an administrator.
    Kicked,
    /// 4003: the token the client came with has expired.
    Expired,
    /// Any other code a client may send (RFC 6455 §7.4.2). Counted, echoed as it came.
    Other,
}

impl CloseCode {
    /// Every code there is a counter for, in the order of [`CloseCode::index`].
    pub const ALL: [Self; 16] = [
        Self::Normal,
        Self::GoingAway,
        Self::Protocol,
        Self::Unsupported,
        Self::NoStatus,
        Self::Abnormal,
        Self::NotUtf8,
        Self::Policy,
        Self::TooBig,
        Self::Internal,
        Self::Restart,
        Self::Overloaded,
        Self::SlowConsumer,
        Self::Kicked,
        Self::Expired,
        Self::Other,
    ];

    /// The number on the wire; 0 for [`CloseCode::Other`], which has none of its own.
    pub const fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::NoStatus => 1005,
            Self::Abnormal => 1006,
            Self::NotUtf8 => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::Restart => 1012,
            Self::Overloaded => 1013,
            Self::SlowConsumer => 4001,
            Self::Kicked => 4002,
            Self::Expired => 4003,
            Self::Other => 0,
        }
    }

    /// The code a client's close frame is counted under.
    pub fn of_number(number: u16) -> Self {
        Self::ALL.into_iter().find(|code| code.number() == number).unwrap_or(Self::Other)
    }

    /// The place of this code in [`CloseCode::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The label in statistics.
    pub fn label(self) -> String {
        match self {
            Self::Other => "other".to_owned(),
            code => code.number().to_string(),
        }
    }
}

/// A close this server starts: the code and the reason it gives (at most 123 bytes, RFC 6455 §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// What the client's program reads.
    pub code: CloseCode,
    /// What a person reads.
    pub reason: &'static str,
}

impl Close {
    /// The client was not heard of for longer than the pong timeout.
    pub const SILENT: Self = Self { code: CloseCode::Policy, reason: "no answer to ping" };
    /// The client sent more messages per second than it may.
    pub const TOO_FAST: Self = Self { code: CloseCode::Policy, reason: "too many messages per second" };
    /// The outbound queue is full.
    pub const SLOW: Self =
        Self { code: CloseCode::SlowConsumer, reason: "slow consumer: events wait faster than they are read" };
    /// The outbound queue is one of the largest, and all of them together are too large.
    pub const OVER_BUDGET: Self =
        Self { code: CloseCode::SlowConsumer, reason: "slow consumer: too much waits for slow clients" };
    /// The server drains.
    pub const RESTART: Self = Self { code: CloseCode::Restart, reason: "server restarts, reconnect" };
    /// The client's token is good no longer.
    pub const EXPIRED: Self = Self { code: CloseCode::Expired, reason: "token expired" };
    /// An administrator wants the client gone.
    pub const DISMISSED: Self = Self { code: CloseCode::Kicked, reason: "disconnected by an administrator" };
}
