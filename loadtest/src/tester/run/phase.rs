//! A part of a measurement that is compared with another part.

use crate::tester::board::histogram;
use crate::tester::outcome::{Latency, Round};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// What those who stay all the time got meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// In nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Phase {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { latency: histogram() }
    }

    /// One more phase of the same kind.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("histograms of one make");
    }

    /// Its figures, each with this word in front.
    pub(crate) fn figures(&self, word: &str) -> BTreeMap<String, f64> {
        let latency = Latency::of(&self.latency);
        let figures = [("p50_us", latency.p50), ("p99_us", latency.p99), ("max_us", latency.max)];
        let figures = figures.map(|(name, value)| (format!("{word}{name}"), value as f64));
        figures.into_iter().filter(|_| !self.latency.is_empty()).collect()
    }

    /// The same as a round of its own.
    pub(crate) fn round(&self, name: &str) -> Round {
        let mut figures = self.figures("");
        figures.insert("delivered".to_owned(), self.latency.len() as f64);
        Round { name: name.to_owned(), held: true, figures }
    }

    /// How many times as late its events were as those of `calm`, at p50 and p99; nothing where one had none.
    pub(crate) fn over(&self, calm: &Self) -> BTreeMap<String, f64> {
        let [own, other] = [self, calm].map(|phase| Latency::of(&phase.latency));
        let ratios = [("p50_ratio", own.p50, other.p50), ("p99_ratio", own.p99, other.p99)];
        let ratios = ratios.into_iter().filter(|(_, own, other)| *own > 0 && *other > 0);
        ratios.map(|(name, own, other)| (name.to_owned(), own as f64 / other as f64)).collect()
    }
}
