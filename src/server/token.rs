//! What a ready socket belongs to, as the number that epoll keeps for it.

use crate::engine::connection::ConnectionId;
use crate::http::{Audience, ExchangeKey};
use slotmap::{Key, KeyData};

/// The owner of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// One of the shard's listening sockets for these.
    Listener(Audience),
    /// An HTTP connection.
    Exchange(ExchangeKey),
    /// A WebSocket connection.
    Connection(ConnectionId),
}

/// Set for WebSocket connections. Keys use the 32 bits below and a count of reuses above; the highest two bits of
/// that count are reached after a thousand million reuses of one place.
const CONNECTION_BIT: u64 = 1 << 63;

/// Bits that hold a key: the two above tell kinds apart, here and in the ear.
const KEY_BITS: u64 = (1 << 62) - 1;

/// No keys: their count of reuses, the higher 32 bits, is never 0.
const LISTENER_FOR_CLIENTS: u64 = 0;
const LISTENER_FOR_MONITORS: u64 = 1;

impl Token {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Listener(Audience::Clients) => LISTENER_FOR_CLIENTS,
            Self::Listener(Audience::Monitors) => LISTENER_FOR_MONITORS,
            Self::Exchange(key) => key.data().as_ffi() & KEY_BITS,
            Self::Connection(id) => (id.data().as_ffi() & KEY_BITS) | CONNECTION_BIT,
        }
    }

    pub(super) fn of_number(number: u64) -> Self {
        let key = KeyData::from_ffi(number & KEY_BITS);
        match number {
            LISTENER_FOR_CLIENTS => Self::Listener(Audience::Clients),
            LISTENER_FOR_MONITORS => Self::Listener(Audience::Monitors),
            _ if number & CONNECTION_BIT != 0 => Self::Connection(key.into()),
            _ => Self::Exchange(key.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    #[test]
    fn a_token_is_read_back_as_it_was_written() {
        let mut connections = SlotMap::<ConnectionId, ()>::with_key();
        let mut exchanges = SlotMap::<ExchangeKey, ()>::with_key();
        for token in [Audience::Clients, Audience::Monitors].map(Token::Listener) {
            assert_eq!(Token::of_number(token.number()), token);
        }
        for _ in 0..100 {
            let (id, key) = (connections.insert(()), exchanges.insert(()));
            for token in [Token::Connection(id), Token::Exchange(key)] {
                assert_eq!(Token::of_number(token.number()), token);
            }
            connections.remove(id);
        }
    }
}
