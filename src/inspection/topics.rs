//! Which topics have the most events: counted while somebody looks.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRow {
    /// Its full name.
    pub topic: String,
    /// How many connections get it.
    pub followers: usize,
    /// Events for them since the count began.
    pub events: u64,
}

/// What one shard, or all together, say of the topics.
#[derive(Debug, Default)]
pub struct Topics {
    /// How long events have been counted.
    pub counted_for: Duration,
    /// How many topics there are.
    pub total: usize,
    /// Those that come first.
    pub rows: Vec<TopicRow>,
}

impl Topics {
    /// All shards together: the topics with the most events first, then those with the most followers. A topic that is
    /// spread over several shards has each event on each of them, and its followers apart.
    pub fn merged(all: impl IntoIterator<Item = Self>, rows_max: usize) -> Self {
        let mut merged = Self::default();
        let mut rows = HashMap::<String, TopicRow>::new();
        for Self { counted_for, total, rows: own } in all {
            merged.counted_for = merged.counted_for.max(counted_for);
            merged.total += total;
            for row in own {
                let known = rows.entry(row.topic.clone()).or_insert_with(|| TopicRow { followers: 0, ..row.clone() });
                known.followers += row.followers;
                known.events = known.events.max(row.events);
            }
        }
        merged.rows = rows.into_values().collect();
        let rank = |row: &TopicRow| (Reverse(row.events), Reverse(row.followers));
        merged.rows.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.topic.cmp(&b.topic)));
        merged.rows.truncate(rows_max);
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(topic: &str, followers: usize, events: u64) -> TopicRow {
        TopicRow { topic: topic.to_owned(), followers, events }
    }

    #[test]
    fn a_topic_on_several_shards_has_its_followers_added_and_its_events_once() {
        let shard =
            |rows: &[TopicRow]| Topics { counted_for: Duration::from_secs(1), total: rows.len(), rows: rows.into() };
        let all = [shard(&[row("a", 3, 9), row("b", 1, 4)]), shard(&[row("a", 2, 8), row("c", 1, 20)])];
        let merged = Topics::merged(all, 2);
        assert_eq!(merged.rows, [row("c", 1, 20), row("a", 5, 9)]);
    }
}
