//! The frames one connection has not received yet.
//!
//! An empty queue owns no heap memory, one frame lies in the connection, more lie in a list that is borrowed from the
//! shard and given back when the queue is empty: in the steady state nothing is allocated per client and message.
//!
//! A kernel call has three steps, so that the calls of many connections can be made together:
//! [`Outbound::prepare`] says what goes into it, [`Outbound::bytes`] are those bytes, [`Outbound::sent`] is what became
//! of it.

use super::frame::{Content, Frame};
use super::topic::TopicKey;
use crate::ear::Tick;
use crate::wire::frame;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ops::Range;
use std::time::Duration;

/// Bytes of several frames that are copied together for one kernel call; a larger frame goes alone. A call of this size
/// costs ten times what its copy costs, so there is nothing to win beyond.
const JOINED_BYTES_MAX: usize = 64 * 1024;

/// Lists kept for the next turn, and the longest kept as it is. As many as a shard may have connections: events of two
/// topics for all of them need all of these at once. 512 bytes each at most, 16 MiB where 32 768 clients got 64 in one turn.
const SPARE_LISTS_MAX: usize = 32_768;
const SPARE_LIST_FRAMES_MAX: usize = 64;

/// What became of a frame that was offered to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is the first one of this turn: note the connection, it wants to be written to.
    First,
    /// It waits behind others; somebody has noted the connection, or its socket will say when it is writable.
    Queued,
    /// The queue is full or its socket takes no bytes: the frame was not taken. What becomes of it is the ladder's to say.
    Declined,
}

/// What goes into the next kernel call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Portion {
    /// The first frame, or what is left of it.
    First,
    /// Several frames, joined at this place of the workbench.
    Joined(Range<usize>),
}

/// What a kernel call achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames that are now wholly in the kernel's hands.
    pub frames: u64,
    /// Bytes the kernel took.
    pub bytes: u64,
}

/// Who writes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Awaiting {
    /// Nobody: there is nothing to send.
    #[default]
    Nothing,
    /// The end of this turn.
    TurnEnd,
    /// The socket has to take bytes again: the connection is late.
    Writability,
    /// The end of this turn, for a late connection whose socket takes bytes again.
    Retry,
}

/// Whether a queue takes frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intake {
    /// As they come, while there is room.
    #[default]
    Open,
    /// One was not taken. Until it is decided about, none that follows is, however short: it would overtake.
    Held,
    /// What waited was dropped, and so is whatever follows: the client is to be closed.
    Overflowed,
}

/// A connection's outbound queue.
#[derive(Debug, Default)]
pub struct Outbound {
    queue: Queue,
    /// A ping or pong for a late client: passes everything but a frame that is partly out.
    urgent: Option<Frame>,
    /// Memory of the frames in the queue, see [`Frame::held_bytes`].
    held_bytes: usize,
    /// Bytes of the first frame that the kernel has taken already: fewer than 4 GiB, as every frame has.
    sent_of_first: u32,
    /// Frames that count, see [`Frame::count`].
    unsent_frames: u32,
    awaiting: Awaiting,
    /// The first in the queue is not a frame: it is the answer to the upgrade request.
    has_preface: bool,
    /// Whether it takes frames.
    pub intake: Intake,
    /// The client has published something of the bundle that is being offered and does not get that as a whole. Stands
    /// here, where there is room: in the connection it would take 8 bytes of each.
    pub is_publisher: bool,
    /// Frames that the client does not get and has not been told of.
    missed: u32,
}

#[derive(Debug, Default)]
enum Queue {
    #[default]
    Empty,
    One(Frame),
    Many(VecDeque<Frame>),
}

/// What the connections of a shard share for their queues.
#[derive(Debug, Default)]
pub struct Workbench {
    /// Empty lists of queues that were once longer than one.
    spare_lists: Vec<VecDeque<Frame>>,
    /// The joined bytes of the calls that are being prepared.
    joined: Vec<u8>,
}

impl Outbound {
    /// Takes a frame for a connection that keeps up, unless `bytes_max` would be exceeded by it.
    pub fn offer(&mut self, frame: &Frame, bytes_max: usize, workbench: &mut Workbench) -> Offer {
        if self.awaiting == Awaiting::Nothing {
            debug_assert!(self.is_empty(), "whatever waits is awaited");
        } else if self.is_late() || self.intake != Intake::Open || !self.has_room(frame, bytes_max) {
            self.intake = self.intake.max(Intake::Held);
            return Offer::Declined;
        }
        self.send_last(frame.clone(), workbench)
    }

