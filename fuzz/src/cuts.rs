//! Where the network may cut what somebody sends.
//!
//! A test has few inputs and tries each in many ways. libFuzzer makes up tens of thousands a second: it tries each in
//! one way, and what it keeps and changes is tried in others.

use fastrand::Rng;
use std::hash::{DefaultHasher, Hasher};

/// Up to this length every place is tried; beyond it as many places by chance, or trying would take all the time.
const PLACES: usize = if cfg!(fuzzing) { 2 } else { 100 };

/// The same bytes are always cut in the same places, so that a failure can be repeated.
pub(crate) fn random(bytes: &[u8]) -> Rng {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    Rng::with_seed(hasher.finish())
}

/// Lengths of what may have arrived when somebody first looks, all of it included.
pub(crate) fn beginnings(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut random = random(bytes);
    let are_few = bytes.len() <= PLACES;
    let count = if are_few { bytes.len() } else { PLACES };
    let place = move |number| if are_few { number } else { random.usize(..bytes.len()) };
    (0..count).map(place).chain([bytes.len()])
}

/// One way in which bytes may arrive: where each piece ends, in order, the last one at the end of the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    random: Rng,
    piece_bytes_max: usize,
    end: usize,
    bytes: usize,
}

impl Iterator for Pieces {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let rest = self.bytes - self.end;
        (rest > 0).then(|| {
            self.end += self.random.usize(1..=self.piece_bytes_max).min(rest);
            self.end
        })
    }
}

/// All at once.
pub(crate) fn whole(bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    [bytes.len()].into_iter()
}

/// Some ways in which the bytes may arrive in pieces: one by one, a few at a time, or cut in a place or two.
pub(crate) fn ways(bytes: &[u8]) -> impl Iterator<Item = Pieces> {
    let mut random = random(bytes);
    let sizes = [1, 9, bytes.len().max(1)];
    let tried = if cfg!(fuzzing) { random.usize(..sizes.len()) } else { 0 };
    let count = if cfg!(fuzzing) { 1 } else { sizes.len() };
    let pieces = move |piece_bytes_max| Pieces { random: random.fork(), piece_bytes_max, end: 0, bytes: bytes.len() };
    sizes.into_iter().skip(tried).take(count).map(pieces)
}
