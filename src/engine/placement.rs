//! Which shard owns a connection.

use super::topic::Topic;
use crate::mesh::NodeId;

/// Where a connection may live.
#[derive(Clone, Debug)]
pub enum Placement {
    /// On the shard that its topic hashes to; the connection follows that topic from the start.
    Keyed(Topic),
    /// Where it was accepted.
    Anywhere,
}

impl Placement {
    /// The owner among `shards` shards for a connection that was accepted on `here`.
    pub fn owner(&self, here: NodeId, shards: usize) -> NodeId {
        match self {
            Self::Keyed(topic) => NodeId::shard(spread(topic.hash(), shards)),
            Self::Anywhere => here,
        }
    }
}

/// Maps a hash evenly to `0..shards` by its high bits; the tables use the low ones.
fn spread(hash: u64, shards: usize) -> usize {
    debug_assert!(shards > 0, "a server has at least one shard");
    let scaled = (u128::from(hash) * shards as u128) >> 64;
    usize::try_from(scaled).expect("less than `shards`")
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn hashes_spread_evenly_and_stay_in_range() {
        for shards in [1, 2, 3, 4, 7] {
            let mut hits = vec![0_u32; shards];
            for _ in 0..10_000 * shards {
                hits[spread(fastrand::u64(..), shards)] += 1;
            }
            assert!(hits.iter().all(|&hit| (9_000..11_000).contains(&hit)), "{shards} shards: {hits:?}");
        }
        assert_eq!(spread(u64::MAX, 3), 2);
        assert_eq!(spread(0, 3), 0);
    }
}
