//! The shadow model: what was published, what a client was told, and whether both agree.

use super::socket::{Wire, WireState};
use std::cell::RefCell;
use std::rc::Rc;

/// The answer every pretend client waits for before it believes that it is connected.
pub(super) const WELCOME: &[u8] = b"101\r\n\r\n";

/// One client as the model sees it.
pub(super) struct Client {
    pub(super) topic: usize,
    pub(super) wire: Rc<RefCell<Wire>>,
    /// The shard that owns it.
    pub(super) owner: usize,
    /// How many events its topic had when the client had read its welcome.
    pub(super) connected_at: Option<usize>,
    /// The client has ended the conversation, or broken it.
    pub(super) has_left: bool,
}

/// What a client found in the bytes it got.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) events: Vec<String>,
    pub(super) close: Option<u16>,
    pub(super) pongs: usize,
}

impl Client {
    pub(super) fn note_welcome(&mut self, published: usize) {
        if self.connected_at.is_none() && self.wire.borrow().to_client.starts_with(WELCOME) {
            self.connected_at = Some(published);
        }
    }

    /// Reads the frames, as far as they have come.
    pub(super) fn hear(&self) -> Heard {
        let wire = self.wire.borrow();
        let mut heard = Heard::default();
        let Some(mut rest) = wire.to_client.strip_prefix(WELCOME) else { return heard };
        while rest.len() >= 2 {
            let (header_bytes, payload_bytes) = match rest[1] {
                126 if rest.len() >= 4 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
                126 => break,
                short => (2, usize::from(short)),
            };
            if rest.len() < header_bytes + payload_bytes {
                break;
            }
            assert_eq!(heard.close, None, "nothing follows a close frame");
            let payload = &rest[header_bytes..header_bytes + payload_bytes];
            match rest[0] {
                0x81 => heard.events.push(String::from_utf8(payload.to_vec()).expect("text is UTF-8")),
                0x88 => heard.close = Some(payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code))),
                0x8a => heard.pongs += 1,
                0x89 => {}
                other => panic!("a frame of kind {other:#x}"),
            }
            rest = &rest[header_bytes + payload_bytes..];
        }
        heard
    }

    /// What it heard must be one run of its topic's events, from no later than its welcome, and up to the last one
    /// unless the conversation has ended.
    pub(super) fn check(&self, published: &[String], context: &str) {
        let heard = self.hear();
        let Some(connected_at) = self.connected_at else {
            assert!(heard.events.is_empty(), "{context}: events without a welcome");
            return;
        };
        let first = heard.events.first().map(|event| position(published, event, context));
        let start = first.unwrap_or(connected_at);
        assert!(start <= connected_at, "{context}: missed {:?}", &published[connected_at..start]);
        let run = &published[start..(start + heard.events.len()).min(published.len())];
        let (heard_names, run_names) = (names(&heard.events), names(run));
        assert!(heard.events == run, "{context}: out of order, doubled or lost: {heard_names:?} for {run_names:?}");
        let has_ended = self.has_left || heard.close.is_some() || self.wire.borrow().state == WireState::Dropped;
        if !has_ended {
            let end = start + heard.events.len();
            assert_eq!(end, published.len(), "{context}: the end is missing");
        }
    }
}

/// Events without their padding.
fn names(events: &[String]) -> Vec<&str> {
    events.iter().map(|event| event.trim_end_matches('x')).collect()
}

fn position(published: &[String], event: &str, context: &str) -> usize {
    published.iter().position(|own| own == event).unwrap_or_else(|| panic!("{context}: a stranger's event {event:?}"))
}