    /// Whether `bytes_max` allows one more frame. An empty queue takes any, however large; of one that is partly out
    /// only what is left counts.
    pub fn has_room(&self, frame: &Frame, bytes_max: usize) -> bool {
        // The answer to the upgrade request is not what a client could have read already.
        let is_free = self.is_empty() || self.has_preface && matches!(self.queue, Queue::One(_));
        let rest = |first: &Frame| first.bytes().len() - self.sent_of_first as usize;
        is_free || self.waiting_bytes() + self.begun().map_or(0, rest) + frame.held_bytes() <= bytes_max
    }

    /// Sends a pong with this turn. For a late client it passes everything that waits, and only the latest one is kept:
    /// an answer to the most recent ping is enough (RFC 6455 §5.5.3).
    pub fn send_pong(&mut self, pong: Frame, workbench: &mut Workbench) -> Offer {
        if self.is_late() {
            self.urgent = Some(pong);
            return Offer::Queued;
        }
        self.send_last(pong, workbench)
    }

    /// Sends a ping with this turn. For a late client it passes everything that waits, but not a pong, which is owed.
    pub fn send_ping(&mut self, ping: Frame, workbench: &mut Workbench) -> Offer {
        if self.is_late() {
            self.urgent.get_or_insert(ping);
            return Offer::Queued;
        }
        self.send_last(ping, workbench)
    }

    /// Puts the answer to the upgrade request in front of all frames. Call it first, once.
    pub fn send_preface(&mut self, response: Frame, workbench: &mut Workbench) -> Offer {
        debug_assert!(self.is_empty(), "nothing goes out before the handshake is answered");
        self.has_preface = true;
        self.send_last(response, workbench)
    }

    /// Puts a frame behind everything, over the limit if need be: for what ends a conversation.
    pub fn send_last(&mut self, last: Frame, workbench: &mut Workbench) -> Offer {
        self.held_bytes += last.held_bytes();
        self.unsent_frames += last.count();
        self.queue.push(last, workbench);
        self.touch()
    }

    /// Drops the oldest events until `bytes_max` allows this frame; returns how many.
    pub fn make_room(&mut self, frame: &Frame, bytes_max: usize, workbench: &mut Workbench) -> u64 {
        self.drop_events(|outbound| !outbound.has_room(frame, bytes_max), |_| true, workbench)
    }

    /// Drops the events of a topic, or of all; returns how many.
    pub fn drop_topic(&mut self, topic: Option<TopicKey>, workbench: &mut Workbench) -> u64 {
        self.drop_events(|_| true, |its| topic.is_none_or(|topic| topic == its), workbench)
    }

    /// Drops the events that are older than `lifetime`; returns how many.
    pub fn drop_expired(&mut self, now: Tick, lifetime: Duration, workbench: &mut Workbench) -> u64 {
        let is_old = |outbound: &Self| outbound.events().next().is_some_and(|(_, _, came)| now > came.after(lifetime));
        self.drop_events(is_old, |_| true, workbench)
    }

    /// Drops the first event whose topic `is_it`, and the next, while `goes_on`.
    fn drop_events(
        &mut self,
        goes_on: impl Fn(&Self) -> bool,
        is_it: impl Fn(TopicKey) -> bool,
        workbench: &mut Workbench,
    ) -> u64 {
        let mut dropped = 0;
        let next = |outbound: &Self| outbound.events().find(|(_, topic, _)| is_it(*topic)).map(|(index, ..)| index);
        while goes_on(self)
            && let Some(index) = next(self)
        {
            let frame = self.queue.remove(index, workbench);
            self.held_bytes -= frame.held_bytes();
            dropped += frame.count();
        }
        self.unsent_frames -= dropped;
        self.miss(dropped);
        dropped.into()
    }

    /// The events of which nothing is out yet: their places, topics and times of arrival.
    fn events(&self) -> impl Iterator<Item = (usize, TopicKey, Tick)> {
        let frames = self.queue.iter().enumerate().skip(self.first_unsent());
        frames.filter_map(|(index, frame)| match frame.content() {
            Content::Events(topic, came) => Some((index, topic, came)),
            _ => None,
        })
    }

    /// The client does not get so many frames.
    pub fn miss(&mut self, frames: u32) {
        self.missed = self.missed.saturating_add(frames);
    }

    /// Frames that the client does not get and has not been told of.
    pub fn missed(&self) -> u32 {
        self.missed
    }

    /// How many frames the client misses and has not been told of; from now on it has been.
    pub fn take_missed(&mut self, workbench: &mut Workbench) -> u32 {
        let first = self.first_unsent();
        let next = self.queue.iter().nth(first).map(Frame::content);
        if self.missed > 0
            && let Some(Content::Gap(untold)) = next
        {
            self.held_bytes -= self.queue.remove(first, workbench).held_bytes();
            self.miss(untold);
        }
        mem::take(&mut self.missed)
    }

