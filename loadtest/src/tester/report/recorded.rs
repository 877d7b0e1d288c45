//! The plots of recorded runs, for documents: a figure over a setting, bars of several servers, latency by percentile.

use super::axis::Axis;
use super::bars::{Bar, Bars, Group};
use super::chart::{Chart, Point, Series};
use super::figure::Figure;
use super::palette::Ink;
use super::run_charts;
use super::unit::{self, Unit, whole};
use crate::tester::record::{Record, Run};
use std::collections::{BTreeMap, BTreeSet};

/// Values of all rounds by subject, in the order of their first runs.
type Subjects = Vec<(String, Vec<f64>)>;
/// What runs were made with.
type Settings = BTreeMap<String, u64>;

/// Whose cost the others are compared with.
const OURS: &str = "fanout";
/// What is no server at all.
const FLOOR: &str = "floor";

/// A figure over a setting: the median of the rounds with its spread, a curve for each subject.
pub(super) fn curve(figure: &Figure, over: &str, records: &[Record]) -> Option<Chart> {
    let measured = |run: &&Run| run.settings.contains_key(over) && figure.of(run).is_some();
    let runs: Vec<&Run> = every_run(records).filter(measured).collect();
    let told_apart_by = differing(&runs, |one, other| one.settings[over] == other.settings[over]);
    let mut curves: Vec<(String, BTreeMap<u64, Vec<f64>>)> = Vec::new();
    for run in &runs {
        let name = with_settings(&run.subject, &chosen(&run.settings, &told_apart_by));
        let place = curves.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            curves.push((name, BTreeMap::new()));
            curves.len() - 1
        });
        curves[place].1.entry(run.settings[over]).or_default().extend(figure.of(run));
    }
    let series = curves.into_iter().enumerate().map(|(place, (name, rounds))| {
        Series::line(&name, place, rounds.into_iter().map(|(setting, values)| point(setting, values)))
    });
    let title = with_settings(&format!("{} over {over}", figure.name().0), &shared(&runs));
    with_axes(title, (figure, over), series.collect())
}

fn with_axes(title: String, (figure, over): (&Figure, &str), series: Vec<Series>) -> Option<Chart> {
    let (name, unit) = figure.name();
    let points = || series.iter().flat_map(|series| &series.points);
    let ends = points().flat_map(|point| point.spread.map_or([point.y; 2], |(low, high)| [low, high]));
    let y = Axis::fitting(&name, unit, ends);
    let x = Axis::tried(over, if over == "size" { Unit::Bytes } else { Unit::Count }, points().map(|point| point.x));
    (points().count() >= 2).then_some(Chart { title, x, y, series })
}

/// Bars of every subject, a group for each row and its settings; ratios are to ours in the same group.
pub(super) fn bars(figure: &Figure, records: &[Record]) -> Option<Bars> {
    let mut groups: BTreeMap<(&Settings, &str), Subjects> = BTreeMap::new();
    let runs = records.iter().flat_map(|record| record.runs.iter().map(move |run| (record, run)));
    for (record, run, value) in runs.filter_map(|(record, run)| Some((record, run, figure.of(run)?))) {
        let subjects = groups.entry((&run.settings, &record.row)).or_default();
        match subjects.iter_mut().find(|(subject, _)| *subject == run.subject) {
            Some((_, values)) => values.push(value),
            None => subjects.push((run.subject.clone(), vec![value])),
        }
    }
    let (name, unit) = figure.name();
    let settings: BTreeSet<&Settings> = groups.keys().map(|(settings, _)| *settings).collect();
    // The names of rows are those of files: they are shown where nothing else tells the groups apart.
    let rows = settings.len() < groups.len() || settings.iter().any(|settings| settings.is_empty());
    let groups: Vec<Group> = groups
        .into_iter()
        .map(|((settings, row), subjects)| {
            let name = with_settings(if rows { row } else { "" }, settings);
            Group { name, bars: bars_of(subjects) }
        })
        .collect();
    (!groups.is_empty()).then_some(Bars { title: name, unit, groups })
}

