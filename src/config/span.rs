//! Spans of time as people type them: `54s`, `100ms`, `1m`, `0`.

use std::fmt;
use std::time::Duration;

/// Units in microseconds, the largest first.
const UNITS: [(&str, u64); 6] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1), ("µs", 1)];

/// A span of time, to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Reads digits and a unit; only zero needs none. `None` for anything else and for what does not fit.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        if unit.is_empty() {
            return (number == 0).then_some(Self(Duration::ZERO));
        }
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*scale).map(|micros| Self(Duration::from_micros(micros)))
    }
}

impl fmt::Display for Span {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let divides = |scale: u64| micros >= u128::from(scale) && micros.is_multiple_of(u128::from(scale));
        match UNITS.iter().find(|(_, scale)| divides(*scale)) {
            Some((name, scale)) => write!(f, "{}{name}", micros / u128::from(*scale)),
            None => f.write_str("0s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Span;
    use std::time::Duration;

    #[test]
    fn spans_read_as_people_type_them() {
        let table = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("54s", Some(54_000_000)),
            ("54 s", Some(54_000_000)),
            ("100ms", Some(100_000)),
            ("5us", Some(5)),
            ("5µs", Some(5)),
            ("1m", Some(60_000_000)),
            ("2h", Some(7_200_000_000)),
            ("54", None),
            ("", None),
            ("s", None),
            ("1S", None),
            ("-1s", None),
            ("1.5s", None),
            ("1m30s", None),
            ("18446744073709551615h", None),
        ];
        for (text, expected) in table {
            assert_eq!(Span::parse(text), expected.map(|micros| Span(Duration::from_micros(micros))), "{text:?}");
        }
    }

    #[test]
    fn a_printed_span_reads_back() {
        assert_eq!(Span(Duration::from_secs(54)).to_string(), "54s");
        assert_eq!(Span(Duration::from_secs(60)).to_string(), "1m");
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..10_000 {
            let span = Span(Duration::from_micros(random.u64(..) >> random.u32(0..64)));
            assert_eq!(Span::parse(&span.to_string()), Some(span));
        }
    }
}
