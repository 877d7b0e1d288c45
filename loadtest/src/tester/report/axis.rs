//! One axis of a plot: where a value stands on it and which values are written beside it.

use super::unit::Unit;

/// One axis. Values have a place on it that grows with the distance people see.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// What it shows, for people.
    pub name: String,
    /// What its values are counted in.
    pub unit: Unit,
    scale: Scale,
    low: f64,
    high: f64,
    marks: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
    /// Each further nine of a percentile as long as the one before, as HDR plots have it.
    Nines,
}

/// From here on a linear axis hides the small values.
const SPAN_MAX: f64 = 30.0;
/// Marks of a logarithmic axis; above it only powers of ten.
const MARKS_MAX: usize = 10;
const PERCENTILES: [f64; 9] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999, 99.99999];

impl Axis {
    /// From zero to just above the largest value.
    pub(super) fn linear(name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let high = values.into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let step = step(unit, if high > 0.0 { high / 5.0 } else { 0.2 });
        let steps = (high / step).ceil().max(1.0);
        let marks = (0..=5).map(f64::from).take_while(|mark| *mark <= steps).map(|mark| mark * step).collect();
        Self { name: name.to_owned(), unit, scale: Scale::Linear, low: 0.0, high: steps * step, marks }
    }

    /// From zero to the largest value and no further.
    pub(super) fn up_to(name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        let high = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let axis = Self::linear(name, unit, values);
        if high > 0.0 {
            Self { high, marks: axis.marks.into_iter().filter(|mark| *mark <= high).collect(), ..axis }
        } else {
            axis
        }
    }

    /// Powers of ten are equally far apart; values that are not positive have no place.
    pub(super) fn logarithmic(name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = positive_range(values);
        let mut low_mark = nice_floor(low);
        let high_mark = nice_floor(high) * if nice_floor(high) < high { 2.5 } else { 1.0 };
        let high_mark = nice_floor(high_mark);
        if low_mark >= high_mark {
            low_mark = nice_floor(low_mark / 2.0);
        }
        let mut marks = nice_between(low_mark, high_mark);
        if marks.len() > MARKS_MAX {
            marks.retain(|mark| (mark.log10() - mark.log10().round()).abs() < 1e-9);
        }
        let scale = Scale::Logarithmic;
        let (low, high) = (scale.place(low_mark), scale.place(high_mark));
        Self { name: name.to_owned(), unit, scale, low, high, marks }
    }

    /// Linear from zero where that shows every value, else logarithmic.
    pub(super) fn fitting(name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        let (low, high) = positive_range(values.iter().copied());
        if high > low * SPAN_MAX { Self::logarithmic(name, unit, values) } else { Self::linear(name, unit, values) }
    }

    /// Logarithmic, with a mark at each value that was tried.
    pub(super) fn tried(name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let mut marks: Vec<f64> = values.into_iter().filter(|value| *value > 0.0).collect();
        marks.sort_by(f64::total_cmp);
        marks.dedup();
        let scale = Scale::Logarithmic;
        let ends =
            marks.first().zip(marks.last()).map_or((0.0, 1.0), |(low, high)| (scale.place(*low), scale.place(*high)));
        // Room beside the first and the last point.
        let room = ((ends.1 - ends.0) * 0.04).max(0.02);
        Self { name: name.to_owned(), unit, scale, low: ends.0 - room, high: ends.1 + room, marks }
    }

    /// Percentiles from 0 to the last one with a distance to 100, which stands at the end.
    pub(super) fn percentiles(name: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let scale = Scale::Nines;
        let places = values.into_iter().map(|value| scale.place(value)).filter(|place| place.is_finite());
        let high = places.fold(1.0, f64::max) + 0.15;
        let marks = PERCENTILES.into_iter().filter(|mark| scale.place(*mark) <= high).collect();
        Self { name: name.to_owned(), unit: Unit::Percentile, scale, low: 0.0, high, marks }
    }

    /// Where a value stands, if it has a place.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let place = self.scale.place(value);
        match self.scale {
            // The largest of all values is the 100th percentile, however many there are.
            Scale::Nines if place > self.high => Some(self.high),
            _ => place.is_finite().then(|| place.clamp(self.low, self.high)),
        }
    }

    /// The places where it begins and ends.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Places to mark and what is written there: those whose words do not run into each other on `length` units, where
    /// a letter takes `letter` of them.
    pub(super) fn marks(&self, length: f64, letter: f64) -> Vec<(f64, String)> {
        let mut taken = f64::NEG_INFINITY;
        let mut out = Vec::with_capacity(self.marks.len());
        for &mark in &self.marks {
            let (Some(place), text) = (self.place(mark), self.unit.text(mark)) else { continue };
            let middle = (place - self.low) / (self.high - self.low) * length;
            #[allow(clippy::cast_precision_loss)] // a few letters
            let half = (text.chars().count() as f64 + 1.0) * letter / 2.0;
            if middle - half >= taken {
                taken = middle + half;
                out.push((place, text));
            }
        }
        out
    }
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic if value > 0.0 => value.log10(),
            Self::Logarithmic => f64::NAN,
            Self::Nines => -(1.0 - value / 100.0).log10(),
        }
    }
}

