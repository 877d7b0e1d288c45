//! What a shard counts at its entrance: who was turned away and why, and how busy it was.

use super::Counter;
use std::time::Duration;

/// Why a client did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refused {
    /// What it sent is no head of a request.
    BadHead,
    /// It asked for something else than a connection, or not as RFC 6455 and its family want it.
    BadRequest,
    /// Its page's origin is not among the allowed ones.
    Origin,
    /// It showed a cookie, and its page is of another site.
    CookieOrigin,
    /// It showed no token.
    TokenMissing,
    /// Its token has expired.
    TokenExpired,
    /// Its token is no good for another reason.
    TokenBad,
    /// Its token is good for somebody else.
    TokenForeign,
    /// It may not pass the private door.
    PrivateDoor,
    /// The server is leaving.
    Draining,
    /// The server has as many connections as it may.
    Full,
    /// The server is behind with its work.
    Overloaded,
    /// Its user has as many connections as one may.
    UserFull,
    /// Its address has as many connections as one may.
    AddressFull,
}

impl Refused {
    /// Every reason, in the order of its counters.
    pub const ALL: [Self; 14] = [
        Self::BadHead,
        Self::BadRequest,
        Self::Origin,
        Self::CookieOrigin,
        Self::TokenMissing,
        Self::TokenExpired,
        Self::TokenBad,
        Self::TokenForeign,
        Self::PrivateDoor,
        Self::Draining,
        Self::Full,
        Self::Overloaded,
        Self::UserFull,
        Self::AddressFull,
    ];

    /// The label in statistics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadHead => "bad_head",
            Self::BadRequest => "bad_request",
            Self::Origin => "origin",
            Self::CookieOrigin => "cookie_origin",
            Self::TokenMissing => "token_missing",
            Self::TokenExpired => "token_expired",
            Self::TokenBad => "token_bad",
            Self::TokenForeign => "token_foreign",
            Self::PrivateDoor => "private_door",
            Self::Draining => "draining",
            Self::Full => "full",
            Self::Overloaded => "overloaded",
            Self::UserFull => "user_full",
            Self::AddressFull => "address_full",
        }
    }
}

/// What one shard counts at its entrance.
#[derive(Debug, Default)]
pub struct Entrance {
    refused: [Counter; Refused::ALL.len()],
    /// Times that no connection was accepted for want of descriptors or memory.
    pub pauses: Counter,
    /// Connections that broke before they were accepted.
    pub broken: Counter,
    /// HTTP connections that were closed for want of descriptors, since nothing was heard of them for a while.
    pub evicted: Counter,
    /// Times that the file with the keys of tokens had changed and could not be used.
    pub key_reloads_failed: Counter,
    /// How long the shard has been behind: with something to do all the time, in microseconds.
    pub behind_us: Counter,
}

impl Entrance {
    /// The counter of a reason.
    pub fn refused(&self, reason: Refused) -> &Counter {
        &self.refused[reason as usize]
    }

    /// How long the shard has been behind: what waits for it now has waited for no longer, up to the turn that runs.
    pub fn behind(&self) -> Duration {
        Duration::from_micros(self.behind_us.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        for (index, reason) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{}", reason.label());
        }
    }
}
