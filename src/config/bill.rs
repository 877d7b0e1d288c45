//! What the configuration may cost in memory.

use super::Config;
use super::bytes::ByteSize;
use std::fmt;

/// User memory of an idle connection that nobody shares a username with: its seat in the slab, its places in the tables
/// of its shard and of the broker's, its timer, and what the allocator keeps beside it. Measured are 1 000 to 1 250.
const IDLE_CONNECTION_BYTES: u64 = 1_250;

/// What the kernel keeps for an idle TCP socket with its descriptor.
pub const IDLE_SOCKET_BYTES: u64 = 4096;

/// User memory of a shard without connections: the executor (4.3 MB with the smallest buffers), the rings of the mesh,
/// scratch buffers and tables.
const SHARD_BYTES: u64 = 8 << 20;

/// What the configuration may cost in memory, in bytes; large sums stop at `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBill {
    /// Connections at most.
    pub connections_max: u64,
    /// All shards and the broker, before the first connection.
    pub fixed_bytes: u64,
    /// All connections idle, user memory.
    pub idle_bytes: u64,
    /// All connections idle, kernel memory.
    pub kernel_bytes: u64,
    /// Above that: every client stops reading while events that no other client shares wait for it, or as many as may.
    pub outbound_bytes: u64,
    /// Above that: every client sends the longest message and holds back its last byte.
    pub inbound_bytes: u64,
}

impl MemoryBill {
    /// The bill of a configuration.
    pub fn of(config: &Config) -> Self {
        let connections = config.limits.connections_max as u64;
        let threads = config.cores.len() as u64 + 1;
        Self {
            connections_max: connections,
            fixed_bytes: threads * SHARD_BYTES,
            idle_bytes: connections.saturating_mul(IDLE_CONNECTION_BYTES),
            kernel_bytes: connections.saturating_mul(IDLE_SOCKET_BYTES),
            outbound_bytes: connections
                .saturating_mul(config.limits.outbound_bytes_max as u64)
                .min(config.limits.outbound_total_bytes_max as u64),
            inbound_bytes: connections.saturating_mul(config.limits.client_message_bytes_max as u64),
        }
    }

    /// What the machine must have for every connection to sit idle: ours and the kernel's.
    pub fn idle_total_bytes(&self) -> u64 {
        self.fixed_bytes.saturating_add(self.idle_bytes).saturating_add(self.kernel_bytes)
    }
}

impl fmt::Display for MemoryBill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [fixed, idle, kernel, outbound, inbound] =
            [self.fixed_bytes, self.idle_bytes, self.kernel_bytes, self.outbound_bytes, self.inbound_bytes]
                .map(rounded);
        write!(
            f,
            "{fixed}, {idle} more with {} idle connections ({kernel} in the kernel); at worst {outbound} more if nobody \
             reads, {inbound} if everybody holds back an unfinished message",
            self.connections_max
        )
    }
}

/// A size for people: at most four digits, rounded up.
pub(crate) fn rounded(bytes: u64) -> ByteSize {
    let scale = (0..=3).map(|power| 1_u64 << (10 * power)).find(|scale| bytes / scale < 10_000).unwrap_or(1 << 30);
    ByteSize(bytes.div_ceil(scale).saturating_mul(scale))
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn sizes_for_people_have_few_digits() {
        let table = [(0, "0B"), (9_999, "9999B"), (10_000, "10KiB"), (10_241, "11KiB"), (20 << 30, "20GiB")];
        for (bytes, expected) in table {
            assert_eq!(rounded(bytes).to_string(), expected, "{bytes}");
        }
        assert!(rounded(u64::MAX).to_string().ends_with('B'));
    }
}
