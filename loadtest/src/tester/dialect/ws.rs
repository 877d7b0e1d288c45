//! A server on Node's `ws` (`loadtest/peers/ws.mjs`): the upgrade is the subscription, every message is an event.

use super::{Destination, Dialect, Publishing};

/// `ws://host/?username=alice`; publishers at `/publish`.
pub(super) struct Ws;

impl Dialect for Ws {
    fn name(&self) -> &'static str {
        "ws"
    }

    fn url(&self) -> &'static str {
        "ws://127.0.0.1:8080/?username={user}"
    }

    fn publish_to(&self) -> &'static str {
        "{user}"
    }

    fn publish_at(&self) -> Destination<'static> {
        Destination::WebSocket("ws://127.0.0.1:8080/publish")
    }

    fn publishing(&self) -> Option<&dyn Publishing> {
        Some(self)
    }
}

impl Publishing for Ws {
    fn publication(&self, name: &str, event: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
        out.extend_from_slice(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_a_line_with_the_name_and_the_event() {
        let mut out = Vec::new();
        Ws.publication("load-1", br#"{"e":"1"}"#, &mut out);
        assert_eq!(out, b"load-1\n{\"e\":\"1\"}");
    }
}
