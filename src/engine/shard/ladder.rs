//! The ladder: what becomes of frames for those who read too slowly.
//!
//! ```text
//! a frame does not fit, or its socket refuses bytes
//!   close        it waits; beyond the limit the client is closed with 4001
//!   drop-oldest  it waits; beyond the limit the oldest events go
//!   latest       it replaces the event of its topic that waits; beyond the limit the oldest go
//! beyond the shard's share of memory the largest queues go; who takes nothing for too long is closed
//! ```
//!
//! Only events are dropped. What a protocol says to one client is not; where it does not fit the client is closed.

use super::{Limits, Shard};
use crate::ear::Tick;
use crate::engine::backlog::Backlog;
use crate::engine::connection::{Connection, ConnectionId, Socket, Watch};
use crate::engine::frame::{Content, Frame};
use crate::engine::outbound::{Intake, Offer, Outbound, Workbench};
use crate::engine::protocol::{Notice, SlowPolicy};
use crate::engine::topic::TopicKey;
use crate::metrics::{Drop, NodeMetrics, Slowness};
use crate::wire::close::{Close, CloseCode};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// How often the books are balanced for those who read metrics.
const BALANCED_EVERY: Duration = Duration::from_secs(1);

/// What a shard knows of those who read too slowly, from turn to turn.
#[derive(Debug)]
pub(super) struct Ladder {
    pub(super) backlog: Backlog,
    /// Those who missed frames in this turn though they were not late, and those who are to be closed for it.
    full: Vec<ConnectionId>,
    balanced_again: Tick,
    pub(super) limits: Limits,
    metrics: Arc<NodeMetrics>,
}

impl Ladder {
    pub(super) fn new(limits: Limits, metrics: Arc<NodeMetrics>) -> Self {
        Self { backlog: Backlog::default(), full: Vec::new(), balanced_again: Tick::default(), limits, metrics }
    }

    /// Offers a frame to somebody who is late, or whose queue is full.
    fn offer<S>(
        &mut self,
        id: ConnectionId,
        connection: &mut Connection<S>,
        frame: &Frame,
        workbench: &mut Workbench,
    ) -> Offer {
        let policy = connection.protocol.slow_policy();
        let (outbound, bytes_max) = (&mut connection.outbound, self.limits.outbound_bytes_max);
        let frame = match frame.content() {
            Content::Events(topic, _) if policy == SlowPolicy::Latest => {
                self.replace(outbound, topic, frame, workbench)
            }
            _ => frame.detached(),
        };
        if policy != SlowPolicy::Close {
            let dropped = outbound.make_room(&frame, bytes_max, workbench);
            self.metrics.dropped(Drop::Oldest).add(dropped);
        }
        let offer = if outbound.intake != Intake::Overflowed && outbound.has_room(&frame, bytes_max) {
            outbound.intake = Intake::Open;
            outbound.send_last(frame, workbench)
        } else {
            self.refuse(outbound, &frame, policy, workbench)
        };
        if !outbound.is_late() || outbound.intake == Intake::Overflowed {
            self.full.push(id);
        }
        self.backlog.waits(id, outbound.waiting_bytes());
        offer
    }

    /// Makes way for the newest event of a topic, which it returns.
    fn replace(&mut self, outbound: &mut Outbound, topic: TopicKey, frame: &Frame, workbench: &mut Workbench) -> Frame {
        let newest = frame.newest();
        let older = frame.count() - newest.count();
        outbound.miss(older);
        let waiting = outbound.drop_topic(Some(topic), workbench);
        self.metrics.dropped(Drop::Replaced).add(u64::from(older) + waiting);
        newest
    }

    /// There is no room: an event is missed; or nothing that waits comes any more, and the client is to be closed.
    fn refuse(
        &mut self,
        outbound: &mut Outbound,
        frame: &Frame,
        policy: SlowPolicy,
        workbench: &mut Workbench,
    ) -> Offer {
        let is_event = matches!(frame.content(), Content::Events(..));
        let may_miss = is_event && policy != SlowPolicy::Close && outbound.intake != Intake::Overflowed;
        let mut missed = frame.count();
        outbound.intake = if may_miss { Intake::Open } else { Intake::Overflowed };
        if !may_miss {
            missed += outbound.discard(workbench);
        }
        outbound.miss(missed);
        let reason = if may_miss { Drop::Oldest } else { Drop::SlowConsumer };
        self.metrics.dropped(reason).add(missed.into());
        Offer::Declined
    }

    /// Before somebody who was late is written to: what has grown too old is skipped, and what is missing is said where
    /// it is missing, to those who asked for news.
    #[cold]
    pub(super) fn catch_up<S>(&mut self, connection: &mut Connection<S>, now: Tick, workbench: &mut Workbench) {
        let outbound = &mut connection.outbound;
        if let Some(lifetime) = self.limits.event_lifetime {
            let expired = outbound.drop_expired(now, lifetime, workbench);
            self.metrics.dropped(Drop::Expired).add(expired);
        }
        let missed = outbound.take_missed(workbench);
        if missed > 0
            && let Some(notice) = connection.protocol.notice(&Notice::Missed(missed))
        {
            outbound.send_first(Frame::new(notice, Content::Gap(missed)), workbench);
        }
    }

