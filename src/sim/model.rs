//! The shadow model: what was published, what a client was told, and whether both agree.

use super::place::WELCOME;
use super::socket::{Wire, WireState};
use std::cell::RefCell;
use std::rc::Rc;

/// What a pretend client is told when the source of events has been away.
pub(super) const OUTAGE: &str = "?";

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
    /// Whether it is told what it misses.
    pub(super) wants_news: bool,
}

/// What a client found in the bytes it got.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) events: Vec<String>,
    /// Holes that it was told of: behind so many events, so many are missing.
    pub(super) gaps: Vec<(usize, usize)>,
    /// How often it was told that the source of events had been away.
    pub(super) outages: u64,
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
                0x81 => heard.note(str::from_utf8(payload).expect("text is UTF-8")),
                0x88 => heard.close = Some(payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code))),
                0x8a => heard.pongs += 1,
                0x89 => {}
                other => panic!("a frame of kind {other:#x}"),
            }
            rest = &rest[header_bytes + payload_bytes..];
        }
        heard
    }

    fn has_ended(&self, heard: &Heard) -> bool {
        self.has_left || heard.close.is_some() || self.wire.borrow().state == WireState::Dropped
    }

    /// What it heard must be events of its topic in their order, from no later than its welcome up to the last one unless
    /// the conversation has ended. Where the slow may miss some, whoever wants to know is told how many, and where.
    pub(super) fn check(&self, published: &[String], may_miss: bool, context: &str) {
        let heard = self.hear();
        let Some(connected_at) = self.connected_at else {
            assert!(heard.events.is_empty(), "{context}: events without a welcome");
            assert!(self.has_ended(&heard), "{context}: it waits for its welcome");
            return;
        };
        let places: Vec<usize> = heard.events.iter().map(|event| position(published, event, context)).collect();
        let told = |behind: usize| heard.gaps.iter().filter(|gap| gap.0 == behind).map(|gap| gap.1).sum::<usize>();
        let accounts = |hole: usize, behind: usize| hole == told(behind) || may_miss && !self.wants_news;
        let start = places.first().map_or(connected_at, |&first| first.saturating_sub(told(0)));
        assert!(start <= connected_at || accounts(start - connected_at, 0), "{context}: begins with {start}");
        let names = || names(&heard.events);
        for (behind, pair) in (1..).zip(places.windows(2)) {
            assert!(pair[0] < pair[1], "{context}: out of order or doubled: {:?}", names());
            let hole = pair[1] - pair[0] - 1;
            assert!(
                accounts(hole, behind),
                "{context}: {hole} missing behind {behind}, {:?}, {:?}",
                names(),
                heard.gaps
            );
        }
        if !self.has_ended(&heard)
            && let Some(last) = places.last()
        {
            assert!(accounts(published.len() - last - 1, places.len()), "{context}: the end is missing");
        }
    }
}

impl Heard {
    fn note(&mut self, text: &str) {
        if text == OUTAGE {
            self.outages += 1;
            return;
        }
        match text.strip_prefix('!') {
            Some(missed) => self.gaps.push((self.events.len(), missed.parse().expect("a number"))),
            None => self.events.push(text.to_owned()),
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
