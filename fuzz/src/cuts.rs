//! Where the network may cut what somebody sends.

use fastrand::Rng;
use std::hash::{DefaultHasher, Hasher};

/// Up to this length every place is tried; beyond it as many places by chance, or trying would take all the time.
const PLACES: usize = 100;

/// The same bytes are always cut in the same places, so that a failure can be repeated.
fn random(bytes: &[u8]) -> Rng {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    Rng::with_seed(hasher.finish())
}

/// Lengths of what may have arrived when somebody first looks, all of it included.
pub(crate) fn beginnings(bytes: &[u8]) -> Vec<usize> {
    if bytes.len() <= PLACES {
        return (0..=bytes.len()).collect();
    }
    let mut random = random(bytes);
    let mut beginnings: Vec<usize> = (0..PLACES).map(|_| random.usize(..bytes.len())).collect();
    beginnings.push(bytes.len());
    beginnings
}

/// Several ways in which the bytes may arrive: where each piece ends, in order, the last one at the end of the bytes.
pub(crate) fn ways(bytes: &[u8]) -> [Vec<usize>; 4] {
    let mut random = random(bytes);
    let mut pieces_up_to = |piece_bytes_max: usize| {
        let (mut ends, mut end) = (Vec::new(), 0);
        while end < bytes.len() {
            end = (end + random.usize(1..=piece_bytes_max)).min(bytes.len());
            ends.push(end);
        }
        ends
    };
    [vec![bytes.len()], pieces_up_to(1), pieces_up_to(9), pieces_up_to(bytes.len().max(1))]
}
