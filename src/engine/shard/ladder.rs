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

use super::Shard;
use super::writing::Turn;
use crate::ear::Tick;
use crate::engine::connection::{Connection, ConnectionId, Phase, Socket, Watch};
use crate::engine::frame::{Content, Frame};
use crate::engine::outbound::Outbound;
use crate::engine::protocol::{Notice, SlowPolicy};
use crate::engine::topic::TopicKey;
use crate::metrics::{Drop, Slowness};
use crate::wire::close::{Close, CloseCode};
use std::time::Duration;

/// How often the books are balanced for those who read metrics.
const BALANCED_EVERY: Duration = Duration::from_secs(1);

impl Turn {
    /// Offers a frame to somebody who is late, or whose queue is full.
    #[cold]
    pub(super) fn offer_slow<S>(&mut self, id: ConnectionId, connection: &mut Connection<S>, frame: &Frame) {
        let policy = connection.protocol.slow_policy();
        let outbound = &mut connection.outbound;
        let frame = match frame.content() {
            Content::Events(topic, _) if policy == SlowPolicy::Latest => self.replace(outbound, topic, frame),
            _ => frame.detached(),
        };
        if policy != SlowPolicy::Close {
            let dropped = outbound.make_room(&frame, self.outbound_bytes_max, &mut self.workbench);
            self.metrics.dropped(Drop::Oldest).add(dropped);
        }
        if !outbound.has_overflowed && outbound.has_room(&frame, self.outbound_bytes_max) {
            let offer = outbound.send_last(frame, &mut self.workbench);
            self.note(id, offer);
        } else {
            self.refuse(outbound, &frame, policy);
        }
        if !outbound.is_late() || outbound.has_overflowed {
            self.full.push(id);
        }
        self.backlog.waits(id, connection.outbound.unsent_bytes());
    }

    /// Makes way for the newest event of a topic, which it returns.
    fn replace(&mut self, outbound: &mut Outbound, topic: TopicKey, frame: &Frame) -> Frame {
        let newest = frame.newest();
        let older = frame.count() - newest.count();
        outbound.miss(older);
        let waiting = outbound.drop_topic(Some(topic), &mut self.workbench);
        self.metrics.dropped(Drop::Replaced).add(u64::from(older) + waiting);
        newest
    }

    /// There is no room: an event is missed, or the client is closed.
    fn refuse(&mut self, outbound: &mut Outbound, frame: &Frame, policy: SlowPolicy) {
        outbound.miss(frame.count());
        let count = frame.count().into();
        if policy != SlowPolicy::Close && matches!(frame.content(), Content::Events(..)) {
            return self.metrics.dropped(Drop::Oldest).add(count);
        }
        self.metrics.dropped(Drop::SlowConsumer).add(count);
        outbound.has_overflowed = true;
    }

    /// Before somebody who was late is written to: what has grown too old is skipped, and what is missing is said where
    /// it is missing, to those who asked for news.
    #[cold]
    pub(super) fn catch_up<S>(&mut self, connection: &mut Connection<S>, now: Tick) {
        let outbound = &mut connection.outbound;
        if outbound.has_overflowed {
            // It ends for another cause: what was refused is behind what it still gets.
            return;
        }
        if let Some(lifetime) = self.event_lifetime {
            let expired = outbound.drop_expired(now, lifetime, &mut self.workbench);
            self.metrics.dropped(Drop::Expired).add(expired);
        }
        let missed = outbound.take_missed(&mut self.workbench);
        if missed > 0
            && let Some(notice) = connection.protocol.notice(&Notice::Missed(missed))
        {
            outbound.send_first(Frame::new(notice, Content::Gap(missed)), &mut self.workbench);
        }
    }

    /// A kernel call left somebody late, or late no longer; its socket has taken so many bytes.
    #[cold]
    pub(super) fn settle_late<S: Socket>(
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
        self.backlog.waits(id, connection.outbound.unsent_bytes());
    }
}

impl<S: Socket> Shard<S> {
    /// Closes those whose queues were full, tells those who keep up what they missed all the same, and lets the largest
    /// queues go if the shard's share of memory is used up.
    pub(super) fn judge(&mut self) {
        while let Some(id) = self.turn.full.pop() {
            if self.connections.get(id).is_some_and(|connection| connection.outbound.has_overflowed) {
                self.close_slow(id, Slowness::QueueFull, Close::SLOW);
            }
            if let Some(connection) = self.connections.get_mut(id).filter(|connection| !connection.outbound.is_late()) {
                self.turn.catch_up(connection, self.now);
            }
        }
        if self.turn.backlog.bytes() > self.limits.outbound_total_bytes_max {
            for id in self.turn.backlog.largest_beyond(self.limits.outbound_total_bytes_max) {
                self.shed(id);
            }
        }
    }

    /// Makes a large queue small.
    fn shed(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id];
        if connection.phase == Phase::Open && connection.protocol.slow_policy() == SlowPolicy::Close {
            return self.close_slow(id, Slowness::OverBudget, Close::OVER_BUDGET);
        }
        let dropped = connection.outbound.drop_topic(None, &mut self.turn.workbench);
        self.turn.backlog.waits(id, connection.outbound.unsent_bytes());
        self.metrics.dropped(Drop::MemoryBudget).add(dropped);
    }

    /// Ends a connection instead of what waits for it; how much that was is said in front of the close.
    fn close_slow(&mut self, id: ConnectionId, slowness: Slowness, close: Close) {
        if self.is_open(id) {
            self.metrics.slow(slowness).add(1);
            let dropped = self.discard(id, slowness.drop());
            let outbound = &mut self.connections[id].outbound;
            outbound.miss(dropped);
            outbound.has_overflowed = false;
            self.close(id, close.code, close.reason);
        }
    }

    /// Gives up those whose sockets have taken nothing for too long. They would not take a close frame either.
    pub(super) fn give_up_stalled(&mut self) {
        for id in self.turn.backlog.stalled(self.now, self.limits.write_timeout) {
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
        let queued = self.turn.backlog.ids().map(|id| u64::from(self.connections[id].outbound.unsent_frames())).sum();
        self.metrics.frames_queued.set(queued);
        let dropped: u64 = Drop::OF_FRAMES.iter().map(|&reason| self.metrics.dropped(reason).get()).sum();
        let accounted = self.metrics.frames_out.get().wrapping_add(queued).wrapping_add(dropped);
        self.metrics.frames_offered.get().wrapping_sub(accounted).cast_signed()
    }

    /// Bytes that wait for late clients, counted anew: what the simulation holds the backlog's sum against.
    #[cfg(test)]
    pub fn late_bytes(&self) -> u64 {
        let waits =
            |connection: &Connection<S>| connection.outbound.is_late().then(|| connection.outbound.unsent_bytes());
        self.connections.values().filter_map(waits).sum::<usize>() as u64
    }

    /// Shows what waits, and now and then whether the books balance.
    pub(super) fn show_backlog(&mut self) {
        self.metrics.late.set(self.turn.backlog.ids().len() as u64);
        self.metrics.bytes_queued.set(self.turn.backlog.bytes() as u64);
        if self.now >= self.turn.balanced_again {
            self.turn.balanced_again = self.now.after(BALANCED_EVERY);
            self.metrics.ledger_difference.set(self.balance().cast_unsigned());
        }
    }
}
