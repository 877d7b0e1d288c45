//! Channels that are subscribed to one by one: asked for when somebody begins to follow them, left some time after the
//! last one has gone.
//!
//! ```text
//!     begin            room in the outbox         confirmed
//!   ─────────► Unasked ──────────────────► Asked ───────────► InPlace
//!                 │ end                      │ end, confirmed   │  ▲
//!                 ▼                          ▼              end ▼  │ begin
//!             forgotten ◄────────────────── Lingering ◄────────────┘
//!                        UNSUBSCRIBE, when the linger is over
//! ```
//!
//! Redis answers in order. A channel is left only after it was confirmed, and is forgotten with the command that leaves
//! it; whoever comes back behind that command asks anew. So of each channel one `SUBSCRIBE` at most is unanswered, and
//! a confirmation always belongs to it.
//!
//! No list here is longer than that of the topics which somebody follows or which linger. A topic takes 88 bytes in the
//! table, up to 204 with the room that the table keeps, 48 more while it waits to be asked for, and some 110 while it
//! lingers; its name is shared with the router. Commands wait here until the outbox has room.

use crate::brokers::outbox::Outbox;
use crate::engine::topic::Topic;
use crate::mesh::NodeId;
use crate::wire::resp::command;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Names in one command, in bytes: some hundred of the usual ones. Longer commands save nothing.
const PIECE_BYTES: usize = 8 * 1024;

/// With so much in the outbox nothing is added. One more piece with the longest of names still leaves it calm, or
/// nothing would be read.
const WAITING_BYTES_MAX: usize = 16 * 1024;

/// A name's length line and its ends.
const OTHER_BYTES_PER_NAME: usize = 16;

/// Channels are left together, at most ten times a second.
const LEAVE_PERIOD: Duration = Duration::from_millis(100);

/// Channels that linger at a time; beyond it those that would go first go at once. Clients that come and go under
/// ever-new names then hold no more than this, some 20 MB here and 16 MB in Redis.
const LINGERING_MAX: usize = 64 * 1024;

/// Who waits until a channel is in place: a ticket of this shard.
pub(super) type Waiter = (NodeId, u64);

/// The moment a channel is left; the number tells those of one moment apart.
type Due = (Instant, u64);

/// Everything that is or will be subscribed to.
pub(super) struct Channels {
    linger: Duration,
    table: HashTable<Channel>,
    /// Those in [`Phase::Unasked`], each once; empty while the connection is away.
    unasked: VecDeque<Topic>,
    /// Those in [`Phase::Lingering`].
    lingering: BTreeMap<Due, Topic>,
    /// How many have lingered so far.
    lingers: u64,
    /// Where commands go; `None` while the connection is away.
    outbox: Option<Rc<Outbox>>,
    opening: Opening,
}

/// One channel.
#[derive(Debug)]
struct Channel {
    topic: Topic,
    is_followed: bool,
    phase: Phase,
}

/// What Redis knows of a channel.
#[derive(Debug)]
enum Phase {
    /// Nothing. Who waits for it is listed.
    Unasked(Vec<Waiter>),
    /// `SUBSCRIBE` is on its way.
    Asked(Vec<Waiter>),
    /// Its events come.
    InPlace,
    /// Its events come and nobody follows it.
    Lingering(Due),
}

/// How far a new connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Not everything that was followed before has been asked for.
    Asking,
    /// It has, and behind it a `PING`: its answer comes when all of it is confirmed.
    Awaiting,
    /// It is confirmed.
    Done,
}

impl Channels {
    /// No channels and no connection. What nobody follows any more is left after `linger`.
    pub(super) fn new(linger: Duration) -> Self {
        Self {
            linger,
            table: HashTable::new(),
            unasked: VecDeque::new(),
            lingering: BTreeMap::new(),
            lingers: 0,
            outbox: None,
            opening: Opening::Asking,
        }
    }

