//! A figure that was measured several times: its median and its spread.

use serde::Serialize;

/// Median and spread of the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// How many rounds there were.
    pub rounds: usize,
}

impl Figure {
    /// `None` where nothing was measured, or where a value is no number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&least, &greatest) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        let is_number = least.is_finite() && greatest.is_finite();
        is_number.then_some(Self { median, least, greatest, rounds: values.len() })
    }

    /// The ratios of two rows of values, round by round.
    pub fn ratio(values: &[f64], against: &[f64]) -> Option<Self> {
        Self::of(values.iter().zip(against).map(|(value, against)| value / against))
    }
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// How many times another figure.
    Times,
    /// Nanoseconds, shown as microseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Bytes.
    Bytes,
    /// Events, deliveries or handshakes per second.
    PerSecond,
    /// Things.
    Count,
    /// A part of the whole, shown in percent.
    Share,
}

impl Unit {
    /// The value as a person reads it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:.0} %", value * 100.0),
            Self::Times => format!("{value:.2} ×"),
            Self::Nanoseconds => format!("{:.3} µs", value / 1_000.0),
            Self::Microseconds if value >= 10_000.0 => format!("{:.1} ms", value / 1_000.0),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::Bytes => format!("{} B", grouped(value)),
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Count => grouped(value),
        }
    }
}

/// Whole numbers in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let sign = if value <= -0.5 { "-" } else { "" };
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    format!("{sign}{}", groups.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_middle_of_its_rounds() {
        let figure = |values: &[f64]| Figure::of(values.iter().copied()).map(|it| (it.median, it.least, it.greatest));
        assert_eq!(figure(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(figure(&[4.0, 1.0, 2.0, 3.0]), Some((2.5, 1.0, 4.0)));
        assert_eq!(figure(&[]), None);
        assert_eq!(figure(&[1.0, f64::NAN]), None, "a division by nothing is no figure");
        let ratio = Figure::ratio(&[2.0, 3.0, 8.0], &[1.0, 2.0, 2.0]).expect("three rounds");
        assert_eq!((ratio.median, ratio.least, ratio.greatest, ratio.rounds), (2.0, 1.5, 4.0, 3));
    }

    #[test]
    fn figures_are_shown_as_people_read_them() {
        let table = [
            (Unit::Times, 0.849, "0.85 ×"),
            (Unit::Nanoseconds, 2_755.6, "2.756 µs"),
            (Unit::Microseconds, 312.4, "312 µs"),
            (Unit::Microseconds, 19_940.0, "19.9 ms"),
            (Unit::Bytes, 1_234_567.0, "1 234 567 B"),
            (Unit::Bytes, -1_234.0, "-1 234 B"),
            (Unit::PerSecond, 999.6, "1 000/s"),
            (Unit::Count, 0.0, "0"),
        ];
        for (unit, value, shown) in table {
            assert_eq!(unit.show(value), shown);
        }
    }
}
