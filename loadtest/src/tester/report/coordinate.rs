//! An axis as the drawing library takes it: its marks are where we put them and say what we write.

use super::axis::Axis;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// An axis with the marks that fit its length.
pub(super) struct Coordinate {
    ends: Range<f64>,
    marks: Vec<(f64, String)>,
}

impl Coordinate {
    /// The axis where it is `length` long and a letter takes `letter` of that.
    pub(super) fn new(axis: &Axis, length: u32, letter: u32) -> Self {
        let (low, high) = axis.ends();
        Self { ends: low..high, marks: axis.marks(f64::from(length), f64::from(letter)) }
    }
}

impl Ranged for Coordinate {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation)] // between two ends that are whole numbers
    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (place - self.ends.start) / (self.ends.end - self.ends.start);
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Lines between the marks: none.
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.marks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

impl ValueFormatter<f64> for Coordinate {
    fn format_ext(&self, place: &f64) -> String {
        let mark = self.marks.iter().find(|(mark, _)| mark.total_cmp(place).is_eq());
        mark.map(|(_, text)| text.clone()).unwrap_or_default()
    }
}
