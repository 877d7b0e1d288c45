//! The server's own news to clients who have asked for them: text frames of the form `{"type":"fanout.…"}`.

use crate::engine::protocol::Notice;
use crate::wire::frame;
use bytes::Bytes;
use serde_json::{Value, json};

/// Whether a client wants the server's own notices as extra text frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It sees published events only.
    Unwanted,
    /// It asked with `meta=1`.
    Wanted,
}

impl News {
    /// What the parameter `meta` of its request means.
    pub(super) fn of(meta: Option<&str>) -> Self {
        if meta == Some("1") { Self::Wanted } else { Self::Unwanted }
    }

    /// A notice as a frame, for those who want it.
    pub(super) fn frame(self, notice: &Notice) -> Option<Bytes> {
        (self == Self::Wanted).then(|| frame::text(&json_of(notice).to_string()))
    }
}

fn json_of(notice: &Notice) -> Value {
    match notice {
        Notice::SourceReconnected => json!({ "type": "fanout.gap", "reason": "source_reconnected", "missed": null }),
        Notice::Missed(missed) => json!({ "type": "fanout.gap", "reason": "slow_consumer", "missed": missed }),
        Notice::Draining { reconnect_after_ms } => {
            json!({ "type": "fanout.draining", "reconnect_after_ms": reconnect_after_ms })
        }
        Notice::Expiring(in_ms) => json!({ "type": "fanout.expiring", "expires_in_ms": in_ms }),
    }
}
