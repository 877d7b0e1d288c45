//! What a turn has brought for each group of followers, until it is offered to them at once.
//!
//! ```text
//! deliver:     message ──► mark of its group          16 messages for 1 000 clients are 16 steps here,
//! distribute:  mark ──► bundle ──► every member       and 1 000 there
//! ```

use crate::engine::connection::ConnectionId;
use crate::engine::subscriptions::Group;
use crate::engine::topic::TopicKey;
use bytes::Bytes;
use std::ops::Range;

/// Room for messages that a mark keeps for its next use: 2 KiB.
const SPARE_MESSAGES_MAX: usize = 64;

/// The sealed messages for one group.
#[derive(Debug, Default)]
pub(super) struct Mark {
    pub(super) topic: TopicKey,
    pub(super) group: usize,
    pub(super) sealed: Vec<Bytes>,
    /// Which of them are whose own: that client does not get it.
    pub(super) own: Vec<(usize, ConnectionId)>,
}

/// The marks of a turn. Their lists are used again: in the steady state nothing is allocated.
#[derive(Debug, Default)]
pub(super) struct Marks {
    marks: Vec<Mark>,
    used: usize,
}

impl Mark {
    /// Adds a message for everybody of the group, except its publisher.
    pub(super) fn add(&mut self, sealed: Bytes, publisher: Option<ConnectionId>) {
        self.own.extend(publisher.map(|publisher| (self.sealed.len(), publisher)));
        self.sealed.push(sealed);
    }

    /// Who has published something of a bundle.
    pub(super) fn own_in(&self, bundle: &Range<usize>) -> &[(usize, ConnectionId)] {
        if self.own.is_empty() {
            return &[];
        }
        let before = |end: usize| self.own.partition_point(|&(index, _)| index < end);
        &self.own[before(bundle.start)..before(bundle.end)]
    }
}

impl Marks {
    /// The mark of a group, which is the `index`th of its topic.
    pub(super) fn of(&mut self, topic: TopicKey, index: usize, group: &mut Group) -> &mut Mark {
        let used = self.used;
        let place = *group.mark.get_or_insert_with(|| u32::try_from(used).expect("a turn takes fewer messages"));
        if place as usize == used {
            self.used += 1;
            if self.marks.len() == used {
                self.marks.push(Mark::default());
            }
            (self.marks[used].topic, self.marks[used].group) = (topic, index);
        }
        &mut self.marks[place as usize]
    }

    /// Takes one mark; give it back with [`Marks::give_back`].
    pub(super) fn take(&mut self, place: usize) -> Option<Mark> {
        (place < self.used).then(|| std::mem::take(&mut self.marks[place]))
    }

    /// Keeps the list of a mark that is done.
    pub(super) fn give_back(&mut self, place: usize, mut mark: Mark) {
        mark.sealed.clear();
        mark.sealed.shrink_to(SPARE_MESSAGES_MAX);
        mark.own.clear();
        self.marks[place] = mark;
    }

    /// All are done.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }
}
