//! Where connections of a topic go that has too many for one shard.

use crate::mesh::NodeId;

/// Sends them to all shards in turn.
///
/// A topic's owner decides that, because only the owner counts. Who is there already stays; messages reach every shard that
/// has followers, so nobody notices.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    followers_max: usize,
    next: usize,
}

impl Spread {
    /// Spreads topics with more than `followers_max` followers on their owner; 0 spreads none.
    pub fn above(followers_max: usize) -> Self {
        Self { followers_max, next: 0 }
    }

    /// The home of one more connection, on the shard that owns its topic.
    pub fn home(&mut self, owner: NodeId, followers: usize, shards: usize) -> NodeId {
        if self.followers_max == 0 || followers < self.followers_max {
            return owner;
        }
        self.next = (self.next + 1) % shards;
        NodeId::shard(self.next)
    }
}
