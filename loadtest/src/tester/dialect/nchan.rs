//! nchan in nginx: the upgrade is the subscription, every message is an event (nchan.io, "WebSocket").
//!
//! The answer to the upgrade is sent once the subscriber stands in the channel's list, so nothing after it is missed.

use super::{Destination, Dialect};

/// `ws://host/sub/alice`, with locations as in `loadtest/peers/nchan.conf`.
pub(super) struct Nchan;

impl Dialect for Nchan {
    fn name(&self) -> &'static str {
        "nchan"
    }

    fn url(&self) -> &'static str {
        "ws://127.0.0.1:8080/sub/{channel}"
    }

    fn publish_to(&self) -> &'static str {
        "{channel}"
    }

    fn publish_at(&self) -> Destination<'static> {
        Destination::Http("http://127.0.0.1:8080/pub/{channel}")
    }
}
