//! The names of nodes: shards, the broker, the main thread.

/// One place in the mesh: a shard, the broker, or the main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u16);

impl NodeId {
    /// The shard with this number.
    pub fn shard(index: usize) -> Self {
        Self(u16::try_from(index).expect("a machine has fewer than 65 536 cores"))
    }

    /// The broker of a mesh with so many shards.
    pub fn broker(shards: usize) -> Self {
        Self::shard(shards)
    }

    /// The number of this node.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