fn positive_range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let positive = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) =
        positive.fold((f64::INFINITY, 0.0), |(low, high), value| (f64::min(low, value), f64::max(high, value)));
    if low > high { (1.0, 1.0) } else { (low, high) }
}

/// The distance between marks: the first one people count in that is no smaller than this.
fn step(unit: Unit, least: f64) -> f64 {
    const CLOCK: [f64; 16] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0,
        43_200.0,
    ];
    match unit {
        Unit::Bytes => 2_f64.powf(least.max(1.0).log2().ceil()),
        Unit::Seconds if least > 0.5 => {
            CLOCK.into_iter().find(|step| *step >= least).unwrap_or((least / 86_400.0).ceil() * 86_400.0)
        }
        Unit::Count => nice_ceil(least.max(1.0)),
        _ => nice_ceil(least),
    }
}

/// The largest of 1, 2, 5, 10, 20, 50 … (and 0.5, 0.2 …) that is not above this.
fn nice_floor(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    // A little slack: 0.2 * 10 is 2 less something.
    let digit = [10.0, 5.0, 2.0, 1.0].into_iter().find(|digit| digit * decade <= value * 1.000_001).unwrap_or(1.0);
    digit * decade
}

fn nice_ceil(value: f64) -> f64 {
    let floor = nice_floor(value);
    if floor >= value * 0.999_999 { floor } else { nice_floor(floor * 2.5) }
}

fn nice_between(low: f64, high: f64) -> Vec<f64> {
    std::iter::successors(Some(low), |mark| Some(nice_floor(mark * 2.5)))
        .take_while(|mark| *mark <= high * 1.000_001)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(axis: &Axis) -> Vec<String> {
        axis.marks(1e9, 1.0).into_iter().map(|(_, text)| text.replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn marks_are_numbers_that_people_count_in() {
        let check = |axis: &Axis, expected: &[&str]| assert_eq!(marks(axis), expected);
        check(&Axis::linear("", Unit::Count, [3.0]), &["0", "1", "2", "3"]);
        check(&Axis::linear("", Unit::Count, [87.0]), &["0", "20", "40", "60", "80", "100"]);
        check(&Axis::linear("", Unit::Seconds, [290.0]), &["0 s", "60 s", "2 min", "3 min", "4 min", "5 min"]);
        check(&Axis::linear("", Unit::Bytes, [9_000.0]), &["0 B", "2 KiB", "4 KiB", "6 KiB", "8 KiB", "10 KiB"]);
        check(
            &Axis::logarithmic("", Unit::Microseconds, [80.0, 900.0]),
            &["50 µs", "100 µs", "200 µs", "500 µs", "1 ms"],
        );
        check(&Axis::up_to("", Unit::Seconds, [6.4]), &["0 s", "2 s", "4 s", "6 s"]);
        check(&Axis::logarithmic("", Unit::Microseconds, [30.0, 2e6]), &["100 µs", "1 ms", "10 ms", "100 ms", "1 s"]);
        check(&Axis::tried("", Unit::Count, [16.0, 1.0, 4.0, 4.0]), &["1", "4", "16"]);
        check(&Axis::percentiles("", [50.0, 99.0, 99.9]), &["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
    }

    #[test]
    fn every_value_that_was_given_stands_within_the_ends() {
        let values = [0.3, 1.0, 7.5, 99.0, 99.99, 4_096.0, 1e7];
        for unit in [Unit::Count, Unit::Bytes, Unit::Seconds, Unit::Microseconds] {
            for largest in 1..=values.len() {
                let values = &values[..largest];
                for axis in [Axis::linear, Axis::up_to, Axis::logarithmic, Axis::fitting, Axis::tried]
                    .map(|of| of("", unit, values.to_vec()))
                {
                    let (low, high) = axis.ends();
                    assert!(low < high, "{axis:?}");
                    for value in values {
                        let place = axis.scale.place(*value);
                        assert!(low <= place && place <= high, "{value} on {axis:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_axis_of_nothing_still_has_two_ends() {
        for axis in [Axis::linear, Axis::up_to, Axis::logarithmic, Axis::fitting, Axis::tried]
            .map(|of| of("", Unit::Count, vec![]))
        {
            assert!(axis.low < axis.high, "{axis:?}");
        }
        assert!(Axis::percentiles("", []).low < Axis::percentiles("", []).high);
    }

    #[test]
    fn what_has_no_place_on_a_logarithmic_axis_is_not_drawn() {
        assert_eq!(Axis::logarithmic("", Unit::Count, [1.0, 100.0]).place(0.0), None);
        assert_eq!(Axis::linear("", Unit::Count, [1.0]).place(f64::NAN), None);
    }

    #[test]
    fn the_largest_value_stands_at_the_end_of_the_percentiles() {
        let axis = Axis::percentiles("", [99.0, 100.0]);
        assert_eq!(axis.place(100.0), Some(axis.ends().1));
    }

    #[test]
    fn words_beside_an_axis_do_not_run_into_each_other() {
        let axis = Axis::tried("", Unit::Count, [1.0, 10_000.0, 19_000.0]);
        assert_eq!(axis.marks(600.0, 7.0).len(), 3);
        assert_eq!(axis.marks(300.0, 7.0).len(), 2);
    }
}
