//! The frames one connection has not received yet.
//!
//! An empty queue owns no heap memory, one frame lies in the connection, more lie in a list that is borrowed from the
//! shard and given back when the queue is empty: in the steady state nothing is allocated per client and message.
//!
//! A kernel call has three steps, so that the calls of many connections can be made together:
//! [`Outbound::prepare`] says what goes into it, [`Outbound::bytes`] are those bytes, [`Outbound::sent`] is what became
//! of it.

use super::frame::Frame;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ops::Range;

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
    /// The queue is full; the frame was not taken.
    Full,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    /// Nobody: there is nothing to send.
    Nothing,
    /// The end of this turn.
    TurnEnd,
    /// The socket has to take bytes again: the connection is late.
    Writability,
    /// The end of this turn, for a late connection whose socket takes bytes again.
    Retry,
}

/// A connection's outbound queue.
#[derive(Debug)]
pub struct Outbound {
    queue: Queue,
    /// A ping or pong for a late client: passes everything but a frame that is partly out.
    urgent: Option<Frame>,
    unsent_bytes: usize,
    /// Bytes of the first frame that the kernel has taken already.
    sent_of_first: usize,
    awaiting: Awaiting,
    /// The first in the queue is not a frame: it is the answer to the upgrade request.
    has_preface: bool,
    /// A frame was refused: whatever follows it is refused too, however short, so that nobody sees a hole.
    has_overflowed: bool,
    /// The client has published something of the bundle that is being offered and does not get that as a whole. Stands
    /// here, where there is room: in the connection it would take 8 bytes of each.
    pub is_publisher: bool,
}

#[derive(Debug)]
enum Queue {
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

impl Default for Outbound {
    fn default() -> Self {
        Self {
            queue: Queue::Empty,
            urgent: None,
            unsent_bytes: 0,
            sent_of_first: 0,
            awaiting: Awaiting::Nothing,
            has_preface: false,
            has_overflowed: false,
            is_publisher: false,
        }
    }
}

impl Outbound {
    /// Takes a frame unless `bytes_max` would be exceeded by it. An empty queue takes any one frame, however large.
    pub fn offer(&mut self, frame: &Frame, bytes_max: usize, workbench: &mut Workbench) -> Offer {
        let frame_bytes = frame.bytes().len();
        // The answer to the upgrade request is not what a client could have read already.
        let waits = self.unsent_bytes > 0 && !(self.has_preface && self.queue.len() == 1);
        let is_over = waits && self.unsent_bytes + frame_bytes > bytes_max;
        if is_over || self.has_overflowed {
            self.has_overflowed = true;
            return Offer::Full;
        }
        self.unsent_bytes += frame_bytes;
        let frame = if self.is_late() { frame.detached() } else { frame.clone() };
        self.queue.push(frame, workbench);
        self.touch()
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
        debug_assert_eq!(self.unsent_bytes, 0, "nothing goes out before the handshake is answered");
        self.has_preface = true;
        self.send_last(response, workbench)
    }

    /// Puts a frame behind everything, over the limit if need be: for what ends a conversation.
    pub fn send_last(&mut self, last: Frame, workbench: &mut Workbench) -> Offer {
        self.unsent_bytes += last.bytes().len();
        self.queue.push(last, workbench);
        self.touch()
    }

    /// Drops every frame of which nothing is out yet and returns how many those were. The answer to the upgrade request
    /// stays: without it nothing that follows could be read.
    pub fn discard(&mut self, workbench: &mut Workbench) -> u64 {
        let first_stays = self.sent_of_first > 0 || self.has_preface;
        let first = first_stays.then(|| self.queue.pop(workbench)).flatten();
        let mut discarded = 0;
        while let Some(frame) = self.queue.pop(workbench) {
            discarded += frame.count();
        }
        self.urgent = None;
        self.unsent_bytes = 0;
        if let Some(first) = first {
            self.unsent_bytes = first.bytes().len() - self.sent_of_first;
            self.queue = Queue::One(first);
        }
        discarded
    }

    /// What the next kernel call is to be given; `None` where nothing waits. Follow it with [`Outbound::sent`].
    pub fn prepare(&mut self, workbench: &mut Workbench) -> Option<Portion> {
        self.admit_urgent(workbench);
        match &self.queue {
            Queue::Empty => {
                self.awaiting = Awaiting::Nothing;
                None
            }
            Queue::One(_) => Some(Portion::First),
            Queue::Many(frames) => Some(workbench.join(frames, self.sent_of_first)),
        }
    }

