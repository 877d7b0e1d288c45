//! A message whose frames are still arriving.

use super::event::Finished;
use super::header::DataKind;
use super::text::Text;
use super::violation::Violation;

/// First reservation for a message, so that a drip of single bytes does not begin with a row of reallocations.
const RESERVED_BYTES_FIRST: usize = 256;

/// The payload so far. Memory follows the bytes that arrived, never the length that a header claims.
#[derive(Debug)]
pub(super) enum Message {
    Text(Text),
    Binary(Vec<u8>),
}

impl Message {
    pub(super) const fn new(kind: DataKind) -> Self {
        match kind {
            DataKind::Text => Self::Text(Text::new()),
            DataKind::Binary => Self::Binary(Vec::new()),
        }
    }

    /// Payload bytes that arrived.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.bytes(),
            Self::Binary(payload) => payload.len(),
        }
    }

    #[cfg(test)]
    pub(super) fn reserved_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(payload) => payload.capacity(),
        }
    }

    /// Adds payload; text that cannot become UTF-8 any more is refused at once.
    pub(super) fn push(&mut self, payload: &[u8], message_bytes_max: usize) -> Result<(), Violation> {
        match self {
            Self::Text(text) => {
                let needed_bytes = text.bytes() + payload.len();
                text.reserve(capacity(text.capacity(), needed_bytes, message_bytes_max));
                text.push(payload).map_err(|_| Violation::NotUtf8)
            }
            Self::Binary(gathered) => {
                let needed_bytes = gathered.len() + payload.len();
                let capacity = capacity(gathered.capacity(), needed_bytes, message_bytes_max);
                gathered.reserve_exact(capacity - gathered.len());
                gathered.extend_from_slice(payload);
                Ok(())
            }
        }
    }

    /// The whole payload; text must not end within a character.
    pub(super) fn finish(self) -> Result<Finished, Violation> {
        match self {
            Self::Text(text) => text.finish().map(Finished::Text).map_err(|_| Violation::NotUtf8),
            Self::Binary(payload) => Ok(Finished::Binary(payload)),
        }
    }
}

/// The capacity that makes room for `needed_bytes`: doubled, so that a drip is copied seldom, but no more than a
/// message may ever need.
fn capacity(held_bytes: usize, needed_bytes: usize, message_bytes_max: usize) -> usize {
    if needed_bytes <= held_bytes {
        return held_bytes;
    }
    held_bytes.saturating_mul(2).max(RESERVED_BYTES_FIRST).min(message_bytes_max).max(needed_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_the_bytes_that_arrived() {
        // held, needed, limit, expected
        for (held, needed, max, expected) in [
            (0, 1, 65_536, 256),
            (0, 1, 10, 10),
            (0, 4_096, 65_536, 4_096),
            (256, 257, 65_536, 512),
            (256, 256, 65_536, 256),
            (40_000, 40_001, 65_536, 65_536),
            (65_536, 65_536, 65_536, 65_536),
            (0, 20, 10, 20),
        ] {
            assert_eq!(capacity(held, needed, max), expected, "{held} held, {needed} needed, at most {max}");
        }
    }
}
