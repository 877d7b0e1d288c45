//! Input that is a little wrong: what others have sent, changed in some places.

use fastrand::Rng;

/// Bytes that mean something to one of the parsers.
const BYTES: &[u8] = b"\0\r\n \t\"'\\%&+=?#/:;,*$-0129{}[]u\x7e\x7f\x80\x81\x88\x89\xfe\xff";

/// Longest input: long enough for every form of a length but the longest.
const BYTES_MAX: usize = 2_000;

/// An endless row of them, the same for every run.
pub(crate) struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    random: Rng,
}

impl<'a> Mutations<'a> {
    /// Mutations of these inputs.
    pub(crate) fn new(corpus: &'a [Vec<u8>]) -> Self {
        Self { corpus, random: Rng::with_seed(6) }
    }

    fn pick(&mut self) -> &'a [u8] {
        &self.corpus[self.random.usize(..self.corpus.len())]
    }

    /// A place between two bytes, and one behind it.
    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.random.usize(..=bytes.len());
        start..self.random.usize(start..=bytes.len().min(start + 40))
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let range = self.range(bytes);
        match self.random.u8(..7) {
            0 => bytes.truncate(range.start),
            1 => drop(bytes.drain(range)),
            2 => bytes.insert(range.start, BYTES[self.random.usize(..BYTES.len())]),
            3 => {
                let twice = bytes[range.clone()].to_vec();
                drop(bytes.splice(range.start..range.start, twice));
            }
            4 => {
                let other = self.pick();
                let piece = self.range(other);
                drop(bytes.splice(range, other[piece].iter().copied()));
            }
            // The last two change one byte: a bit of it, or all of it.
            kind => {
                if let Some(byte) = bytes.get_mut(range.start) {
                    *byte = if kind == 5 { *byte ^ 1 << self.random.u8(..8) } else { self.random.u8(..) };
                }
            }
        }
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.pick().to_vec();
        for _ in 0..self.random.usize(1..6) {
            self.mutate(&mut bytes);
        }
        bytes.truncate(BYTES_MAX);
        Some(bytes)
    }
}
