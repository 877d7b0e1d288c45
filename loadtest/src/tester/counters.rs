//! What the server itself says it has counted: `/admin/stats` and `/metrics`, where it has them.

use super::target::Target;
use super::template::Template;
use crate::exposition::sums;
use crate::raw_socket::exchange;
use serde_json::Value;
use std::collections::BTreeMap;

/// One look at a server's counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// `/admin/stats`.
    stats: Value,
    /// `/metrics`, summed over all labels, by name.
    metrics: BTreeMap<String, f64>,
}

impl Counters {
    /// Asks the server that clients connect to; nothing where it does not say, or is none of this kind.
    pub(crate) fn read(url: &Template) -> Option<Self> {
        let target = Target::parse("ws://", url).ok()?;
        let page = |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.host);
            exchange(target.address, &request).ok().filter(|answer| answer.status == 200)
        };
        let stats = page("/admin/stats")?.json();
        let metrics = page("/metrics").map(|answer| answer.text()).unwrap_or_default();
        stats.is_object().then(|| Self::of(stats, &metrics))
    }

    /// Both pages as they were read.
    pub(crate) fn of(stats: Value, metrics: &str) -> Self {
        Self { stats, metrics: sums(metrics) }
    }

    /// A number of `/admin/stats` by JSON pointer; 0 where it is absent.
    pub(crate) fn count(&self, pointer: &str) -> u64 {
        self.stats.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A series of `/metrics`, over all its labels.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied()
    }

    /// Connections that ended, by close code.
    pub(crate) fn closed(&self) -> BTreeMap<String, u64> {
        self.by_name("/total/closed")
    }

    /// What did not reach a client, by reason.
    pub(crate) fn dropped(&self) -> BTreeMap<String, u64> {
        self.by_name("/total/dropped")
    }

    fn by_name(&self, pointer: &str) -> BTreeMap<String, u64> {
        let object = self.stats.pointer(pointer).and_then(Value::as_object);
        let counts = object.into_iter().flatten();
        counts.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect()
    }
}

/// What was added from one look to the next, by name; names that nothing was added to are left out.
pub(crate) fn growth(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grown = |(name, count): (&String, &u64)| {
        let more = count.saturating_sub(before.get(name).copied().unwrap_or(0));
        (more > 0).then(|| (name.clone(), more))
    };
    after.iter().filter_map(grown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_what_was_added() {
        let named = |counts: &[(&str, u64)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let (before, after) = (named(&[("a", 1), ("b", 2)]), named(&[("a", 1), ("b", 5), ("c", 1)]));
        assert_eq!(growth(&before, &after), named(&[("b", 3), ("c", 1)]));
    }
}