    /// The bytes of a portion that was just prepared.
    pub fn bytes<'a>(&'a self, portion: &Portion, workbench: &'a Workbench) -> &'a [u8] {
        match portion {
            Portion::First => &self.queue.first().expect("a portion was prepared").bytes()[self.sent_of_first..],
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
        } else if self.unsent_bytes == 0 {
            self.awaiting = Awaiting::Nothing;
        }
        Ok(Sent { frames, bytes: taken as u64 })
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

    /// Bytes the kernel has not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    fn touch(&mut self) -> Offer {
        if self.awaiting == Awaiting::Nothing {
            self.awaiting = Awaiting::TurnEnd;
            return Offer::First;
        }
        Offer::Queued
    }

    fn admit_urgent(&mut self, workbench: &mut Workbench) {
        if let Some(control) = self.urgent.take() {
            self.unsent_bytes += control.bytes().len();
            let behind_partly_out = usize::from(self.sent_of_first > 0);
            self.queue.insert(behind_partly_out, control, workbench);
        }
    }

    /// Takes `bytes` off the front; returns how many frames are wholly out by that.
    fn advance(&mut self, bytes: usize, workbench: &mut Workbench) -> u64 {
        debug_assert!(bytes <= self.unsent_bytes, "a socket takes what it is given");
        self.unsent_bytes -= bytes;
        let mut frames = 0;
        let mut out = self.sent_of_first + bytes;
        while let Some(first) = self.queue.first()
            && out >= first.bytes().len()
        {
            out -= first.bytes().len();
            frames += if mem::take(&mut self.has_preface) { 0 } else { first.count() };
            self.queue.pop(workbench);
        }
        self.sent_of_first = out;
        frames
    }

    fn become_late(&mut self) {
        self.awaiting = Awaiting::Writability;
        self.queue.iter_mut().for_each(|frame| *frame = frame.detached());
    }
}

impl Queue {
    fn push(&mut self, frame: Frame, workbench: &mut Workbench) {
        match self {
            Self::Empty => *self = Self::One(frame),
            Self::One(_) => {
                let frames = self.widen(workbench);
                frames.push_back(frame);
            }
            Self::Many(frames) => frames.push_back(frame),
        }
    }

    fn insert(&mut self, index: usize, frame: Frame, workbench: &mut Workbench) {
        if let Self::Empty = self {
            return self.push(frame, workbench);
        }
        self.widen(workbench).insert(index, frame);
    }

    /// Makes this a list, whatever it was.
    fn widen(&mut self, workbench: &mut Workbench) -> &mut VecDeque<Frame> {
        if !matches!(self, Self::Many(_)) {
            let mut frames = workbench.spare_lists.pop().unwrap_or_default();
            if let Self::One(first) = mem::replace(self, Self::Empty) {
                frames.push_back(first);
            }
            *self = Self::Many(frames);
        }
        let Self::Many(frames) = self else { unreachable!("made so above") };
        frames
    }

