//! What a figure is counted in, and how people read it: `1.25 ms`, `320 k/s`, `64 KiB`.

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things: clients, events.
    Count,
    /// Things per second.
    PerSecond,
    /// Seconds on a clock: `90 s`, `5 min`.
    Seconds,
    /// A span, in microseconds.
    Microseconds,
    /// A span, in nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// Part of a whole, from 0 to 1.
    Share,
    /// A percentile, from 0 to 100.
    Percentile,
    /// How many times something else.
    Ratio,
}

/// No-break space: a figure and its unit stay on one line.
const SPACE: char = '\u{a0}';

impl Unit {
    /// Three digits and a unit that fits them, as axes and headlines have it.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            // Nothing was delivered, so nothing was spent on each.
            _ if !value.is_finite() => "–".to_owned(),
            Self::Count => scaled(value, 1_000.0, &["", "k", "M", "G", "T"]),
            Self::PerSecond if value < 1_000.0 => format!("{}/s", digits(value)),
            Self::PerSecond => format!("{}/s", scaled(value, 1_000.0, &["", "k", "M", "G"])),
            Self::Seconds => clock(value),
            Self::Microseconds => span(value * 1_000.0),
            Self::Nanoseconds => span(value),
            Self::Bytes => scaled(value, 1_024.0, &["B", "KiB", "MiB", "GiB", "TiB"]),
            Self::Share => format!("{}{SPACE}%", digits(value * 100.0)),
            Self::Percentile => format!("{}{SPACE}%", trimmed(format!("{value:.6}"))),
            Self::Ratio => format!("{value:.2}{SPACE}×"),
        }
    }

    /// The unit of a figure that a run names, by the end of its name, and the name for people: `p99_us` is `p99`.
    pub(super) fn of_figure(name: &str) -> (Self, String) {
        const ENDINGS: [(&str, Unit); 5] = [
            ("_us", Unit::Microseconds),
            ("_ns", Unit::Nanoseconds),
            ("_seconds", Unit::Seconds),
            ("_bytes", Unit::Bytes),
            ("_share", Unit::Share),
        ];
        if let Some((name, unit)) = ENDINGS.iter().find_map(|(ending, unit)| Some((name.strip_suffix(ending)?, *unit)))
        {
            return (unit, name.replace('_', " "));
        }
        let unit = match name {
            name if name.contains("bytes_per") => Self::Bytes,
            name if name.contains("ns_per") => Self::Nanoseconds,
            name if name.ends_with("per_second") || name == "rate" => Self::PerSecond,
            name if name.ends_with("ratio") => Self::Ratio,
            _ => Self::Count,
        };
        (unit, name.replace('_', " "))
    }
}

/// All digits of a count, in groups of three.
pub(super) fn exact(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(SPACE);
        }
        out.push(digit);
    }
    out
}

/// A count as a figure: nobody reads its sixteenth digit.
#[allow(clippy::cast_precision_loss)]
pub(super) fn whole(count: u64) -> f64 {
    count as f64
}

fn span(nanoseconds: f64) -> String {
    if nanoseconds == 0.0 { "0".to_owned() } else { scaled(nanoseconds, 1_000.0, &["ns", "µs", "ms", "s"]) }
}

fn clock(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{}{SPACE}s", digits(seconds)),
        seconds if seconds < 7_200.0 => format!("{}{SPACE}min", digits(seconds / 60.0)),
        seconds => format!("{}{SPACE}h", digits(seconds / 3_600.0)),
    }
}

/// The value in the largest of its units that leaves one digit before the point.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let (mut value, mut place) = (value, 0);
    // 999.5 would be written as 1000.
    while value.abs() >= step - 0.5 && place + 1 < units.len() {
        value /= step;
        place += 1;
    }
    let unit = units[place];
    if unit.is_empty() { digits(value) } else { format!("{}{SPACE}{unit}", digits(value)) }
}

/// Three digits, without zeros at the end of a fraction.
fn digits(value: f64) -> String {
    let fraction = match value.abs() {
        magnitude if magnitude >= 99.95 => 0,
        magnitude if magnitude >= 9.995 => 1,
        _ => 2,
    };
    trimmed(format!("{value:.fraction$}"))
}

fn trimmed(number: String) -> String {
    if !number.contains('.') {
        return number;
    }
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        for (unit, value, text) in [
            (Unit::Count, 0.0, "0"),
            (Unit::Nanoseconds, f64::NAN, "–"),
            (Unit::Count, 19_000.0, "19 k"),
            (Unit::Count, 999.9, "1 k"),
            (Unit::PerSecond, 12.5, "12.5/s"),
            (Unit::PerSecond, 2_480_000.0, "2.48 M/s"),
            (Unit::Seconds, 90.0, "90 s"),
            (Unit::Seconds, 7_200.0, "2 h"),
            (Unit::Microseconds, 0.0, "0"),
            (Unit::Microseconds, 850.0, "850 µs"),
            (Unit::Microseconds, 1_250.0, "1.25 ms"),
            (Unit::Nanoseconds, 340.0, "340 ns"),
            (Unit::Nanoseconds, 2_310.0, "2.31 µs"),
            (Unit::Bytes, 65_536.0, "64 KiB"),
            (Unit::Bytes, 1_000.0, "1000 B"),
            (Unit::Share, 0.954, "95.4 %"),
            (Unit::Percentile, 99.999, "99.999 %"),
            (Unit::Ratio, 0.87, "0.87 ×"),
        ] {
            assert_eq!(unit.text(value).replace(SPACE, " "), text, "{unit:?} of {value}");
        }
        assert_eq!(exact(1_234_567).replace(SPACE, " "), "1 234 567");
        assert_eq!(exact(100), "100");
    }

    #[test]
    fn a_figure_says_its_unit_at_the_end_of_its_name() {
        for (name, unit, shown) in [
            ("p99_us", Unit::Microseconds, "p99"),
            ("cpu_ns_per_delivery", Unit::Nanoseconds, "cpu ns per delivery"),
            ("rss_bytes_per_connection", Unit::Bytes, "rss bytes per connection"),
            ("delivered_per_second", Unit::PerSecond, "delivered per second"),
            ("rate", Unit::PerSecond, "rate"),
            ("lost", Unit::Count, "lost"),
        ] {
            assert_eq!(Unit::of_figure(name), (unit, shown.to_owned()));
        }
    }
}
