//! What clients got, against what they should have got.

use crate::event::Event;
use std::collections::BTreeMap;

/// Counts over any number of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that were due and came, in their order.
    pub delivered: u64,
    /// Events that were skipped: a later one came first.
    pub lost: u64,
    /// Events that came again, or after a later one.
    pub repeated: u64,
    /// Events of another username.
    pub strangers: u64,
    /// Text that is no event at all.
    pub garbled: u64,
    /// Connections that ended, by close code; 1006 for those without one.
    pub closed: BTreeMap<u16, u64>,
}

impl Tally {
    /// Counts one text that a client of `username` got while it expected the event number `*next`.
    pub fn count(&mut self, username: &str, next: &mut u64, text: &[u8]) {
        match Event::parse(text) {
            None => self.garbled += 1,
            Some(event) if event.username != username => self.strangers += 1,
            Some(event) if event.sequence < *next => self.repeated += 1,
            Some(event) => {
                self.lost += event.sequence - *next;
                self.delivered += 1;
                *next = event.sequence + 1;
            }
        }
    }

    /// What a faultless run of so many deliveries looks like.
    pub fn faultless(delivered: u64) -> Self {
        Self { delivered, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_has_its_own_count() {
        let json = |username, sequence| Event { username, sequence }.json();
        let mut tally = Tally::default();
        let mut next = 0;
        let texts =
            [json("a", 0), json("a", 3), json("a", 3), json("a", 1), json("b", 4), "{}".to_owned(), json("a", 4)];
        for text in texts {
            tally.count("a", &mut next, text.as_bytes());
        }
        let expected = Tally { delivered: 3, lost: 2, repeated: 2, strangers: 1, garbled: 1, ..Tally::default() };
        assert_eq!((tally, next), (expected, 5));
    }
}
