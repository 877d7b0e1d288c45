//! What `/admin/trace` answers.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One look.
#[derive(Deserialize)]
pub(super) struct Look {
    /// What to ask for next.
    pub(super) cursor: String,
    /// Connections that get the target's events.
    pub(super) following: u64,
    /// Events that were not recorded, and records that were not kept for this look.
    pub(super) skipped: u64,
    pub(super) broker: Broker,
    /// As they came, for whoever wants them so.
    pub(super) records: Vec<Box<RawValue>>,
}

/// Where events come from.
#[derive(Deserialize)]
pub(super) struct Broker {
    pub(super) connected: bool,
}

/// Something that has happened. What a kind of record does not have is absent, and a kind that is not known here is
/// printed with what it has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// Microseconds since 1970.
    pub(super) at_us: u64,
    /// A shard's number, or `broker`.
    pub(super) node: Value,
    pub(super) what: String,
    /// The event's short name.
    pub(super) event: Option<String>,
    pub(super) bytes: Option<u64>,
    pub(super) preview: Option<String>,
    /// Since the event was read from the broker.
    pub(super) took_us: Option<u64>,
    pub(super) followers: Option<u64>,
    pub(super) connection: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) queued_frames: Option<u64>,
    pub(super) queued_bytes: Option<u64>,
    pub(super) frames: Option<u64>,
    pub(super) code: Option<String>,
    pub(super) address: Option<String>,
    pub(super) age_ms: Option<u64>,
}
