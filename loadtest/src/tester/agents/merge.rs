//! One outcome of many agents' outcomes: counts summed, histograms added, samples aligned by second.

use crate::tester::board::histogram;
use crate::tester::clock::whole;
use crate::tester::outcome::{Latency, Outcome, Sample, Tester};
use crate::tester::plan::Plan;
use crate::tester::run::percentiles;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// The whole of a plan, not judged yet.
pub(super) fn merge(plan: &Plan, parts: &[Outcome]) -> Outcome {
    let sum = |of: fn(&Outcome) -> u64| parts.iter().map(of).sum::<u64>();
    let rate = |of: fn(&Outcome) -> f64| parts.iter().map(of).sum::<f64>();
    let latency = added(parts.iter().map(|part| &part.histogram));
    let connecting = added(parts.iter().map(|part| &part.connecting));
    Outcome {
        published: sum(|part| part.published),
        delivered: sum(|part| part.delivered),
        lost: sum(|part| part.lost),
        duplicated: sum(|part| part.duplicated),
        reordered: sum(|part| part.reordered),
        foreign: sum(|part| part.foreign),
        closed: sum(|part| part.closed),
        latency_us: Latency::of(&latency),
        scenario: plan.scenario.clone(),
        settings: plan.settings(),
        connected: sum(|part| part.connected),
        refused: sum(|part| part.refused),
        closed_by_code: summed(parts.iter().map(|part| &part.closed_by_code)),
        refused_by_reason: summed(parts.iter().map(|part| &part.refused_by_reason)),
        seconds: parts.iter().map(|part| part.seconds).fold(0.0, f64::max),
        published_per_second: rate(|part| part.published_per_second),
        delivered_per_second: rate(|part| part.delivered_per_second),
        tester: tester(parts),
        percentiles: percentiles(&latency),
        samples: samples(&parts.iter().map(|part| part.samples.as_slice()).collect::<Vec<_>>()),
        connecting_us: (!connecting.is_empty()).then(|| Latency::of(&connecting)),
        handshakes_per_second: Some(rate(|part| part.handshakes_per_second.unwrap_or(0.0))),
        figures: summed(parts.iter().map(|part| &part.figures)),
        histogram: Some(latency),
        connecting: Some(connecting),
        ..Outcome::default()
    }
}

/// Every value of every histogram.
fn added<'a>(histograms: impl Iterator<Item = &'a Option<Histogram<u64>>>) -> Histogram<u64> {
    let mut all = histogram();
    for histogram in histograms.flatten() {
        // Another agent's may have another make: the nearest value counts.
        if all.add(histogram).is_err() {
            histogram.iter_recorded().for_each(|step| {
                all.saturating_record_n(step.value_iterated_to(), step.count_at_value());
            });
        }
    }
    all
}

fn summed<'a, K: Ord + Clone + 'a, N: Default + Copy + std::ops::AddAssign + 'a>(
    maps: impl Iterator<Item = &'a BTreeMap<K, N>>,
) -> BTreeMap<K, N> {
    let mut sums = BTreeMap::new();
    for (key, number) in maps.flatten() {
        *sums.entry(key.clone()).or_default() += *number;
    }
    sums
}

/// The worst of each.
fn tester(parts: &[Outcome]) -> Tester {
    let all = || parts.iter().map(|part| &part.tester);
    Tester {
        busiest_thread: all().map(|tester| tester.busiest_thread).fold(0.0, f64::max),
        lag_us: worst(all().map(|tester| tester.lag_us)),
        threads: all().map(|tester| tester.threads).sum(),
        agents: all().map(|tester| tester.agents).sum(),
        open_files_max: all().map(|tester| tester.open_files_max).min().unwrap_or(0),
    }
}

fn worst(latencies: impl Iterator<Item = Latency>) -> Latency {
    latencies.fold(Latency::default(), |one, other| Latency {
        p50: one.p50.max(other.p50),
        p90: one.p90.max(other.p90),
        p99: one.p99.max(other.p99),
        p999: one.p999.max(other.p999),
        max: one.max.max(other.max),
    })
}

/// One sample for each second that any agent has: counts summed, of the latencies the worst.
pub(super) fn samples(parts: &[&[Sample]]) -> Vec<Sample> {
    let mut by_second: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
    for sample in parts.iter().copied().flatten() {
        by_second.entry(whole(sample.second.round())).or_default().push(sample);
    }
    let together = |samples: Vec<&Sample>| {
        let sum = |of: fn(&Sample) -> u64| samples.iter().map(|sample| of(sample)).sum();
        Sample {
            second: samples.iter().map(|sample| sample.second).fold(0.0, f64::max),
            connections: sum(|sample| sample.connections),
            published: sum(|sample| sample.published),
            delivered: sum(|sample| sample.delivered),
            closed: sum(|sample| sample.closed),
            latency_us: worst(samples.iter().map(|sample| sample.latency_us)),
            ..Sample::default()
        }
    };
    by_second.into_values().map(together).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::arguments::{Arguments, Command};
    use clap::Parser;

    fn part(values: &[u64], lost: u64) -> Outcome {
        let mut latency = histogram();
        for value in values {
            latency.record(*value).unwrap();
        }
        let second = |second| Sample { second, published: 5, connections: 2, ..Sample::default() };
        Outcome {
            lost,
            closed_by_code: [(4001, 1)].into(),
            histogram: Some(latency),
            samples: vec![second(1.001), second(2.0)],
            ..Outcome::default()
        }
    }

    #[test]
    fn histograms_are_added_counts_summed_and_seconds_aligned() {
        let command = Arguments::parse_from(["fanout-loadtest", "fanout"]).command;
        let Command::Load(load) = command else { panic!("fanout is a load") };
        let (scenario, run) = load.parts();
        let mut longer = part(&[1_000_000, 9_000_000], 2);
        longer.samples.push(Sample { second: 3.0, published: 7, ..Sample::default() });
        let whole = merge(&run.plan(scenario).unwrap(), &[part(&[1_000_000, 2_000_000], 1), longer]);
        assert_eq!((whole.lost, whole.closed_by_code), (3, [(4001, 2)].into()));
        assert_eq!(whole.histogram.map(|histogram| histogram.len()), Some(4));
        assert!((8_990..=9_010).contains(&whole.latency_us.max) && whole.latency_us.p50 <= 1_001);
        let published: Vec<u64> = whole.samples.iter().map(|sample| sample.published).collect();
        assert_eq!(published, [10, 10, 7]);
    }
}
