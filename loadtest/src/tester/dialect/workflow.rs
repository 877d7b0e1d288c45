//! Workflow frontends: the upgrade is the subscription, every message is an event (PROTOCOLS §1).

use super::Dialect;

/// `ws://host/ws?username=alice`.
pub(super) struct Workflow;

impl Dialect for Workflow {
    fn name(&self) -> &'static str {
        "workflow"
    }

    fn url(&self) -> &'static str {
        "ws://127.0.0.1:8084/ws?username={user}"
    }

    fn publish_to(&self) -> &'static str {
        "workflow:events:{user}"
    }
}
