//! The frames one connection has not received yet.
//!
//! An empty queue owns no heap memory, one frame lies in the connection, more lie in a list that is borrowed from the
//! shard and given back when the queue is empty: in the steady state nothing is allocated per client and message.

use super::frame::Frame;
use arrayvec::ArrayVec;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::mem;

/// Frames that one kernel call takes. Linux allows 1 024 (`IOV_MAX`); 64 keeps the list on the stack and is beyond the
/// point where joining more is cheaper.
const FRAMES_PER_WRITE_MAX: usize = 64;

/// Up to here the frames of one write are copied together, above they are gathered by the kernel: a copy within the
/// first-level cache costs less than one list entry per frame, a larger one does not.
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// Lists kept for the next turn, and the longest kept as it is. As many as a shard may have connections: an event for all
/// of them needs all of these at once. 512 bytes each at most, 16 MiB where 32 768 clients got 64 events in one turn.
const SPARE_LISTS_MAX: usize = 32_768;
const SPARE_LIST_FRAMES_MAX: usize = 64;

/// What became of a frame that was offered to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is the first one of this turn: note the connection, it wants a flush.
    First,
    /// It waits behind others; somebody has noted the connection, or its socket will say when it is writable.
    Queued,
    /// The queue is full; the frame was not taken.
    Full,
}

/// What a flush achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Frames that are now wholly in the kernel's hands.
    pub frames: u64,
    /// Bytes the kernel took.
    pub bytes: u64,
    /// Kernel calls.
    pub calls: u64,
}

/// Who will call [`Outbound::flush`] next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    /// Nobody: there is nothing to send.
    Nothing,
    /// The end of this turn.
    TurnEnd,
    /// The socket, once it takes bytes again: the connection is late.
    Writability,
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
    /// The frames of the last joined write, end to end.
    joined: Vec<u8>,
    /// Which frames those are: the next connection with the same ones is served from the same bytes.
    joined_of: Vec<Frame>,
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
        if self.awaiting == Awaiting::Writability {
            frame.detach();
        }
        self.unsent_bytes += frame_bytes;
        self.queue.push(frame.clone(), workbench);
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
        while self.queue.pop(workbench).is_some() {
            discarded += 1;
        }
        self.urgent = None;
        self.unsent_bytes = 0;
        if let Some(first) = first {
            self.unsent_bytes = first.bytes().len() - self.sent_of_first;
            self.queue = Queue::One(first);
        }
        discarded
    }

    /// Gives the socket as much as it takes: one kernel call for what one turn has brought.
    ///
    /// Returns when everything is out or the socket refuses; afterwards [`Outbound::is_late`] tells which.
    pub fn flush(&mut self, socket: &mut impl Write, workbench: &mut Workbench) -> io::Result<Flushed> {
        let mut flushed = Flushed::default();
        self.admit_urgent(workbench);
        while self.unsent_bytes > 0 {
            let offered = self.next_write();
            flushed.calls += 1;
            let taken = match self.write(offered, socket, workbench) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            flushed.bytes += taken as u64;
            flushed.frames += self.advance(taken, workbench);
            if taken < offered.bytes {
                self.become_late();
                return Ok(flushed);
            }
        }
        self.awaiting = Awaiting::Nothing;
        Ok(flushed)
    }

    /// Whether frames wait for the socket to take bytes again.
    pub fn is_late(&self) -> bool {
        self.awaiting == Awaiting::Writability
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

    /// What goes into the next kernel call.
    fn next_write(&self) -> Batch {
        let mut next = Batch { frames: 0, bytes: 0 };
        for frame in self.queue.iter().take(FRAMES_PER_WRITE_MAX) {
            next.frames += 1;
            next.bytes += frame.bytes().len();
        }
        next.bytes -= self.sent_of_first;
        next
    }

    fn write(&self, next: Batch, socket: &mut impl Write, workbench: &mut Workbench) -> io::Result<usize> {
        match &self.queue {
            Queue::Empty => unreachable!("bytes are unsent"),
            Queue::One(frame) => socket.write(&frame.bytes()[self.sent_of_first..]),
            Queue::Many(frames) if next.frames == 1 => socket.write(&frames[0].bytes()[self.sent_of_first..]),
            Queue::Many(frames) if next.bytes + self.sent_of_first <= JOINED_BYTES_MAX => {
                socket.write(&workbench.join(frames, next.frames)[self.sent_of_first..])
            }
            Queue::Many(frames) => self.write_gathered(frames, socket),
        }
    }

    fn write_gathered(&self, frames: &VecDeque<Frame>, socket: &mut impl Write) -> io::Result<usize> {
        let guards: ArrayVec<_, FRAMES_PER_WRITE_MAX> =
            frames.iter().take(FRAMES_PER_WRITE_MAX).map(Frame::bytes).collect();
        let mut slices: ArrayVec<_, FRAMES_PER_WRITE_MAX> = guards.iter().map(|bytes| IoSlice::new(bytes)).collect();
        slices[0].advance(self.sent_of_first);
        socket.write_vectored(&slices)
    }

    /// Takes `bytes` off the front; returns how many frames are wholly out by that.
    fn advance(&mut self, bytes: usize, workbench: &mut Workbench) -> u64 {
        debug_assert!(bytes <= self.unsent_bytes, "a socket takes what it is given");
        self.unsent_bytes -= bytes;
        let mut frames = 0;
        let mut out = self.sent_of_first + bytes;
        while let Some(first_bytes) = self.queue.first().map(|frame| frame.bytes().len()) {
            if out < first_bytes {
                break;
            }
            out -= first_bytes;
            frames += u64::from(!mem::take(&mut self.has_preface));
            self.queue.pop(workbench);
        }
        self.sent_of_first = out;
        frames
    }

    fn become_late(&mut self) {
        self.awaiting = Awaiting::Writability;
        self.queue.iter().for_each(Frame::detach);
    }
}

