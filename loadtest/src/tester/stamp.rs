//! What an event of the tester says about itself: which run, which topic, which one in the row, when it was due.
//!
//! `{"e":"RRRRTTTTTTSSSSSSSSSSPPPPDDDDDDDDDDDDDDDD…"}`: 4 digits of the run, 6 of the topic, 10 of the sequence number,
//! 4 of the place in the window and 16 of the nanoseconds since the run began, all hexadecimal at fixed places, then
//! padding up to the size asked for. It is JSON, so every server and broker takes it; it is found without parsing JSON,
//! eight digits at a time.

#![expect(clippy::cast_possible_truncation, reason = "fields are cut out of wider words")]

/// The smallest event there is, in bytes.
pub const EVENT_BYTES_MIN: usize = HEAD.len() + DIGITS + TAIL.len();

const HEAD: &[u8] = br#"{"e":""#;
const TAIL: &[u8] = br#""}"#;
/// Five words of eight digits.
const DIGITS: usize = 40;
const WORD: usize = 8;
const PADDING: u8 = b'.';
/// Padding is compared a block at a time.
const PADDING_BLOCK: [u8; 64] = [PADDING; 64];

/// One event's stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which run of the tester: what an earlier run left on its way is not counted as this one's.
    pub run: u16,
    /// Number of the topic, below 2^24.
    pub topic: u32,
    /// Counts up by one for each topic, from 0; below 2^40.
    pub sequence: u64,
    /// Its place in the window of a closed loop; 0 without one.
    pub place: u16,
    /// Nanoseconds from the beginning of the run until it was due to be published.
    pub due: u64,
}

impl Stamp {
    /// Appends the event: `event_bytes` bytes of JSON, [`EVENT_BYTES_MIN`] at least.
    pub fn write(self, event_bytes: usize, out: &mut Vec<u8>) {
        debug_assert!(self.topic < 1 << 24 && self.sequence < 1 << 40, "{self:?} fits into its digits");
        let padding = event_bytes.saturating_sub(EVENT_BYTES_MIN);
        let bits = u128::from(self.run) << 80
            | u128::from(self.topic) << 56
            | u128::from(self.sequence) << 16
            | u128::from(self.place);
        out.extend_from_slice(HEAD);
        for word in [(bits >> 64) as u32, (bits >> 32) as u32, bits as u32, (self.due >> 32) as u32, self.due as u32] {
            out.extend_from_slice(&digits(word));
        }
        out.resize(out.len() + padding, PADDING);
        out.extend_from_slice(TAIL);
    }

    /// Reads one whole event: exactly what [`Stamp::write`] wrote with this size, else `None`.
    pub fn parse(event: &[u8], event_bytes: usize) -> Option<Self> {
        if event.len() != event_bytes.max(EVENT_BYTES_MIN) {
            return None;
        }
        let inner = event.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
        let (digits, padding) = inner.split_at_checked(DIGITS)?;
        let (words, _) = digits.as_chunks::<WORD>();
        let &[first, second, third, fourth, fifth] = words else { return None };
        let bits = u128::from(value(first)?) << 64 | u128::from(value(second)?) << 32 | u128::from(value(third)?);
        let due = u64::from(value(fourth)?) << 32 | u64::from(value(fifth)?);
        is_padding(padding).then_some(Self {
            run: (bits >> 80) as u16,
            topic: (bits >> 56) as u32 & 0xff_ffff,
            sequence: (bits >> 16) as u64 & 0xff_ffff_ffff,
            place: bits as u16,
            due,
        })
    }
}

fn is_padding(padding: &[u8]) -> bool {
    padding.chunks(PADDING_BLOCK.len()).all(|block| block == &PADDING_BLOCK[..block.len()])
}

/// One bit in every byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// Eight lower-case hexadecimal digits.
fn digits(value: u32) -> [u8; WORD] {
    let quads = (u64::from(value) | u64::from(value) << 16) & 0x0000_ffff_0000_ffff;
    let pairs = (quads | quads << 8) & 0x00ff_00ff_00ff_00ff;
    letters((pairs | pairs << 4) & (EACH * 0xf)).to_be_bytes()
}

/// Turns eight nibbles, one in each byte, into their letters.
fn letters(nibbles: u64) -> u64 {
    let above_nine = ((nibbles + EACH * 6) >> 4) & EACH;
    nibbles + EACH * u64::from(b'0') + above_nine * u64::from(b'a' - b'9' - 1)
}

/// The value of eight digits, if they are exactly as [`digits`] writes them.
fn value(text: [u8; WORD]) -> Option<u32> {
    let text = u64::from_be_bytes(text);
    let nibbles = ((text & (EACH * 0xf)) + ((text >> 6) & EACH) * 9) & (EACH * 0xf);
    if letters(nibbles) != text {
        return None;
    }
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((quads | quads >> 16) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp =
        Stamp { run: 0xbeef, topic: 0xff_fffe, sequence: (1 << 40) - 3, place: 4_095, due: 0x0123_4567_89ab_cdef };

    fn written(event_bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        STAMP.write(event_bytes, &mut out);
        out
    }

    #[test]
    fn an_event_is_read_back_as_it_was_written() {
        for event_bytes in [0, EVENT_BYTES_MIN, 64, 256, 65_536] {
            let event = written(event_bytes);
            assert_eq!(event.len(), event_bytes.max(EVENT_BYTES_MIN));
            assert_eq!(Stamp::parse(&event, event_bytes), Some(STAMP));
            serde_json::from_slice::<serde_json::Value>(&event).expect("an event is JSON");
        }
        let digits = "beeffffffefffffffffd0fff0123456789abcdef";
        assert_eq!(written(0), format!(r#"{{"e":"{digits}"}}"#).as_bytes());
    }

    #[test]
    fn random_stamps_are_read_back() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..10_000 {
            let stamp = Stamp {
                run: random.u16(..),
                topic: random.u32(..1 << 24),
                sequence: random.u64(..1 << 40),
                place: random.u16(..),
                due: random.u64(..),
            };
            let mut event = Vec::new();
            stamp.write(100, &mut event);
            assert_eq!(Stamp::parse(&event, 100), Some(stamp));
        }
    }

    #[test]
    fn an_event_that_lost_or_changed_a_byte_of_its_form_is_no_event() {
        let event = written(200);
        for place in 0..event.len() {
            let damaged = [&event[..place], &event[place + 1..]].concat();
            assert_eq!(Stamp::parse(&damaged, 200), None, "without byte {place}");
        }
        for place in (0..HEAD.len()).chain(HEAD.len() + DIGITS..event.len()) {
            let mut damaged = event.clone();
            damaged[place] ^= 1;
            assert_eq!(Stamp::parse(&damaged, 200), None, "with byte {place} changed");
        }
    }

    #[test]
    fn only_the_sixteen_digits_are_digits() {
        for letter in 0..=u8::MAX {
            let expected = (letter as char).to_digit(16).filter(|_| !letter.is_ascii_uppercase());
            let mut text = *b"00000000";
            text[3] = letter;
            assert_eq!(value(text), expected.map(|digit| digit << 16), "{letter:#x}");
        }
    }
}