    /// Somebody follows a topic. Gives `waiter` back if it need not wait.
    ///
    /// While the connection is away nobody waits. What is missed until it is back is unknown and is told to everybody
    /// then, also to those who came meanwhile; whoever waited would only learn later that it is connected.
    pub(super) fn begin(&mut self, topic: Topic, waiter: Option<Waiter>) -> Option<Waiter> {
        let hash = topic.hash();
        let channel = match self.table.entry(hash, |channel| channel.topic == topic, |channel| channel.topic.hash()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                if self.outbox.is_some() {
                    self.unasked.push_back(topic.clone());
                }
                place.insert(Channel { topic, is_followed: true, phase: Phase::Unasked(Vec::new()) }).into_mut()
            }
        };
        channel.is_followed = true;
        match &mut channel.phase {
            Phase::Unasked(waiters) | Phase::Asked(waiters) if self.outbox.is_some() => {
                waiters.extend(waiter);
                return None;
            }
            Phase::Lingering(due) => {
                self.lingering.remove(due);
                channel.phase = Phase::InPlace;
            }
            Phase::Unasked(_) | Phase::Asked(_) | Phase::InPlace => {}
        }
        waiter
    }

    /// Nobody follows a topic any more.
    pub(super) fn end(&mut self, topic: &Topic, now: Instant) {
        let found = self.table.find_entry(topic.hash(), |channel| channel.topic == *topic);
        let Ok(mut found) = found else { return };
        if self.outbox.is_none() {
            found.remove();
            return;
        }
        let channel = found.get_mut();
        channel.is_followed = false;
        if matches!(channel.phase, Phase::InPlace) {
            channel.phase = Phase::Lingering(keep(&mut self.lingering, &mut self.lingers, topic, now + self.linger));
        }
    }

    /// Redis has confirmed a topic's channel; gives those who waited for that.
    pub(super) fn confirmed(&mut self, topic: &Topic, now: Instant) -> Vec<Waiter> {
        let Some(channel) = self.table.find_mut(topic.hash(), |channel| channel.topic == *topic) else {
            return Vec::new();
        };
        let Phase::Asked(waiters) = &mut channel.phase else { return Vec::new() };
        let waiters = mem::take(waiters);
        channel.phase = if channel.is_followed {
            Phase::InPlace
        } else {
            Phase::Lingering(keep(&mut self.lingering, &mut self.lingers, &channel.topic, now + self.linger))
        };
        waiters
    }

    /// A connection is there: everything that is followed is asked for.
    pub(super) fn open(&mut self, outbox: &Rc<Outbox>) {
        assert!(self.outbox.is_none(), "there is one connection at a time");
        self.outbox = Some(Rc::clone(outbox));
        self.opening = Opening::Asking;
        self.unasked = self.table.iter().map(|channel| channel.topic.clone()).collect();
        self.go_on();
    }

    /// The connection is lost, and with it every subscription; gives those who waited.
    pub(super) fn close(&mut self) -> Vec<Waiter> {
        self.outbox = None;
        self.unasked = VecDeque::new();
        self.lingering.clear();
        let mut waited = Vec::new();
        self.table.retain(|channel| {
            if let Phase::Unasked(waiters) | Phase::Asked(waiters) = &mut channel.phase {
                waited.append(waiters);
            }
            channel.phase = Phase::Unasked(Vec::new());
            channel.is_followed
        });
        waited
    }

    /// A `PING` was answered; says whether that completes the opening of the connection.
    pub(super) fn pong(&mut self) -> bool {
        let completes = self.opening == Opening::Awaiting;
        if completes {
            self.opening = Opening::Done;
            self.unasked.shrink_to_fit();
        }
        completes
    }

    /// Whether the connection is being opened: an answer is due, nobody needs to ask for a sign of life, and the only
    /// one that comes is the one of [`Channels::pong`].
    pub(super) fn is_opening(&self) -> bool {
        self.opening != Opening::Done
    }

    /// Asks for what has room. Every command is answered, so it is called again when there is room again.
    pub(super) fn go_on(&mut self) {
        let Some(outbox) = self.outbox.clone() else { return };
        while !self.unasked.is_empty() && outbox.waiting_bytes() <= WAITING_BYTES_MAX {
            let piece = self.next_asked();
            write(&outbox, b"SUBSCRIBE", &piece);
        }
        if self.unasked.is_empty() && self.opening == Opening::Asking {
            outbox.offer(|out| command::encode(out, &[b"PING"]));
            self.opening = Opening::Awaiting;
        }
        debug_assert!(outbox.is_cut() || outbox.is_calm(), "answers are always read");
    }

    /// Whether some must go before their linger is over.
    pub(super) fn has_too_many_lingering(&self) -> bool {
        self.lingering.len() > LINGERING_MAX
    }

    /// Leaves the channels whose linger is over and those that are too many, as far as there is room; the others wait
    /// for the next call.
    pub(super) fn leave(&mut self, now: Instant) {
        let Some(outbox) = self.outbox.clone() else { return };
        while outbox.waiting_bytes() <= WAITING_BYTES_MAX {
            let piece = self.next_left(now);
            if piece.is_empty() {
                return;
            }
            write(&outbox, b"UNSUBSCRIBE", &piece);
        }
    }

    /// How long until [`Channels::leave`] may have something to do; what begins to linger later is not due sooner.
    pub(super) fn until_leave(&self, now: Instant) -> Duration {
        let due = self.lingering.first_key_value().map(|(&(due, _), _)| due.saturating_duration_since(now));
        due.unwrap_or(self.linger).max(LEAVE_PERIOD)
    }

    /// The next piece to ask for. What nobody follows any more is forgotten instead.
    fn next_asked(&mut self) -> Vec<Topic> {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE_BYTES
            && let Some(topic) = self.unasked.pop_front()
        {
            let found = self.table.find_entry(topic.hash(), |channel| channel.topic == topic);
            let mut found = found.expect("what waits to be asked for is in the table");
            let channel = found.get_mut();
            let Phase::Unasked(waiters) = &mut channel.phase else { unreachable!("each stands in line once") };
            let waiters = mem::take(waiters);
            if channel.is_followed || !waiters.is_empty() {
                channel.phase = Phase::Asked(waiters);
                bytes += topic.name().len() + OTHER_BYTES_PER_NAME;
                piece.push(topic);
            } else {
                found.remove();
            }
        }
        piece
    }

    /// The next piece to leave, which is forgotten with this.
    fn next_left(&mut self, now: Instant) -> Vec<Topic> {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE_BYTES
            && let Some(topic) = self.next_lingering(now)
        {
            let found = self.table.find_entry(topic.hash(), |channel| channel.topic == topic);
            found.expect("what lingers is in the table").remove();
            bytes += topic.name().len() + OTHER_BYTES_PER_NAME;
            piece.push(topic);
        }
        piece
    }

    fn next_lingering(&mut self, now: Instant) -> Option<Topic> {
        let has_too_many = self.has_too_many_lingering();
        let first = self.lingering.first_entry()?;
        (has_too_many || first.key().0 <= now).then(|| first.remove())
    }
}

/// Puts a topic among those that linger.
fn keep(lingering: &mut BTreeMap<Due, Topic>, lingers: &mut u64, topic: &Topic, until: Instant) -> Due {
    *lingers += 1;
    let due = (until, *lingers);
    lingering.insert(due, topic.clone());
    due
}

fn write(outbox: &Outbox, name: &[u8], topics: &[Topic]) {
    if !topics.is_empty() {
        let words: Vec<&[u8]> = [name].into_iter().chain(topics.iter().map(Topic::name)).collect();
        outbox.offer(|out| command::encode(out, &words));
    }
}

#[cfg(test)]
mod tests;