/// What goes into one kernel call.
#[derive(Clone, Copy)]
struct Batch {
    frames: usize,
    bytes: usize,
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
        self.iter().next()
    }

    fn iter(&self) -> impl Iterator<Item = &Frame> {
        let (one, many) = match self {
            Self::Empty => (None, None),
            Self::One(frame) => (Some(frame), None),
            Self::Many(frames) => (None, Some(frames)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

impl Workbench {
    /// The first `count` frames end to end; joined anew only if the last call was for other frames.
    fn join(&mut self, frames: &VecDeque<Frame>, count: usize) -> &[u8] {
        let is_joined = self.joined_of.len() == count
            && self.joined_of.iter().zip(frames).all(|(joined, frame)| joined.is_same(frame));
        if !is_joined {
            self.joined.clear();
            self.joined_of.clear();
            for frame in frames.iter().take(count) {
                self.joined.extend_from_slice(&frame.bytes());
                self.joined_of.push(frame.clone());
            }
        }
        &self.joined
    }

    /// Lets go of the frames of the last joined write: once per turn.
    pub fn clear(&mut self) {
        self.joined_of.clear();
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

    impl Write for Trickle {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.pop_front().unwrap_or(usize::MAX).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let joined: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.write(&joined)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
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
            let mut socket = Trickle { room: VecDeque::new(), taken: Vec::new() };
            let mut expected = Vec::new();
            let mut frames = 0;
            for number in 0..random.u64(1..200) {
                let bytes = vec![u8::try_from(number).expect("below 200"); random.usize(1..2_000)];
                expected.extend_from_slice(&bytes);
                assert_ne!(outbound.offer(&frame(&bytes), usize::MAX, &mut workbench), Offer::Full);
                if random.u8(..4) == 0 {
                    socket.room.extend((0..random.usize(..3)).map(|_| random.usize(..3_000)));
                    frames += outbound.flush(&mut socket, &mut workbench).expect("no failure").frames;
                    socket.room.clear();
                }
            }
            frames += outbound.flush(&mut socket, &mut workbench).expect("no failure").frames;
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
        let mut socket = Trickle { room: [2].into(), taken: Vec::new() };
        outbound.flush(&mut socket, &mut workbench).expect("no failure");
        assert!(outbound.is_late());
        outbound.send_ping(frame(b"<old>"), &mut workbench);
        outbound.send_pong(frame(b"<pong>"), &mut workbench);
        outbound.flush(&mut socket, &mut workbench).expect("no failure");
        assert_eq!(socket.taken, b"first<pong>second");
    }

    #[test]
    fn discarding_keeps_the_frame_that_is_partly_out() {
        let mut workbench = Workbench::default();
        let mut outbound = Outbound::default();
        for bytes in [b"one", b"two", b"six"] {
            outbound.offer(&frame(bytes), usize::MAX, &mut workbench);
        }
        let mut socket = Trickle { room: [1].into(), taken: Vec::new() };
        outbound.flush(&mut socket, &mut workbench).expect("no failure");
        assert_eq!(outbound.discard(&mut workbench), 2);
        outbound.send_last(frame(b"<close>"), &mut workbench);
        outbound.flush(&mut socket, &mut workbench).expect("no failure");
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
        let mut socket = Trickle { room: VecDeque::new(), taken: Vec::new() };
        let flushed = outbound.flush(&mut socket, &mut workbench).expect("no failure");
        assert_eq!((socket.taken.as_slice(), flushed.frames), (b"HTTP/1.1 101\r\n\r\n<close>".as_slice(), 1));
    }

    #[test]
    fn one_turn_costs_one_kernel_call() {
        let mut workbench = Workbench::default();
        for frames in [1, 2, 40, FRAMES_PER_WRITE_MAX] {
            let mut outbound = Outbound::default();
            for _ in 0..frames {
                outbound.offer(&frame(&[7; 300]), usize::MAX, &mut workbench);
            }
            let mut socket = Trickle { room: VecDeque::new(), taken: Vec::new() };
            let flushed = outbound.flush(&mut socket, &mut workbench).expect("no failure");
            assert_eq!(flushed, Flushed { frames: frames as u64, bytes: 300 * frames as u64, calls: 1 });
        }
    }
}
