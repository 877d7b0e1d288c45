//! What a row of the budget table came to.

use super::figure::{Figure, Unit};
use serde::Serialize;
use std::fmt;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The row's name, as `--only` takes it.
    pub row: String,
    /// What was measured.
    pub what: String,
    /// The server's figure, where there is one.
    pub measured: Option<Measured>,
    /// What it and the budget count, measured or not.
    pub unit: Unit,
    /// What it is a ratio to, where it is one to something.
    pub yardstick: Option<Yardstick>,
    /// What is allowed; `None` in rows that only show.
    pub budget: Option<Budget>,
    /// Whether it is met.
    pub verdict: Standing,
    /// What else a reader must know, in sentences.
    pub notes: Vec<String>,
}

/// A figure and what it counts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measured {
    /// The figure.
    pub figure: Figure,
    /// What it counts.
    pub unit: Unit,
}

/// What a figure is compared with, in the same rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Yardstick {
    /// Its name, such as `floor send`.
    pub name: String,
    /// Its own figure, in the unit of the measured one.
    pub figure: Figure,
    /// The measured figure divided by it, round by round.
    pub ratio: Figure,
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// The ratio to the yardstick is no more than this.
    RatioAtMost(f64),
    /// The figure is no more than this.
    AtMost(f64),
    /// The figure is no less than this.
    AtLeast(f64),
}

/// Whether a budget is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The median is within the budget.
    Met,
    /// It is not, or a run lost something.
    Missed,
    /// It could not be measured here; the notes say why.
    NotShown,
    /// There is no budget.
    Shown,
    /// Measuring it failed; the notes say how.
    Broken,
}

impl Finding {
    /// A row whose figure is not known yet.
    pub fn new(row: &str, what: impl Into<String>) -> Self {
        Self {
            row: row.to_owned(),
            what: what.into(),
            measured: None,
            unit: Unit::Count,
            yardstick: None,
            budget: None,
            verdict: Standing::NotShown,
            notes: Vec::new(),
        }
    }

    /// With the values of all rounds.
    #[must_use]
    pub fn measured(mut self, unit: Unit, values: &[f64]) -> Self {
        self.unit = unit;
        self.measured = Figure::of(values.iter().copied()).map(|figure| Measured { figure, unit });
        self.judged()
    }

    /// Beside something else, measured in the same rounds.
    #[must_use]
    pub fn beside(mut self, name: &str, values: &[f64], against: &[f64]) -> Self {
        let ratio = Figure::ratio(values, against);
        let figure = Figure::of(against.iter().copied());
        self.yardstick = figure.zip(ratio).map(|(figure, ratio)| Yardstick { name: name.to_owned(), figure, ratio });
        self.judged()
    }

    /// With a budget.
    #[must_use]
    pub fn within(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self.judged()
    }

    /// With something else to say.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// It cannot stand, whatever the figure says.
    #[must_use]
    pub fn but(mut self, verdict: Standing, reason: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.note(reason)
    }

    fn judged(mut self) -> Self {
        let ratio = self.yardstick.as_ref().map(|yardstick| yardstick.ratio.median);
        let value = self.measured.map(|measured| measured.figure.median);
        let is_met = match self.budget {
            None => None,
            Some(Budget::RatioAtMost(limit)) => ratio.map(|ratio| ratio <= limit),
            Some(Budget::AtMost(limit)) => value.map(|value| value <= limit),
            Some(Budget::AtLeast(limit)) => value.map(|value| value >= limit),
        };
        self.verdict = match (is_met, self.budget, value) {
            (Some(true), ..) => Standing::Met,
            (Some(false), ..) => Standing::Missed,
            (None, None, Some(_)) => Standing::Shown,
            _ => Standing::NotShown,
        };
        self
    }

    /// The budget as a person reads it.
    pub fn allowed(&self) -> String {
        match self.budget {
            None => "–".to_owned(),
            Some(Budget::RatioAtMost(limit)) => format!("≤ {}", Unit::Times.show(limit)),
            Some(Budget::AtMost(limit)) => format!("≤ {}", self.unit.show(limit)),
            Some(Budget::AtLeast(limit)) => format!("≥ {}", self.unit.show(limit)),
        }
    }

    /// The figure that is judged and its spread.
    pub fn spread(&self) -> Option<(Figure, Unit)> {
        match (self.budget, &self.yardstick, self.measured) {
            (Some(Budget::RatioAtMost(_)) | None, Some(yardstick), _) => Some((yardstick.ratio, Unit::Times)),
            (_, _, Some(measured)) => Some((measured.figure, measured.unit)),
            _ => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Met => "met",
            Self::Missed => "**not met**",
            Self::NotShown => "not shown",
            Self::Shown => "–",
            Self::Broken => "**broken**",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(budget: Budget, expected: Standing) {
        let values = [8.0, 9.0, 10.0];
        let finding = Finding::new("row", "what").measured(Unit::Bytes, &values);
        let finding = finding.beside("floor", &values, &[10.0, 10.0, 10.0]).within(budget);
        assert_eq!(finding.verdict, expected, "{budget:?}");
    }

    #[test]
    fn a_budget_is_met_up_to_its_limit() {
        check(Budget::RatioAtMost(0.9), Standing::Met);
        check(Budget::RatioAtMost(0.89), Standing::Missed);
        check(Budget::AtMost(9.0), Standing::Met);
        check(Budget::AtMost(8.9), Standing::Missed);
        check(Budget::AtLeast(9.0), Standing::Met);
        check(Budget::AtLeast(9.1), Standing::Missed);
    }

    #[test]
    fn what_was_not_measured_is_never_met() {
        let finding = Finding::new("row", "what").within(Budget::RatioAtMost(1.0));
        assert_eq!(finding.verdict, Standing::NotShown);
        let unknown =
            Finding::new("row", "what").within(Budget::AtMost(500.0)).measured(Unit::Nanoseconds, &[f64::NAN]);
        assert_eq!((unknown.verdict, unknown.allowed()), (Standing::NotShown, "≤ 0.500 µs".to_owned()));
        let finding = finding.measured(Unit::Nanoseconds, &[0.5]);
        assert_eq!(finding.verdict, Standing::NotShown, "a ratio needs something beside it");
        let finding = finding.beside("floor", &[0.5], &[0.0]);
        assert_eq!(finding.verdict, Standing::NotShown, "a division by nothing is no ratio");
    }

    #[test]
    fn a_row_without_a_budget_only_shows() {
        let finding = Finding::new("row", "what").measured(Unit::Nanoseconds, &[0.5]);
        assert_eq!((finding.verdict, finding.allowed()), (Standing::Shown, "–".to_owned()));
    }
}
