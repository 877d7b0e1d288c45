//! A service level objective for latency: `p99=50ms`.

use super::clock::whole;
use super::outcome::Latency;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The latency that a percentile may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Goal {
    /// Which one.
    pub percentile: Percentile,
    /// At most this many microseconds.
    pub microseconds_max: u64,
}

/// A percentile that outcomes state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// Half were faster.
    P50,
    /// Nine in ten were faster.
    P90,
    /// 99 in a hundred were faster.
    P99,
    /// 999 in a thousand were faster.
    P999,
    /// The slowest.
    Max,
}

/// Names, the one to print first for each.
const NAMES: [(&str, Percentile); 6] = [
    ("p50", Percentile::P50),
    ("p90", Percentile::P90),
    ("p99", Percentile::P99),
    ("p99.9", Percentile::P999),
    ("p999", Percentile::P999),
    ("max", Percentile::Max),
];

const UNITS: [(&str, f64); 3] = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];

impl Percentile {
    /// Its value among these, in microseconds.
    pub fn of(self, latency: &Latency) -> u64 {
        match self {
            Self::P50 => latency.p50,
            Self::P90 => latency.p90,
            Self::P99 => latency.p99,
            Self::P999 => latency.p999,
            Self::Max => latency.max,
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(_, percentile)| percentile == self).map_or("", |(name, _)| name))
    }
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unfit =
            || "a goal is a percentile and a time such as p99=50ms, p99.9=200ms, p50=800us or max=1s".to_owned();
        let (name, time) = text.split_once('=').ok_or_else(unfit)?;
        let (_, percentile) = NAMES.iter().find(|(known, _)| *known == name).ok_or_else(unfit)?;
        let letter = time.find(|letter: char| letter.is_ascii_alphabetic()).ok_or_else(unfit)?;
        let (_, scale) = UNITS.iter().find(|(known, _)| *known == &time[letter..]).ok_or_else(unfit)?;
        let number: f64 = time[..letter].parse().map_err(|_| unfit())?;
        let microseconds = number * scale;
        if !(1.0..1e12).contains(&microseconds) {
            return Err(unfit());
        }
        Ok(Self { percentile: *percentile, microseconds_max: whole(microseconds) })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().rev().find(|(_, scale)| self.microseconds_max.is_multiple_of(whole(*scale)));
        let (name, scale) = unit.unwrap_or(&UNITS[0]);
        write!(f, "{}={}{name}", self.percentile, self.microseconds_max / whole(*scale))
    }
}

impl TryFrom<String> for Goal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Goal> for String {
    fn from(goal: Goal) -> Self {
        goal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Goal;

    #[test]
    fn goals_read_as_people_type_them_and_print_alike() {
        for text in ["p99=50ms", "p50=800us", "p99.9=2s", "max=1s", "p90=1500us"] {
            assert_eq!(text.parse::<Goal>().map(|goal| goal.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("p999=1.5ms".parse::<Goal>().unwrap().to_string(), "p99.9=1500us");
        for text in ["", "p99", "p98=1ms", "p99=1", "p99=ms", "p99=0ms", "p99=-1ms", "p99=1m", "50ms"] {
            assert!(text.parse::<Goal>().is_err(), "{text:?}");
        }
    }
}
