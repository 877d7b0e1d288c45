//! Sizes as people type them: `64KiB`, `1MB`, `4096`.

use std::fmt;

/// Units, the largest first. `K` alone is refused: it means 1 000 to some and 1 024 to others.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Reads digits and an optional unit, with or without a space between, in any case. `None` for anything else and
    /// for what does not fit 64 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        if unit.is_empty() {
            return (digits == text.len()).then_some(Self(number));
        }
        let (_, scale) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.checked_mul(*scale).map(Self)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest binary unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().filter(|(_, scale)| scale.is_power_of_two());
        let mut dividing = binary.filter(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale));
        let (name, scale) = dividing.next().unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_read_as_people_type_them() {
        let table = [
            ("0", Some(0)),
            ("125", Some(125)),
            ("125B", Some(125)),
            ("64KiB", Some(65_536)),
            ("64 kib", Some(65_536)),
            ("64KB", Some(64_000)),
            ("1MiB", Some(1 << 20)),
            ("1MB", Some(1_000_000)),
            ("2GiB", Some(2 << 30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("17179869184GiB", None),
            ("64K", None),
            ("64 ", None),
            ("64  KiB", None),
            ("", None),
            ("KiB", None),
            ("+1", None),
            ("-1", None),
            ("1.5MiB", None),
            ("1MiB ", None),
            ("١", None),
        ];
        for (text, expected) in table {
            assert_eq!(ByteSize::parse(text), expected.map(ByteSize), "{text:?}");
        }
    }

    #[test]
    fn a_printed_size_reads_back() {
        assert_eq!(ByteSize(65_536).to_string(), "64KiB");
        assert_eq!(ByteSize(64_000).to_string(), "64000B");
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let size = ByteSize(random.u64(..) >> random.u32(0..64));
            assert_eq!(ByteSize::parse(&size.to_string()), Some(size));
        }
    }
}
