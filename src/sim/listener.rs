//! A pretend protocol that listens and says nothing.

use super::model::OUTAGE;
use crate::engine::protocol::{Actions, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat, SlowPolicy};
use crate::wire::close::CloseCode;
use crate::wire::frame;
use bytes::Bytes;
use std::net::SocketAddr;

pub(super) struct Listener {
    pub(super) slow_policy: SlowPolicy,
    pub(super) wants_news: bool,
}

impl Protocol for Listener {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }
    fn slow_policy(&self) -> SlowPolicy {
        self.slow_policy
    }
    fn opened(&mut self, _peer: SocketAddr, _seat: &Seat<'_>, _actions: &mut Actions) {}
    fn received(&mut self, _message: ClientMessage<'_>, _actions: &mut Actions) {}
    fn notice(&self, notice: &Notice) -> Option<Bytes> {
        let text = match notice {
            Notice::Missed(missed) => format!("!{missed}"),
            Notice::SourceReconnected => OUTAGE.to_owned(),
            Notice::Draining { .. } | Notice::Expiring(_) => return None,
        };
        self.wants_news.then(|| frame::text(&text))
    }
    fn closed(&self, _seat: &Seat<'_>, _code: CloseCode) {}
}
