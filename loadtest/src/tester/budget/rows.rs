//! How each row is measured.

pub(super) mod allocations;
pub(super) mod connecting;
pub(super) mod costs;
pub(super) mod curves;
pub(super) mod handshakes;
pub(super) mod idle;
pub(super) mod latency;
pub(super) mod shards;
pub(super) mod spread;

use crate::tester::outcome::Outcome;

/// Where the engine's own tests and counts lie: the repository that this program was built from.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What each client costs the server in memory of its own. Pages of its program, which come in while it works for the
/// first time, are not among it.
fn user_bytes(outcome: &Outcome) -> f64 {
    let bytes =
        outcome.server.map(|server| server.anonymous_bytes_per_connection.unwrap_or(server.rss_bytes_per_connection));
    bytes.unwrap_or(f64::NAN)
}
