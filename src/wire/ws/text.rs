//! Text that arrives in pieces, which may be cut within a character.

use arrayvec::ArrayVec;
use std::str;

/// Bytes of the longest character (RFC 3629 §3).
const CHARACTER_BYTES_MAX: usize = 4;

/// The bytes are not UTF-8, whatever may follow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// The characters so far, and the start of one that is not complete.
#[derive(Debug)]
pub(super) struct Text {
    characters: String,
    begun: ArrayVec<u8, CHARACTER_BYTES_MAX>,
}

impl Text {
    pub(super) const fn new() -> Self {
        Self { characters: String::new(), begun: ArrayVec::new_const() }
    }

    /// Bytes pushed so far.
    pub(super) fn bytes(&self) -> usize {
        self.characters.len() + self.begun.len()
    }

    /// Bytes that fit without another allocation.
    pub(super) fn capacity(&self) -> usize {
        self.characters.capacity()
    }

    /// Makes room for `capacity` bytes in all, and no more.
    pub(super) fn reserve(&mut self, capacity: usize) {
        self.characters.reserve_exact(capacity - self.characters.len());
    }

    /// Adds bytes; refuses the first that cannot stand where it stands.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while !self.begun.is_empty() {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.begun.push(byte);
            let (characters, begun) = split(&self.begun)?;
            if begun.is_empty() {
                self.characters.push_str(characters);
                self.begun.clear();
            }
        }
        let (characters, begun) = split(piece)?;
        self.characters.push_str(characters);
        self.begun.extend(begun.iter().copied());
        Ok(())
    }

    /// The text, unless it ends within a character.
    pub(super) fn finish(self) -> Result<String, NotUtf8> {
        if self.begun.is_empty() { Ok(self.characters) } else { Err(NotUtf8) }
    }
}

/// Splits a piece of UTF-8 into whole characters and the start of the one it is cut in.
pub(super) fn split(piece: &[u8]) -> Result<(&str, &[u8]), NotUtf8> {
    match str::from_utf8(piece) {
        Ok(characters) => Ok((characters, &[])),
        Err(error) if error.error_len().is_some() => Err(NotUtf8),
        Err(error) => {
            let (characters, begun) = piece.split_at(error.valid_up_to());
            Ok((str::from_utf8(characters).map_err(|_| NotUtf8)?, begun))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes byte by byte; the index of the byte that was refused, or what `finish` says.
    fn drip(bytes: &[u8]) -> Result<Result<String, NotUtf8>, usize> {
        let mut text = Text::new();
        for (index, byte) in bytes.iter().enumerate() {
            text.push(std::slice::from_ref(byte)).map_err(|_| index)?;
        }
        Ok(text.finish())
    }

    #[test]
    fn a_byte_is_refused_the_moment_it_is_wrong() {
        for (bytes, refused) in [
            (&b"\x80"[..], 0),
            (b"a\xff", 1),
            (b"\xc0\xaf", 0),
            (b"\xc3\x28", 1),
            (b"\xe0\x80\xaf", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xe2\x82\x28", 2),
            (b"\xf0\x80\x80\xaf", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5\x80", 0),
            (b"\xf0\x9f\x98\xe2", 3),
        ] {
            assert_eq!(drip(bytes), Err(refused), "{bytes:x?}");
        }
    }

    #[test]
    fn text_must_not_end_within_a_character() {
        for bytes in [&b"\xc3"[..], b"a\xe2\x82", b"\xf0\x9f\x98"] {
            assert_eq!(drip(bytes), Ok(Err(NotUtf8)), "{bytes:x?}");
        }
    }

    #[test]
    fn pieces_of_any_size_mean_what_the_whole_means() {
        let mut random = fastrand::Rng::with_seed(2);
        let alphabet = ["a", "ü", "€", "😀", "\u{10ffff}", "\u{fffe}", "\0", "\u{d7ff}"];
        for round in 0..5_000 {
            let mut bytes = Vec::new();
            (0..random.usize(..20)).for_each(|_| bytes.extend(alphabet[random.usize(..alphabet.len())].bytes()));
            if random.bool() && !bytes.is_empty() {
                let index = random.usize(..bytes.len());
                bytes[index] = random.u8(..);
            }
            let mut text = Text::new();
            let mut rest = &bytes[..];
            let mut pushed = Ok(());
            while !rest.is_empty() && pushed.is_ok() {
                let (piece, after) = rest.split_at(random.usize(..=rest.len()));
                pushed = text.push(piece);
                rest = after;
            }
            let gathered = pushed.and_then(|()| text.finish());
            assert_eq!(gathered.ok().as_deref(), str::from_utf8(&bytes).ok(), "round {round}: {bytes:x?}");
        }
    }
}
