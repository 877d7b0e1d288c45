//! Random conversations: however they are split the same comes out; whatever is broken in them nothing panics.

use super::client::{BINARY, CLOSE, End, PING, PONG, ROOMY, Said, TEXT, converse, frame, frame_masked, frames};
use super::client::{LAST, TEXT_BEGINS, check, ping, text};
use fastrand::Rng;

/// Lengths at which the header changes, and their neighbours.
const LENGTHS: [usize; 12] = [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 65_535, 65_536];

/// The frames of one message in random fragments, control frames between them; what they say goes to `said`.
fn write_message(random: &mut Rng, bytes: &mut Vec<u8>, said: &mut Vec<Said>) {
    let length = if random.u8(..4) == 0 { LENGTHS[random.usize(..LENGTHS.len())] } else { random.usize(..300) };
    let message = if random.bool() {
        Said::Text(characters(random, length))
    } else {
        Said::Binary((0..length).map(|_| random.u8(..)).collect())
    };
    let (mut opcode, mut rest) = match &message {
        Said::Text(text) => (TEXT & 0x0f, text.as_bytes()),
        Said::Binary(payload) => (BINARY & 0x0f, &payload[..]),
        _ => unreachable!(),
    };
    while random.u8(..3) == 0 {
        let (fragment, after) = rest.split_at(random.usize(..=rest.len()));
        bytes.extend(masked(random, opcode, fragment));
        (opcode, rest) = (0, after);
        if random.bool() {
            write_control(random, bytes, said);
        }
    }
    bytes.extend(masked(random, LAST | opcode, rest));
    said.push(message);
}

/// Random characters of exactly `bytes` bytes.
fn characters(random: &mut Rng, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        let character = ['a', 'ü', '€', '😀'][random.usize(..4)];
        text.push(if text.len() + character.len_utf8() <= bytes { character } else { 'z' });
    }
    text
}

fn write_control(random: &mut Rng, bytes: &mut Vec<u8>, said: &mut Vec<Said>) {
    let payload: Vec<u8> = (0..random.usize(..=125)).map(|_| random.u8(..)).collect();
    let is_ping = random.bool();
    bytes.extend(masked(random, if is_ping { PING } else { PONG }, &payload));
    said.push(if is_ping { Said::Ping(payload) } else { Said::Pong(payload) });
}

fn masked(random: &mut Rng, first: u8, payload: &[u8]) -> Vec<u8> {
    frame_masked(first, std::array::from_fn(|_| random.u8(..)), payload)
}

/// Bytes of up to ten messages and control frames, and what they say.
fn conversation(random: &mut Rng) -> (Vec<u8>, Vec<Said>) {
    let (mut bytes, mut said) = (Vec::new(), Vec::new());
    for _ in 0..random.usize(..10) {
        if random.u8(..4) == 0 {
            write_control(random, &mut bytes, &mut said);
        } else {
            write_message(random, &mut bytes, &mut said);
        }
    }
    (bytes, said)
}

#[test]
fn a_conversation_means_the_same_however_it_is_split() {
    for seed in 0..400 {
        let random = &mut Rng::with_seed(seed);
        let (bytes, said) = conversation(random);
        for piece_bytes_max in [usize::MAX, 20_000, 1_000, 40, 3] {
            let heard = converse(&bytes, ROOMY, || random.usize(1..=piece_bytes_max));
            assert!(heard == (said.clone(), End::Idle), "seed {seed}, pieces of at most {piece_bytes_max}");
        }
    }
}

#[test]
fn every_two_cuts_of_a_short_conversation_leave_it_the_same() {
    let bytes =
        frames(&[(TEXT_BEGINS, "aü".as_bytes()), (PING, b"pp"), (LAST, "€".as_bytes()), (TEXT, b"t"), (PING, b"")]);
    let said = [ping(b"pp"), text("aü€"), text("t"), ping(b"")];
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let mut pieces = [first, second - first, bytes.len()].into_iter();
            let heard = converse(&bytes, ROOMY, || pieces.next().unwrap());
            assert_eq!(heard, (said.to_vec(), End::Idle), "cut at {first} and {second}");
        }
    }
}

#[test]
fn broken_conversations_end_the_same_however_they_are_split() {
    let mut refused = 0;
    for seed in 0..3_000 {
        let random = &mut Rng::with_seed(seed);
        let (mut bytes, _) = conversation(random);
        bytes.truncate(5_000);
        for _ in 0..random.usize(1..4) {
            if !bytes.is_empty() {
                let index = random.usize(..bytes.len());
                bytes[index] ^= 1 << random.u8(..8);
            }
        }
        let max = random.usize(..2_000);
        let whole = converse(&bytes, max, || usize::MAX);
        for piece_bytes_max in [1_000, 40, 3] {
            let heard = converse(&bytes, max, || random.usize(1..=piece_bytes_max));
            assert!(heard == whole, "seed {seed}, pieces of at most {piece_bytes_max}: {:?} {:?}", heard.1, whole.1);
        }
        refused += u32::from(matches!(whole.1, End::Refused(_)));
    }
    assert!(refused > 1_000, "{refused} of 3000 were broken");
}

#[test]
fn garbage_is_refused_or_waits_within_its_bounds() {
    for seed in 0..5_000 {
        let random = &mut Rng::with_seed(seed);
        let mut bytes: Vec<u8> = (0..random.usize(..400)).map(|_| random.u8(..)).collect();
        if let [first, second, ..] = &mut bytes[..] {
            // Half of it looks like a client's frame, so that the payload is reached.
            (*first, *second) = if random.bool() { (*first & 0x8f, *second | 0x80) } else { (*first, *second) };
        }
        converse(&bytes, 100, || random.usize(1..=50));
    }
}

#[test]
fn endless_fragments_stay_within_the_limit() {
    let (max, mut bytes) = (1_000, frame(TEXT_BEGINS, b""));
    (0..=1_000).for_each(|_| bytes.extend(frames(&[(0, b"a"), (0, b"")])));
    let (said, end) = converse(&bytes, max, || 64);
    assert!(said.is_empty());
    assert_eq!(end, End::Refused(crate::wire::ws::Violation::TooBig));
    check(
        "and a close is still heard",
        &frames(&[(TEXT_BEGINS, b""), (CLOSE, b"")]),
        &[Said::Close(None)],
        End::Closed,
    );
}