    fn pop(&mut self, workbench: &mut Workbench) -> Option<Frame> {
        match self {
            Self::Empty => None,
            Self::One(_) => {
                let Self::One(frame) = mem::replace(self, Self::Empty) else { unreachable!("matched above") };
                Some(frame)
            }
            Self::Many(frames) => {
                let frame = frames.pop_front();
                if frames.is_empty() {
                    workbench.give_back(mem::take(frames));
                    *self = Self::Empty;
                }
                frame
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(frames) => frames.len(),
        }
    }

    fn first(&self) -> Option<&Frame> {
        match self {
            Self::Empty => None,
            Self::One(frame) => Some(frame),
            Self::Many(frames) => frames.front(),
        }
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Frame> {
        let (one, many) = match self {
            Self::Empty => (None, None),
            Self::One(frame) => (Some(frame), None),
            Self::Many(frames) => (None, Some(frames)),
        };
        one.into_iter().chain(many.into_iter().flatten())
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
mod tests {
    use super::*;
    use bytes::Bytes;

    /// Takes so many bytes per call, or refuses at 0; records everything.
    struct Trickle {
        room: VecDeque<usize>,
        taken: Vec<u8>,
    }

    impl Trickle {
        fn new(room: impl Into<VecDeque<usize>>) -> Self {
            Self { room: room.into(), taken: Vec::new() }
        }

        fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.pop_front().unwrap_or(usize::MAX).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&bytes[..room]);
            Ok(room)
        }

        /// The end of a turn, and what it sent: frames, bytes, calls.
        fn flush(&mut self, outbound: &mut Outbound, workbench: &mut Workbench) -> (u64, u64, usize) {
            let mut total = (0, 0, 0);
            outbound.retry();
            while outbound.wants_more() {
                let Some(portion) = outbound.prepare(workbench) else { break };
                let bytes = outbound.bytes(&portion, workbench);
                let (offered, taken) = (bytes.len(), self.take(bytes));
                workbench.clear();
                let sent = outbound.sent(offered, taken, workbench).expect("no failure");
                total = (total.0 + sent.frames, total.1 + sent.bytes, total.2 + 1);
            }
            total
        }
    }

    fn frame(bytes: &[u8]) -> Frame {
        Frame::new(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn every_byte_goes_out_in_order_however_the_socket_takes_them() {
        let mut random = fastrand::Rng::with_seed(11);
        for round in 0..500 {
            let mut workbench = Workbench::default();
            let mut outbound = Outbound::default();
            let mut socket = Trickle::new([]);
            let mut expected = Vec::new();
            let mut frames = 0;
            for number in 0..random.u64(1..200) {
                let bytes = vec![u8::try_from(number).expect("below 200"); random.usize(1..2_000)];
                expected.extend_from_slice(&bytes);
                assert_ne!(outbound.offer(&frame(&bytes), usize::MAX, &mut workbench), Offer::Full);
                if random.u8(..4) == 0 {
                    socket.room.extend((0..random.usize(..3)).map(|_| random.usize(..3_000)));
                    frames += socket.flush(&mut outbound, &mut workbench).0;
                    socket.room.clear();
                }
            }
            frames += socket.flush(&mut outbound, &mut workbench).0;
            assert_eq!(socket.taken, expected, "round {round}");
            assert_eq!((outbound.unsent_bytes(), outbound.is_late()), (0, false));
            assert!(frames > 0);
        }
    }

    #[test]
    fn a_full_queue_refuses_before_it_grows_but_an_empty_one_takes_any_frame() {
        let mut workbench = Workbench::default();
        let mut outbound = Outbound::default();
        assert_eq!(outbound.offer(&frame(&[0; 100]), 10, &mut workbench), Offer::First);
        assert_eq!(outbound.offer(&frame(&[0; 1]), 10, &mut workbench), Offer::Full);
        assert_eq!(outbound.unsent_bytes(), 100);
        let mut outbound = Outbound::default();
        for expected in [Offer::First, Offer::Queued, Offer::Full] {
            assert_eq!(outbound.offer(&frame(&[0; 4]), 10, &mut workbench), expected);
        }
        assert_eq!(outbound.offer(&frame(&[0; 1]), 10, &mut workbench), Offer::Full, "no hole behind what was refused");
    }

    #[test]
    fn a_pong_passes_what_waits_but_never_cuts_a_frame_in_two() {
        let mut workbench = Workbench::default();
        let mut outbound = Outbound::default();
        outbound.offer(&frame(b"first"), usize::MAX, &mut workbench);
        outbound.offer(&frame(b"second"), usize::MAX, &mut workbench);
        let mut socket = Trickle::new([2]);
        socket.flush(&mut outbound, &mut workbench);
        assert!(outbound.is_late());
        outbound.send_ping(frame(b"<old>"), &mut workbench);
        outbound.send_pong(frame(b"<pong>"), &mut workbench);
        socket.flush(&mut outbound, &mut workbench);
        assert_eq!(socket.taken, b"first<pong>second");
    }

    #[test]
    fn discarding_keeps_the_frame_that_is_partly_out() {
        let mut workbench = Workbench::default();
        let mut outbound = Outbound::default();
        for bytes in [b"one", b"two", b"six"] {
            outbound.offer(&frame(bytes), usize::MAX, &mut workbench);
        }
        let mut socket = Trickle::new([1]);
        socket.flush(&mut outbound, &mut workbench);
        assert_eq!(outbound.discard(&mut workbench), 2);
        outbound.send_last(frame(b"<close>"), &mut workbench);
        socket.flush(&mut outbound, &mut workbench);
        assert_eq!(socket.taken, b"one<close>");
    }

    #[test]
    fn the_answer_to_the_upgrade_is_never_dropped_and_never_fills_the_queue() {
        let mut workbench = Workbench::default();
        let mut outbound = Outbound::default();
        outbound.send_preface(frame(b"HTTP/1.1 101\r\n\r\n"), &mut workbench);
        assert_eq!(outbound.offer(&frame(b"larger than the limit"), 10, &mut workbench), Offer::Queued);
        assert_eq!(outbound.discard(&mut workbench), 1);
        outbound.send_last(frame(b"<close>"), &mut workbench);
        let mut socket = Trickle::new([]);
        let flushed = socket.flush(&mut outbound, &mut workbench);
        assert_eq!((socket.taken.as_slice(), flushed.0), (b"HTTP/1.1 101\r\n\r\n<close>".as_slice(), 1));
    }

    #[test]
    fn one_turn_costs_one_kernel_call() {
        let mut workbench = Workbench::default();
        for frames in [1, 2, 40, JOINED_BYTES_MAX / 300] {
            let mut outbound = Outbound::default();
            for _ in 0..frames {
                outbound.offer(&frame(&[7; 300]), usize::MAX, &mut workbench);
            }
            let mut socket = Trickle::new([]);
            let flushed = socket.flush(&mut outbound, &mut workbench);
            assert_eq!(flushed, (frames as u64, 300 * frames as u64, 1));
        }
    }
}
