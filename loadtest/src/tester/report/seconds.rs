//! Samples made ready for a plot: rates instead of counts, and no more of them than a screen can show.

use super::unit::whole;
use crate::tester::outcome::{Latency, Sample};

/// One or several seconds of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Slice {
    /// Seconds since the measurement began, at its end.
    pub second: f64,
    /// Connections at its end.
    pub connections: u64,
    /// Events published per second.
    pub published_per_second: f64,
    /// Events delivered per second.
    pub delivered_per_second: f64,
    /// Connections that ended per second and whose client had not left.
    pub closed_per_second: f64,
    /// The worst second's latency, percentile by percentile.
    pub latency: Latency,
    /// Most resident memory, in bytes; 0 where it was not read.
    pub rss_bytes: u64,
    /// Cores' worth of the server's processor time, mean.
    pub server_cores: f64,
}

/// Points of a curve over time: as many as a plot is wide can be told apart, and an hour's page stays small.
const SLICES_MAX: usize = 400;

impl Slice {
    /// All samples, neighbours joined where there are more than a plot shows.
    pub(super) fn all(samples: &[Sample]) -> Vec<Self> {
        let each = samples.len().div_ceil(SLICES_MAX).max(1);
        let mut begun = 0.0;
        samples
            .chunks(each)
            .map(|samples| {
                let slice = Self::of(samples, begun);
                begun = slice.second;
                slice
            })
            .collect()
    }

    /// These samples in one; the first began at this second.
    fn of(samples: &[Sample], begun: f64) -> Self {
        let second = samples.last().map_or(begun, |last| last.second);
        let seconds = if second > begun { second - begun } else { 1.0 };
        let per_second = |of: fn(&Sample) -> u64| whole(samples.iter().map(of).sum()) / seconds;
        let worst = |of: fn(&Latency) -> u64| samples.iter().map(|sample| of(&sample.latency_us)).max().unwrap_or(0);
        Self {
            second,
            connections: samples.last().map_or(0, |last| last.connections),
            published_per_second: per_second(|sample| sample.published),
            delivered_per_second: per_second(|sample| sample.delivered),
            closed_per_second: per_second(|sample| sample.closed),
            latency: Latency {
                p50: worst(|it| it.p50),
                p90: worst(|it| it.p90),
                p99: worst(|it| it.p99),
                p999: worst(|it| it.p999),
                max: worst(|it| it.max),
            },
            rss_bytes: samples.iter().map(|sample| sample.rss_bytes).max().unwrap_or(0),
            server_cores: mean(samples.iter().map(|sample| sample.server_cores)),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: f64, delivered: u64) -> Sample {
        let latency_us = Latency { p50: delivered, p90: 0, p99: 0, p999: 0, max: 2 * delivered };
        let (rss_bytes, server_cores) = (delivered, 0.5);
        Sample { second, connections: 5, published: 1, delivered, closed: 0, latency_us, rss_bytes, server_cores }
    }

    #[test]
    fn a_second_that_was_cut_short_has_the_rate_of_its_length() {
        let slices = Slice::all(&[sample(1.0, 100), sample(1.5, 50)]);
        assert_eq!(slices.iter().map(|slice| slice.delivered_per_second).collect::<Vec<_>>(), [100.0, 100.0]);
    }

    #[test]
    fn hours_become_slices_that_keep_their_sums_and_their_worst() {
        let samples: Vec<Sample> = (1..=9 * SLICES_MAX as u64).map(|second| sample(whole(second), second)).collect();
        let slices = Slice::all(&samples);
        assert_eq!(slices.len(), SLICES_MAX);
        assert_eq!((slices[0].second, slices[0].latency.max, slices[0].rss_bytes), (9.0, 18, 9));
        assert!((slices[0].delivered_per_second - 5.0).abs() < 1e-9);
        assert_eq!(slices.last().map(|slice| slice.second), samples.last().map(|sample| sample.second));
    }

    #[test]
    fn no_samples_are_no_slices() {
        assert_eq!(Slice::all(&[]), []);
    }
}
