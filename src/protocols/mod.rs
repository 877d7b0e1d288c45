//! The table of protocols: a new family of clients is one file beside this one and one line here.

pub mod echo;
pub mod workflow;

use crate::engine::topic::TopicHasher;
use crate::http::Family;

/// What the table needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct ProtocolSettings {
    /// What stands in front of a username in the broker's channels, for example `workflow:events:`.
    pub workflow_prefix: String,
    /// Where the debugging echo answers; `None` switches it off.
    pub echo_path: Option<String>,
}

/// Every family of clients that this server speaks with.
pub fn families(settings: &ProtocolSettings, hasher: TopicHasher) -> Vec<Family> {
    let workflow = workflow::family(settings.workflow_prefix.clone(), hasher);
    let echo = settings.echo_path.clone().map(echo::family);
    [Some(workflow), echo].into_iter().flatten().collect()
}

/// The patterns a broker must subscribe to for them.
pub fn patterns(settings: &ProtocolSettings) -> Vec<String> {
    vec![format!("{}*", settings.workflow_prefix)]
}