fn bars_of(subjects: Subjects) -> Vec<Bar> {
    let ours = subjects.iter().find(|(subject, _)| subject == OURS).map(|(_, values)| median(values.clone()));
    let mut bars: Vec<Bar> = subjects.into_iter().map(|(name, values)| bar(name, values, ours)).collect();
    bars.sort_by(|one, other| one.value.total_cmp(&other.value));
    bars
}

fn bar(name: String, values: Vec<f64>, ours: Option<f64>) -> Bar {
    let spread = spread(&values);
    let value = median(values);
    let note = match ours {
        Some(ours) if ours > 0.0 && name != OURS => Unit::Ratio.text(value / ours),
        _ => String::new(),
    };
    let ink = match name.as_str() {
        OURS => Ink::Series(0),
        name if name.starts_with(FLOOR) => Ink::Muted,
        _ => Ink::Series(1),
    };
    Bar { name, value, spread, note, ink }
}

/// Latency by percentile: of each subject and settings the run whose p99 is the median.
pub(super) fn latency(records: &[Record]) -> Option<Chart> {
    let runs: Vec<&Run> = every_run(records).filter(|run| !run.outcome.percentiles.is_empty()).collect();
    let told_apart_by = differing(&runs, |_, _| true);
    let mut rounds: BTreeMap<(&str, &Settings), Vec<&Run>> = BTreeMap::new();
    for run in &runs {
        rounds.entry((&run.subject, &run.settings)).or_default().push(run);
    }
    let series = rounds.into_iter().enumerate().map(|(place, ((subject, settings), mut runs))| {
        runs.sort_by_key(|run| run.outcome.latency_us.p99);
        let middle = runs[(runs.len() - 1) / 2];
        let name = with_settings(subject, &chosen(settings, &told_apart_by));
        Series::line(&name, place, run_charts::points(&middle.outcome.percentiles))
    });
    run_charts::percentiles(&with_settings("Latency by percentile", &shared(&runs)), series.collect())
}

fn every_run(records: &[Record]) -> impl Iterator<Item = &Run> {
    records.iter().flat_map(|record| &record.runs)
}

/// Settings that differ between runs that stand `beside` each other; those that only follow an axis say nothing new.
fn differing(runs: &[&Run], beside: impl Fn(&Run, &Run) -> bool) -> BTreeSet<String> {
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let differs = |name: &&String| {
        runs.iter().any(|one| {
            let of = |run: &Run| run.settings.get(*name).copied();
            runs.iter().any(|other| beside(one, other) && of(one) != of(other))
        })
    };
    names.into_iter().filter(differs).cloned().collect()
}

/// Settings that are the same in all runs.
fn shared(runs: &[&Run]) -> Settings {
    let differing = differing(runs, |_, _| true);
    let settings = runs.first().map(|run| run.settings.clone()).unwrap_or_default();
    settings.into_iter().filter(|(name, _)| !differing.contains(name)).collect()
}

fn chosen(settings: &Settings, names: &BTreeSet<String>) -> Settings {
    settings.iter().filter(|(name, _)| names.contains(*name)).map(|(name, value)| (name.clone(), *value)).collect()
}

fn with_settings(name: &str, settings: &Settings) -> String {
    let settings = settings.iter().map(|(name, value)| format!("{name} {}", unit::exact(*value)));
    let settings = settings.collect::<Vec<_>>().join(", ");
    if name.is_empty() || settings.is_empty() { format!("{name}{settings}") } else { format!("{name} · {settings}") }
}

fn point(setting: u64, values: Vec<f64>) -> Point {
    let spread = (values.len() > 1).then(|| spread(&values));
    Point { x: whole(setting), y: median(values), spread }
}

fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// The middle value; of an even number the mean of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::outcome::{Outcome, ServerCost};

    fn run(subject: &str, settings: &[(&str, u64)], cost: f64) -> Run {
        let server = ServerCost { cpu_ns_per_delivery: cost, ..ServerCost::default() };
        Run {
            subject: subject.to_owned(),
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            outcome: Outcome { server: Some(server), ..Outcome::default() },
            ..Run::default()
        }
    }

    fn record(runs: Vec<Run>) -> Record {
        Record { row: "row".to_owned(), runs, ..Record::default() }
    }

    fn cost() -> Figure {
        Figure("cost".to_owned())
    }

    #[test]
    fn rounds_become_their_median_with_their_spread() {
        let runs = [2.0, 9.0, 4.0].map(|cost| run("fanout", &[("clients", 10)], cost));
        let other = run("fanout", &[("clients", 100)], 5.0);
        let chart = curve(&cost(), "clients", &[record([runs.to_vec(), vec![other]].concat())]).expect("a chart");
        let points = &chart.series[0].points;
        assert_eq!(points[0], Point { x: 10.0, y: 4.0, spread: Some((2.0, 9.0)) });
        assert_eq!(points[1], Point { x: 100.0, y: 5.0, spread: None });
    }

    #[test]
    fn curves_are_told_apart_by_what_differs_beside_the_axis() {
        let runs = [1_u64, 16].into_iter().flat_map(|window| {
            [10_u64, 20].map(|clients| {
                run("fanout", &[("clients", clients), ("users", clients), ("window", window), ("size", 256)], 1.0)
            })
        });
        let chart = curve(&cost(), "clients", &[record(runs.collect())]).expect("a chart");
        let names: Vec<_> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(chart.title, "Server's processor time per delivery over clients · size 256");
        assert_eq!(names, ["fanout · window 1", "fanout · window 16"]);
    }

    #[test]
    fn bars_are_compared_with_ours_in_their_own_group() {
        let runs = [("nchan", 1, 6.0), ("fanout", 1, 2.0), ("fanout", 16, 1.0), ("nchan", 16, 5.0)];
        let runs = runs.map(|(subject, window, cost)| run(subject, &[("window", window)], cost)).to_vec();
        let bars = bars(&cost(), &[record(runs)]).expect("bars");
        let names: Vec<_> = bars.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["window 1", "window 16"]);
        let read: Vec<Vec<_>> = bars
            .groups
            .iter()
            .map(|group| group.bars.iter().map(|bar| (bar.name.as_str(), bar.note.replace('\u{a0}', " "))).collect())
            .collect();
        let ours = ("fanout", String::new());
        assert_eq!(read[0], [ours.clone(), ("nchan", "3.00 ×".to_owned())]);
        assert_eq!(read[1], [ours, ("nchan", "5.00 ×".to_owned())]);
    }

    #[test]
    fn groups_with_the_same_settings_are_told_apart_by_their_rows() {
        let row = |row: &str| Record { row: row.to_owned(), ..record(vec![run("fanout", &[("window", 1)], 1.0)]) };
        let bars = bars(&cost(), &[row("one"), row("other")]).expect("bars");
        let names: Vec<_> = bars.groups.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["one · window 1", "other · window 1"]);
    }

    #[test]
    fn latency_is_that_of_the_middle_round() {
        let round = |p99| {
            let mut run = run("fanout", &[("window", 1)], 1.0);
            run.outcome.latency_us.p99 = p99;
            run.outcome.percentiles = vec![(50.0, 10), (99.0, p99)];
            run
        };
        let chart = latency(&[record([900, 100, 300].map(round).to_vec())]).expect("a chart");
        assert_eq!(chart.series.len(), 1);
        assert_eq!(chart.series[0].points[1], Point::from((99.0, 300.0)));
    }

    #[test]
    fn runs_without_the_figure_are_no_plot() {
        let without = Run { outcome: Outcome::default(), ..run("fanout", &[("clients", 1)], 0.0) };
        let records = [record(vec![without])];
        assert!(curve(&cost(), "clients", &records).is_none());
        assert!(bars(&cost(), &records).is_none());
        assert!(latency(&records).is_none());
    }

    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
    }
}
