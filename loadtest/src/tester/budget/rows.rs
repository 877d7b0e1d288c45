//! How each row is measured.

pub(super) mod allocations;
pub(super) mod connecting;
pub(super) mod costs;
pub(super) mod curves;
pub(super) mod handshakes;
pub(super) mod idle;
pub(super) mod latency;
pub(super) mod shards;
