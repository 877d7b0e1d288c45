//! One run as it is kept beside the code: a page of Markdown, a record for programs, and the page with plots.

use super::outcome::{Outcome, Round, Sample};
use super::record::{Machine, Record, Run};
use super::{report, summary};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Samples that are kept: a plot shows no more, and hours stay small.
const SAMPLES_MAX: usize = 400;

/// Writes `DATE-SCENARIO.md`, `.json` and `.html` into a directory.
///
/// # Errors
/// Where a file cannot be written.
pub(super) fn write(outcome: &Outcome, directory: &Path) -> io::Result<()> {
    let date = time::OffsetDateTime::now_utc().date().to_string();
    let machine = Machine::here();
    let stem = format!("{date}-{}", outcome.scenario);
    let path = |ending| directory.join(format!("{stem}.{ending}"));
    std::fs::write(path("md"), page(outcome, &date, &machine))?;
    report::write(outcome, &path("html"))?;
    let numbers = outcome.settings.iter().filter_map(|(name, text)| Some((name.clone(), text.parse::<u64>().ok()?)));
    let run = Run {
        subject: outcome.settings.get("protocol").cloned().unwrap_or_default(),
        round: 1,
        settings: numbers.collect(),
        figures: BTreeMap::new(),
        outcome: Outcome { samples: thinned(&outcome.samples), ..outcome.clone() },
    };
    Record { row: outcome.scenario.clone(), date, machine, runs: vec![run] }.write(&path("json"))
}

/// Neighbours joined: counts are summed, of latencies and memory the worst stays.
fn thinned(samples: &[Sample]) -> Vec<Sample> {
    let each = samples.len().div_ceil(SAMPLES_MAX).max(1);
    samples.chunks(each).filter_map(joined).collect()
}

fn joined(samples: &[Sample]) -> Option<Sample> {
    let last = *samples.last()?;
    let sum = |of: fn(&Sample) -> u64| samples.iter().map(of).sum();
    let worst = samples.iter().max_by_key(|sample| sample.latency_us.p99)?;
    Some(Sample {
        published: sum(|sample| sample.published),
        delivered: sum(|sample| sample.delivered),
        closed: sum(|sample| sample.closed),
        latency_us: worst.latency_us,
        rss_bytes: samples.iter().map(|sample| sample.rss_bytes).max()?,
        server_cores: samples.iter().map(|sample| sample.server_cores).sum::<f64>() / samples.len() as f64,
        ..last
    })
}

fn page(outcome: &Outcome, date: &str, machine: &Machine) -> String {
    let settings: Vec<String> = outcome.settings.iter().map(|(name, value)| format!("`{name}` {value}")).collect();
    let mut page = format!(
        "`fanout-loadtest {}`, {date}: **{}**\n\n{} cores of {}, Linux {}. {}.\n",
        outcome.scenario,
        summary::verdict(outcome.verdict),
        machine.cores,
        machine.cpu,
        machine.kernel,
        settings.join(", "),
    );
    let reasons = outcome.reasons.iter().map(|reason| format!("- {reason}\n"));
    page.extend(std::iter::once("\n".to_owned()).chain(reasons));
    if !outcome.rounds.is_empty() {
        page.push_str("\n| part | held | figures |\n|---|---|---|\n");
        page.extend(outcome.rounds.iter().map(line));
    }
    page.push_str("\n| figure | value |\n|---|---|\n");
    page.extend(summary::rows(outcome).into_iter().map(|(name, figure)| format!("| {name} | {figure} |\n")));
    page.extend(outcome.notes.iter().map(|note| format!("\n{note}\n")));
    page
}

fn line(round: &Round) -> String {
    let figures =
        round.figures.iter().map(|(name, value)| format!("{} {}", name.replace('_', " "), summary::figure(*value)));
    let figures: Vec<String> = figures.collect();
    format!("| {} | {} | {} |\n", round.name, if round.held { "yes" } else { "**no**" }, figures.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_thinned_without_losing_a_count_or_the_worst_second() {
        let sample = |second: u32| Sample {
            second: f64::from(second),
            published: 2,
            rss_bytes: u64::from(second % 7),
            ..Sample::default()
        };
        let samples: Vec<Sample> = (1..=7_200).map(sample).collect();
        let thin = thinned(&samples);
        assert!(thin.len() <= SAMPLES_MAX, "{}", thin.len());
        assert_eq!(thin.iter().map(|sample| sample.published).sum::<u64>(), 14_400);
        assert_eq!(thin.last().map(|sample| sample.second), Some(7_200.0));
        assert!(thin.iter().all(|sample| sample.rss_bytes == 6), "of eighteen seconds the worst");
    }

    #[test]
    fn a_kept_run_says_what_held_and_with_which_figures() {
        let figures = [("lost_events".to_owned(), 3.0)].into();
        let rounds = vec![Round { name: "nothing lost".to_owned(), held: false, figures }];
        let outcome = Outcome {
            scenario: "soak".to_owned(),
            rounds,
            reasons: vec!["3 events were lost".to_owned()],
            ..Outcome::default()
        };
        let page = page(&outcome, "2026-11-21", &Machine::default());
        assert!(
            page.contains("| nothing lost | **no** | lost events 3 |") && page.contains("- 3 events were lost"),
            "{page}"
        );
    }
}
