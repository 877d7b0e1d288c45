//! Echo: returns every text and binary message, so that conformance suites and load tools run against the real
//! connection code. A debugging aid, off unless `--echo-path` is given.

use super::ProtocolSettings;
use crate::engine::placement::Placement;
use crate::engine::protocol::{
    Action, Actions, Admission, ClientMessage, Encoding, Notice, Pace, Protocol, RAW_TEXT, Seat,
};
use crate::engine::topic::TopicHasher;
use crate::http::{Access, Family, Request};
use crate::wire::close::CloseCode;
use crate::wire::frame;
use bytes::Bytes;
use std::net::SocketAddr;

struct Echo;

/// The family as the table knows it.
pub(super) fn family(settings: &ProtocolSettings, _hasher: TopicHasher) -> Option<Family> {
    let admit = |_: &Request<'_>| Ok(Admission { protocol: Box::new(Echo), placement: Placement::Anywhere });
    let path = settings.echo_path.clone()?;
    Some(Family {
        name: "echo",
        path,
        prefix: None,
        access: Access::Everyone,
        pages: Vec::new(),
        admit: Box::new(admit),
    })
}

impl Protocol for Echo {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }

    fn pace(&self) -> Pace {
        Pace::Free
    }

    fn opened(&mut self, _peer: SocketAddr, _seat: &Seat<'_>, _actions: &mut Actions) {}

    fn received(&mut self, message: ClientMessage<'_>, actions: &mut Actions) {
        actions.push(Action::Send(match message {
            ClientMessage::Text(text) => frame::text(text),
            ClientMessage::Binary(bytes) => frame::binary(bytes),
        }));
    }

    fn notice(&self, _notice: &Notice) -> Option<Bytes> {
        None
    }

    fn closed(&self, _seat: &Seat<'_>, _code: CloseCode) {}
}