    /// Puts a frame in front of everything of which nothing is out yet: there holes are, too.
    pub fn send_first(&mut self, first: Frame, workbench: &mut Workbench) {
        self.held_bytes += first.held_bytes();
        self.unsent_frames += first.count();
        let place = self.first_unsent();
        self.queue.widen(workbench).insert(place, first);
    }

    /// The first frame where it has to come in full.
    fn begun(&self) -> Option<&Frame> {
        self.queue.first().filter(|_| self.first_unsent() > 0)
    }

    /// The place of the first frame that may still be dropped or preceded.
    fn first_unsent(&self) -> usize {
        usize::from(self.sent_of_first > 0 || self.has_preface)
    }

    /// Drops every frame of which nothing is out yet and returns how many those were. The answer to the upgrade request
    /// stays: without it nothing that follows could be read.
    pub fn discard(&mut self, workbench: &mut Workbench) -> u32 {
        let first = (self.first_unsent() > 0).then(|| self.queue.pop(workbench)).flatten();
        let mut discarded = 0;
        while let Some(frame) = self.queue.pop(workbench) {
            discarded += frame.count();
        }
        self.urgent = None;
        (self.held_bytes, self.unsent_frames) = (0, 0);
        if let Some(first) = first {
            (self.held_bytes, self.unsent_frames) = (first.held_bytes(), first.count());
            self.queue = Queue::One(first);
        }
        discarded
    }

    /// What the next kernel call is to be given; `None` where nothing waits. Follow it with [`Outbound::sent`].
    pub fn prepare(&mut self, workbench: &mut Workbench) -> Option<Portion> {
        if let Some(control) = self.urgent.take() {
            self.send_first(control, workbench);
        }
        match &self.queue {
            Queue::Empty => {
                self.awaiting = Awaiting::Nothing;
                None
            }
            Queue::One(_) => Some(Portion::First),
            Queue::Many(frames) => Some(workbench.join(frames, self.sent_of_first as usize)),
        }
    }

    /// The bytes of a portion that was just prepared.
    pub fn bytes<'a>(&'a self, portion: &Portion, workbench: &'a Workbench) -> &'a [u8] {
        match portion {
            Portion::First => {
                &self.queue.first().expect("a portion was prepared").bytes()[self.sent_of_first as usize..]
            }
            Portion::Joined(place) => &workbench.joined[place.clone()],
        }
    }

    /// What became of a kernel call that was `offered` so many bytes. Afterwards [`Outbound::is_late`] tells whether the
    /// socket refused some, and [`Outbound::wants_more`] whether the next call is to be made at once.
    pub fn sent(&mut self, offered: usize, taken: io::Result<usize>, workbench: &mut Workbench) -> io::Result<Sent> {
        let taken = match taken {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Sent::default()),
            Err(error) => return Err(error),
        };
        let frames = self.advance(taken, workbench);
        if taken < offered {
            self.become_late();
        } else if self.is_empty() {
            self.awaiting = Awaiting::Nothing;
        }
        Ok(Sent { frames: frames.into(), bytes: taken as u64 })
    }

    /// The socket takes bytes again: whether somebody waits for that and is to be noted for the end of this turn.
    pub fn retry(&mut self) -> bool {
        let waits = self.awaiting == Awaiting::Writability;
        if waits {
            self.awaiting = Awaiting::Retry;
        }
        waits
    }

    /// Whether frames wait although the socket has refused none of the last call.
    pub fn wants_more(&self) -> bool {
        matches!(self.awaiting, Awaiting::TurnEnd | Awaiting::Retry)
    }

    /// Whether frames wait, or waited when this turn began, for the socket to take bytes again.
    pub fn is_late(&self) -> bool {
        matches!(self.awaiting, Awaiting::Writability | Awaiting::Retry)
    }

    /// Whether the kernel has taken everything.
    pub fn is_empty(&self) -> bool {
        matches!(self.queue, Queue::Empty)
    }

    /// Bytes the kernel has not taken yet. Looks at each frame.
    pub fn unsent_bytes(&self) -> usize {
        self.queue.iter().map(|frame| frame.bytes().len()).sum::<usize>() - self.sent_of_first as usize
    }

    /// Memory of what may still be dropped: what is partly out has to come in full.
    pub fn waiting_bytes(&self) -> usize {
        self.held_bytes - self.begun().map_or(0, Frame::held_bytes)
    }

    /// Frames of a bundle that is partly out, which are out themselves.
    pub fn frames_out_of_first(&self) -> u32 {
        let bundle = self.queue.first().filter(|first| first.count() > 1);
        bundle.map_or(0, |bundle| frame::count_whole(&bundle.bytes()[..self.sent_of_first as usize]))
    }

    /// Frames the kernel has not taken in full, and those of a bundle that it has not.
    pub fn unsent_frames(&self) -> u32 {
        self.unsent_frames
    }

    fn touch(&mut self) -> Offer {
        if self.awaiting == Awaiting::Nothing {
            self.awaiting = Awaiting::TurnEnd;
            return Offer::First;
        }
        Offer::Queued
    }

    /// Takes `bytes` off the front; returns how many frames are wholly out by that.
    fn advance(&mut self, bytes: usize, workbench: &mut Workbench) -> u32 {
        let mut frames = 0;
        let mut out = self.sent_of_first as usize + bytes;
        while let Some(first) = self.queue.first()
            && out >= first.bytes().len()
        {
            out -= first.bytes().len();
            frames += first.count();
            self.held_bytes -= first.held_bytes();
            self.has_preface = false;
            self.queue.pop(workbench);
        }
        self.sent_of_first = u32::try_from(out).expect("the configuration limits events");
        self.unsent_frames -= frames;
        frames
    }

    fn become_late(&mut self) {
        if !self.is_late() {
            self.queue.detach();
        }
        self.awaiting = Awaiting::Writability;
    }
}

