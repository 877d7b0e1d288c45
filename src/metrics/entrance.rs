//! What a shard counts at its entrance: who was turned away and why, and how busy it was.

use super::Counter;
use super::labelled::labelled;
use std::time::Duration;

labelled! {
    /// Why a client did not get in.
    pub enum Refused {
        /// What it sent is no head of a request.
        BadHead = "bad_head",
        /// It asked for something else than a connection, or not as RFC 6455 and its family want it.
        BadRequest = "bad_request",
        /// Its page's origin is not among the allowed ones.
        Origin = "origin",
        /// It showed a cookie, and its page is of another site.
        CookieOrigin = "cookie_origin",
        /// It showed no token.
        TokenMissing = "token_missing",
        /// Its token has expired.
        TokenExpired = "token_expired",
        /// Its token is no good for another reason.
        TokenBad = "token_bad",
        /// Its token is good for somebody else.
        TokenForeign = "token_foreign",
        /// It may not pass the private door.
        PrivateDoor = "private_door",
        /// The server is leaving.
        Draining = "draining",
        /// The server has as many connections as it may.
        Full = "full",
        /// The server is behind with its work.
        Overloaded = "overloaded",
        /// Its user has as many connections as one may.
        UserFull = "user_full",
        /// Its address has as many connections as one may.
        AddressFull = "address_full",
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
