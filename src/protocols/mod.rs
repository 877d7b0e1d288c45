//! The table of protocols: a new family of clients is one file beside this one and one line here.

mod console;
pub mod echo;
pub mod flux;
mod news;
pub mod workflow;

pub use self::console::family as console_family;

use crate::engine::protocol::SlowPolicy;
use crate::engine::topic::TopicHasher;
use crate::http::Family;

/// How a family is set up, unless the configuration leaves it out.
type SetUp = fn(&ProtocolSettings, TopicHasher) -> Option<Family>;

/// Every family of clients there is.
const TABLE: [SetUp; 3] = [workflow::family, flux::family, echo::family];

/// What the table needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct ProtocolSettings {
    /// What stands in front of a username in the broker's channels, for example `workflow:events:`.
    pub workflow_prefix: String,
    /// What becomes of events for frontends that read too slowly.
    pub workflow_slow_policy: SlowPolicy,
    /// The channels of the flux family.
    pub flux: flux::FluxSettings,
    /// Where the debugging echo answers; `None` switches it off.
    pub echo_path: Option<String>,
}

/// Every family of clients that this server speaks with.
pub fn families(settings: &ProtocolSettings, hasher: TopicHasher) -> Vec<Family> {
    TABLE.iter().filter_map(|set_up| set_up(settings, hasher)).collect()
}

/// The patterns a broker must subscribe to for them. No two of them match the same channel: it would bring its events
/// twice.
pub fn patterns(settings: &ProtocolSettings) -> Vec<String> {
    let families = families(settings, TopicHasher::random());
    let mut prefixes: Vec<String> = families.into_iter().filter_map(|family| family.prefix).collect();
    prefixes.sort_unstable();
    prefixes.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
    prefixes.into_iter().map(|prefix| format!("{prefix}*")).collect()
}