    /// A kernel call left somebody late, or late no longer; its socket has taken so many bytes.
    #[cold]
    pub(super) fn settle<S: Socket>(
        &mut self,
        id: ConnectionId,
        connection: &mut Connection<S>,
        was_late: bool,
        taken: u64,
        now: Tick,
    ) {
        let is_late = connection.outbound.is_late();
        if is_late != was_late {
            connection.socket.watch(if is_late { Watch::ReadsAndWrites } else { Watch::Reads });
        }
        if !is_late {
            return self.backlog.forget(id);
        }
        if !was_late || taken > 0 {
            self.backlog.progress(id, now);
        }
        self.backlog.waits(id, connection.outbound.waiting_bytes());
    }
}

impl<S: Socket> Shard<S> {
    /// Decides about the frames that were not taken, in their order.
    pub(super) fn settle_declined(&mut self) {
        let mut declined = mem::take(&mut self.turn.declined);
        for (id, frame) in declined.drain(..) {
            let offer = self.ladder.offer(id, &mut self.connections[id], &frame, &mut self.turn.workbench);
            self.turn.note(id, offer);
        }
        self.turn.declined = declined;
    }

    /// Closes those whose queues were full, tells those who keep up what they missed all the same, and lets the largest
    /// queues go if the shard's share of memory is used up.
    pub(super) fn judge(&mut self) {
        while let Some(id) = self.ladder.full.pop() {
            if self.connections.get(id).is_some_and(|connection| connection.outbound.intake == Intake::Overflowed) {
                self.close_slow(id, Slowness::QueueFull, Close::SLOW);
            }
            if let Some(connection) = self.connections.get_mut(id).filter(|connection| !connection.outbound.is_late()) {
                self.ladder.catch_up(connection, self.now, &mut self.turn.workbench);
            }
        }
        if self.ladder.backlog.bytes() > self.limits.outbound_total_bytes_max {
            for id in self.ladder.backlog.largest_beyond(self.limits.outbound_total_bytes_max) {
                self.shed(id);
            }
        }
    }

    /// Makes a large queue small; who has no events that could be missed is closed.
    fn shed(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id];
        let dropped = connection.outbound.drop_topic(None, &mut self.turn.workbench);
        self.ladder.backlog.waits(id, connection.outbound.waiting_bytes());
        self.metrics.dropped(Drop::MemoryBudget).add(dropped);
        if dropped == 0 || connection.protocol.slow_policy() == SlowPolicy::Close {
            self.close_slow(id, Slowness::OverBudget, Close::OVER_BUDGET);
        }
    }

    /// Ends a connection instead of what waits for it; how much that was is said in front of the close.
    fn close_slow(&mut self, id: ConnectionId, slowness: Slowness, close: Close) {
        if self.is_open(id) {
            self.metrics.slow(slowness).add(1);
            let dropped = self.discard(id, slowness.drop());
            self.connections[id].outbound.miss(dropped);
            self.close(id, close.code, close.reason);
        }
    }

    /// Gives up those whose sockets have taken nothing for too long. They would not take a close frame either.
    pub(super) fn give_up_stalled(&mut self) {
        for id in self.ladder.backlog.stalled(self.now, self.limits.write_timeout) {
            if self.is_open(id) {
                self.metrics.slow(Slowness::NoProgress).add(1);
                self.part(id, CloseCode::SlowConsumer);
                self.remove(id, Drop::Stalled);
            }
        }
    }

    /// Frames offered less those delivered, queued and dropped: 0, or frames were lost without a word. Ask between turns:
    /// then whoever has a queue is late.
    pub fn balance(&self) -> i64 {
        let queued = self.queued_frames();
        let dropped: u64 = Drop::OF_FRAMES.iter().map(|&reason| self.metrics.dropped(reason).get()).sum();
        let accounted = self.metrics.frames_out.get().wrapping_add(queued).wrapping_add(dropped);
        self.metrics.frames_offered.get().wrapping_sub(accounted).cast_signed()
    }

    fn queued_frames(&self) -> u64 {
        self.ladder.backlog.ids().map(|id| u64::from(self.connections[id].outbound.unsent_frames())).sum()
    }

    /// Bytes that wait for late clients, counted anew: what the simulation holds the backlog's sum against.
    #[cfg(test)]
    pub fn late_bytes(&self) -> u64 {
        let waits =
            |connection: &Connection<S>| connection.outbound.is_late().then(|| connection.outbound.waiting_bytes());
        self.connections.values().filter_map(waits).sum::<usize>() as u64
    }

    /// Shows what waits, and now and then whether the books balance.
    pub(super) fn show_backlog(&mut self) {
        self.metrics.late.set(self.ladder.backlog.ids().len() as u64);
        self.metrics.bytes_queued.set(self.ladder.backlog.bytes() as u64);
        if self.now >= self.ladder.balanced_again {
            self.ladder.balanced_again = self.now.after(BALANCED_EVERY);
            self.metrics.frames_queued.set(self.queued_frames());
            self.metrics.ledger_difference.set(self.balance().cast_unsigned());
        }
    }
}