impl Queue {
    fn push(&mut self, frame: Frame, workbench: &mut Workbench) {
        match self {
            Self::Empty => *self = Self::One(frame),
            Self::One(_) | Self::Many(_) => self.widen(workbench).push_back(frame),
        }
    }

    /// Makes this a list, whatever it was.
    fn widen(&mut self, workbench: &mut Workbench) -> &mut VecDeque<Frame> {
        if !matches!(self, Self::Many(_)) {
            let mut frames = workbench.spare_lists.pop().unwrap_or_default();
            if let Self::One(first) = mem::take(self) {
                frames.push_back(first);
            }
            *self = Self::Many(frames);
        }
        let Self::Many(frames) = self else { unreachable!("made so above") };
        frames
    }

    fn remove(&mut self, index: usize, workbench: &mut Workbench) -> Frame {
        match self {
            Self::Many(frames) if frames.len() > 1 => frames.remove(index),
            _ => self.pop(workbench),
        }
        .expect("only a frame that is there is removed")
    }

    fn pop(&mut self, workbench: &mut Workbench) -> Option<Frame> {
        let Self::Many(frames) = self else {
            let Self::One(frame) = mem::take(self) else { return None };
            return Some(frame);
        };
        let frame = frames.pop_front();
        if frames.is_empty() {
            workbench.give_back(mem::take(frames));
            *self = Self::Empty;
        }
        frame
    }

    fn first(&self) -> Option<&Frame> {
        match self {
            Self::Empty => None,
            Self::One(frame) => Some(frame),
            Self::Many(frames) => frames.front(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Frame> {
        let (one, many) = match self {
            Self::Empty => (None, None),
            Self::One(frame) => (Some(frame), None),
            Self::Many(frames) => (None, Some(frames)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn detach(&mut self) {
        match self {
            Self::Empty => {}
            Self::One(frame) => *frame = frame.detached(),
            Self::Many(frames) => frames.iter_mut().for_each(|frame| *frame = frame.detached()),
        }
    }
}

impl Workbench {
    /// Joins as many frames as one call takes, without what is out of the first already.
    fn join(&mut self, frames: &VecDeque<Frame>, sent_of_first: usize) -> Portion {
        let mut bytes = 0;
        let fits = |frame: &&Frame| {
            bytes += frame.bytes().len();
            bytes <= JOINED_BYTES_MAX
        };
        let count = frames.iter().take_while(fits).count();
        if count < 2 {
            return Portion::First;
        }
        let start = self.joined.len() + sent_of_first;
        frames.iter().take(count).for_each(|frame| self.joined.extend_from_slice(frame.bytes()));
        Portion::Joined(start..self.joined.len())
    }

    /// Bytes joined since the last [`Workbench::clear`].
    pub fn joined_bytes(&self) -> usize {
        self.joined.len()
    }

    /// Forgets the joined bytes: the calls they were for are made.
    pub fn clear(&mut self) {
        self.joined.clear();
    }

    fn give_back(&mut self, list: VecDeque<Frame>) {
        if self.spare_lists.len() < SPARE_LISTS_MAX && list.capacity() <= SPARE_LIST_FRAMES_MAX {
            self.spare_lists.push(list);
        }
    }
}

#[cfg(test)]
mod tests;
