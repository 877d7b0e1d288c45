//! nchan in nginx: the upgrade is the subscription, every message is an event (nchan.io, "WebSocket").
//!
//! The answer to the upgrade is sent once the subscriber stands in the channel's list, so nothing after it is missed.

use super::{Destination, Dialect, Heard};

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

    fn is_subscribed_by_upgrade(&self) -> bool {
        true
    }

    fn is_bare(&self) -> bool {
        true
    }

    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)> {
        Some((Heard::Event(bytes), bytes.len()))
    }
}
