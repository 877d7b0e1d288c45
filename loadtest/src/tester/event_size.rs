//! The size of an event as people type it: `256`, `64KiB`, `1MB`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Units, the largest first. `K` alone is refused: it means 1 000 to some and 1 024 to others.
const UNITS: [(&str, usize); 5] = [("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("KB", 1_000), ("B", 1)];

/// Bytes of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Typed", into = "usize")]
pub struct EventSize(pub usize);

/// A number or a text, as scenario files may have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Typed {
    Number(usize),
    Text(String),
}

impl TryFrom<Typed> for EventSize {
    type Error = String;

    fn try_from(typed: Typed) -> Result<Self, String> {
        match typed {
            Typed::Number(bytes) => Ok(Self(bytes)),
            Typed::Text(text) => text.parse(),
        }
    }
}

impl From<EventSize> for usize {
    fn from(size: EventSize) -> Self {
        size.0
    }
}

impl FromStr for EventSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let scale = match unit.trim_start() {
            "" => Some(1),
            unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, scale)| *scale),
        };
        let bytes = number.parse::<usize>().ok().zip(scale).and_then(|(number, scale)| number.checked_mul(scale));
        bytes.map(Self).ok_or_else(|| "a size is bytes such as 256, 64KiB or 1MB".to_owned())
    }
}

impl fmt::Display for EventSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::EventSize;

    #[test]
    fn sizes_read_as_people_type_them() {
        let table = [
            ("256", Some(256)),
            ("64KiB", Some(65_536)),
            ("64 kib", Some(65_536)),
            ("1MB", Some(1_000_000)),
            ("64K", None),
            ("", None),
            ("KiB", None),
            ("-1", None),
            ("1.5KiB", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<EventSize>().ok(), expected.map(EventSize), "{text:?}");
        }
    }
}
