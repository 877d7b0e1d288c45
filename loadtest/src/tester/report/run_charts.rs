//! The plots of one run: each where the run has the figures for it, and none where it has not.

use super::axis::Axis;
use super::chart::{Chart, Mark, Point, Series};
use super::palette::Ink;
use super::seconds::Slice;
use super::unit::{Unit, whole};
use crate::tester::outcome::{Latency, Outcome, Round};

/// Which percentiles are drawn over time: name and where to find it.
type Percentile = (&'static str, fn(&Latency) -> u64);

const OVER_TIME: [Percentile; 3] = [("p50", |it| it.p50), ("p99", |it| it.p99), ("max", |it| it.max)];

/// Every plot that the run has figures for.
pub(super) fn charts(outcome: &Outcome) -> Vec<Chart> {
    let slices = Slice::all(&outcome.samples);
    [
        latency_by_percentile(outcome),
        latency_over_time(&slices),
        rate_over_time(["Events", "delivered"], &slices, |slice| slice.delivered_per_second),
        rate_over_time(["Events", "published"], &slices, |slice| slice.published_per_second),
        connections_over_time(&slices),
        rate_over_time(["Connections", "ended"], &slices, |slice| slice.closed_per_second),
        memory_over_time(&slices),
        memory_over_connections(&slices),
        processor_over_time(&slices),
        rates_tried(&outcome.rounds),
        spans_by_round(&outcome.rounds),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn latency_by_percentile(outcome: &Outcome) -> Option<Chart> {
    percentiles("Latency by percentile", vec![Series::line("", 0, points(&outcome.percentiles))])
}

/// Latency over percentiles, of any number of runs.
pub(super) fn percentiles(title: &str, series: Vec<Series>) -> Option<Chart> {
    let x = Axis::percentiles("percentile", every(&series, |point| point.x));
    let y = Axis::fitting("latency", Unit::Microseconds, every(&series, |point| point.y));
    drawn(Chart { title: title.to_owned(), x, y, series })
}

/// `(percentile, microseconds)` as points.
pub(super) fn points(percentiles: &[(f64, u64)]) -> impl Iterator<Item = Point> {
    percentiles.iter().map(|(percentile, micros)| Point::from((*percentile, whole(*micros))))
}

fn latency_over_time(slices: &[Slice]) -> Option<Chart> {
    let series = OVER_TIME.into_iter().enumerate().map(|(place, (name, of))| {
        // A second without deliveries has no latency: a gap.
        let latency = |slice: &Slice| if slice.latency.max == 0 { f64::NAN } else { whole(of(&slice.latency)) };
        Series::line(name, place, slices.iter().map(|slice| (slice.second, latency(slice))))
    });
    let series: Vec<Series> = series.collect();
    let y = Axis::fitting("latency", Unit::Microseconds, every(&series, |point| point.y));
    over_time("Latency over time", y, series)
}

fn rate_over_time([what, done]: [&str; 2], slices: &[Slice], of: fn(&Slice) -> f64) -> Option<Chart> {
    let series = vec![Series::line("", 0, slices.iter().map(|slice| (slice.second, of(slice))))];
    if every(&series, |point| point.y).all(|rate| rate == 0.0) {
        return None;
    }
    over_time(
        &format!("{what} {done} per second"),
        Axis::linear(done, Unit::PerSecond, every(&series, |point| point.y)),
        series,
    )
}

/// Only where they come and go.
fn connections_over_time(slices: &[Slice]) -> Option<Chart> {
    let first = slices.first()?.connections;
    if slices.iter().all(|slice| slice.connections == first) {
        return None;
    }
    let series = vec![Series::line("", 0, slices.iter().map(|slice| (slice.second, whole(slice.connections))))];
    over_time(
        "Connections over time",
        Axis::linear("connections", Unit::Count, every(&series, |point| point.y)),
        series,
    )
}

fn memory_over_time(slices: &[Slice]) -> Option<Chart> {
    let series = vec![Series::line("", 0, slices.iter().map(|slice| (slice.second, memory(slice))))];
    let y = Axis::linear("resident memory", Unit::Bytes, every(&series, |point| point.y));
    over_time("The server's memory over time", y, series)
}

/// Only where connections came while memory was read.
fn memory_over_connections(slices: &[Slice]) -> Option<Chart> {
    let mut slices: Vec<&Slice> = slices.iter().filter(|slice| slice.rss_bytes > 0).collect();
    slices.sort_by_key(|slice| slice.connections);
    if slices.first()?.connections == slices.last()?.connections {
        return None;
    }
    let series = Series::line("", 0, slices.iter().map(|slice| (whole(slice.connections), memory(slice))));
    let series = vec![Series { mark: Mark::Dots, ..series }];
    let x = Axis::linear("connections", Unit::Count, every(&series, |point| point.x));
    let y = Axis::linear("resident memory", Unit::Bytes, every(&series, |point| point.y));
    drawn(Chart { title: "The server's memory over connections".to_owned(), x, y, series })
}

fn processor_over_time(slices: &[Slice]) -> Option<Chart> {
    if slices.iter().all(|slice| slice.server_cores == 0.0) {
        return None;
    }
    let series = vec![Series::line("", 0, slices.iter().map(|slice| (slice.second, slice.server_cores)))];
    // 1 is a whole core: the axis shows it.
    let y = Axis::linear("of one core", Unit::Share, every(&series, |point| point.y).chain([1.0]));
    over_time("The server's processor time", y, series)
}

/// `capacity`: 99th percentile at each rate, and whether it held.
fn rates_tried(rounds: &[Round]) -> Option<Chart> {
    let points_of = |held| {
        let rounds = rounds.iter().filter(move |round| round.held == held);
        let mut points: Vec<_> =
            rounds.filter_map(|round| Some(Point::from((rate(round)?, latency_of(round)?)))).collect();
        points.sort_by(|one, other| one.x.total_cmp(&other.x));
        points
    };
    let series = [("held", Ink::Good, Mark::Dots, true), ("did not hold", Ink::Bad, Mark::Crosses, false)];
    let series =
        series.map(|(name, ink, mark, held)| Series { name: name.to_owned(), ink, mark, points: points_of(held) });
    let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    let x = Axis::linear("rate tried", Unit::PerSecond, every(&series, |point| point.x));
    let y = Axis::fitting("p99 of the latency", Unit::Microseconds, every(&series, |point| point.y));
    drawn(Chart { title: "Rates tried".to_owned(), x, y, series })
}

/// Rounds that are no rates (`storm`): every span they name, round by round.
fn spans_by_round(rounds: &[Round]) -> Option<Chart> {
    if rounds.len() < 2 || rounds.iter().any(|round| rate(round).is_some()) {
        return None;
    }
    let names = rounds[0].figures.keys().filter(|name| Unit::of_figure(name).0 == Unit::Microseconds);
    let series = names.enumerate().map(|(place, name)| {
        let values = rounds.iter().map(|round| round.figures.get(name).copied().unwrap_or(f64::NAN));
        Series::line(&Unit::of_figure(name).1, place, (1_u32..).map(f64::from).zip(values))
    });
    let series: Vec<Series> = series.collect();
    let x = Axis::linear("round", Unit::Count, every(&series, |point| point.x));
    let y = Axis::fitting("time", Unit::Microseconds, every(&series, |point| point.y));
    drawn(Chart { title: "Times by round".to_owned(), x, y, series })
}

/// The rate of a round that tried one: its figure `rate`, else the number that its name begins with and calls a rate.
fn rate(round: &Round) -> Option<f64> {
    let named = || {
        let (number, unit) = round.name.split_once(' ')?;
        if unit.ends_with("/s") { number.parse().ok() } else { None }
    };
    round.figures.get("rate").copied().or_else(named)
}

fn latency_of(round: &Round) -> Option<f64> {
    round.figures.get("p99_us").copied()
}

fn memory(slice: &Slice) -> f64 {
    if slice.rss_bytes == 0 { f64::NAN } else { whole(slice.rss_bytes) }
}

fn over_time(title: &str, y: Axis, series: Vec<Series>) -> Option<Chart> {
    let x = Axis::up_to("time", Unit::Seconds, every(&series, |point| point.x));
    drawn(Chart { title: title.to_owned(), x, y, series })
}

/// A chart that has something to show: two points at least.
fn drawn(chart: Chart) -> Option<Chart> {
    let points = chart.series.iter().flat_map(|series| &series.points).filter(|point| point.y.is_finite()).count();
    (points >= 2).then_some(chart)
}

fn every(series: &[Series], of: fn(&Point) -> f64) -> impl Iterator<Item = f64> {
    series.iter().flat_map(|series| &series.points).map(of)
}
