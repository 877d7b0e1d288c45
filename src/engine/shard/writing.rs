//! The end of a turn: what it brought is offered to the followers, and everybody who was touched is written to.

use super::Shard;
use super::marks::Mark;
use crate::engine::connection::{Connection, ConnectionId, Outlet, Phase, SENDS_PER_BATCH_MAX, Send, Socket};
use crate::engine::frame::{Content, Frame};
use crate::engine::outbound::{Offer, Portion, Workbench};
use arrayvec::ArrayVec;
use bytes::Bytes;
use slotmap::SlotMap;
use std::io;
use std::mem;
use std::ops::Range;

/// Messages for one group that go out as one frame, in bytes: what one kernel call takes.
const BUNDLE_BYTES_MAX: usize = 64 * 1024;

/// Joined bytes of one batch: those of four full calls, so that they are still in the second-level cache when sent.
const JOINED_BYTES_PER_BATCH_MAX: usize = 256 * 1024;

pub(super) type Portions = Vec<(ConnectionId, Portion)>;

/// What a turn has changed for connections.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Those to be written to at its end; each at most once.
    pub(super) touched: Vec<ConnectionId>,
    /// Frames for those who are late or whose queue was full: the ladder decides about them, in their order.
    pub(super) declined: Vec<(ConnectionId, Frame)>,
    pub(super) workbench: Workbench,
    /// What goes into the sends of a batch.
    pub(super) portions: Portions,
    /// What became of them.
    pub(super) taken: Vec<io::Result<usize>>,
    /// What may wait for one client.
    pub(super) outbound_bytes_max: usize,
}

impl<S: Socket> Shard<S> {
    /// Offers what the turn has brought, judges those whose queue was full, then writes to everybody who was touched:
    /// one kernel call each, in batches.
    pub fn end_turn(&mut self, outlet: &mut impl Outlet<S>) {
        self.distribute();
        self.judge();
        let mut next = 0;
        let mut portions = mem::take(&mut self.turn.portions);
        while next < self.turn.touched.len() {
            self.prepare_batch(&mut next, &mut portions);
            self.send_batch(&portions, outlet);
            self.settle_batch(&portions);
        }
        self.turn.portions = portions;
        self.turn.touched.clear();
        self.show_backlog();
    }

    /// Offers everything that was delivered to those who follow its topic *now*: who comes or goes does so behind it.
    pub(super) fn distribute(&mut self) {
        let bundle_bytes_max = BUNDLE_BYTES_MAX.min(self.limits.outbound_bytes_max / 4);
        let mut place = 0;
        while let Some(mark) = self.marks.take(place) {
            let group = self.subscriptions.group(mark.topic, mark.group);
            group.mark = None;
            for bundle in bundles(&mark.sealed, bundle_bytes_max) {
                let frame = Frame::bundle(&mark.sealed[bundle.clone()], Content::Events(mark.topic, self.now));
                let own = mark.own_in(&bundle);
                // Who leaves does so behind everything that was delivered: publishers are still here.
                for &(_, publisher) in own {
                    self.connections[publisher].outbound.is_publisher = true;
                }
                for &id in &group.members {
                    let connection = &mut self.connections[id];
                    if !connection.outbound.is_publisher {
                        self.turn.offer(id, connection, &frame);
                    }
                }
                self.metrics.frames_offered.add(u64::from(frame.count()) * group.members.len() as u64);
                if !own.is_empty() {
                    let own = self.turn.offer_to_publishers(&mut self.connections, &mark, bundle, frame.content());
                    self.metrics.frames_offered.subtract(own);
                }
            }
            self.marks.give_back(place, mark);
            place += 1;
        }
        self.marks.clear();
        self.settle_declined();
    }

    /// Takes as many of the touched as one batch holds; afterwards their portions lie ready.
    fn prepare_batch(&mut self, next: &mut usize, portions: &mut Portions) {
        portions.clear();
        self.turn.workbench.clear();
        while portions.len() < SENDS_PER_BATCH_MAX
            && self.turn.workbench.joined_bytes() < JOINED_BYTES_PER_BATCH_MAX
            && let Some(&id) = self.turn.touched.get(*next)
        {
            *next += 1;
            let Some(connection) = self.connections.get_mut(id) else { continue };
            let was_late = connection.outbound.is_late();
            if was_late {
                self.ladder.catch_up(connection, self.now, &mut self.turn.workbench);
            }
            match connection.outbound.prepare(&mut self.turn.workbench) {
                Some(portion) => portions.push((id, portion)),
                None => self.settle(id, was_late, 0),
            }
        }
    }

    fn send_batch(&mut self, portions: &Portions, outlet: &mut impl Outlet<S>) {
        let send = |(id, portion): &(ConnectionId, Portion)| {
            let connection = &self.connections[*id];
            Send { socket: &connection.socket, bytes: connection.outbound.bytes(portion, &self.turn.workbench) }
        };
        let sends: ArrayVec<Send<'_, S>, SENDS_PER_BATCH_MAX> = portions.iter().map(send).collect();
        self.metrics.kernel_sends.add(sends.len() as u64);
        outlet.send(&sends, &mut self.turn.taken);
        assert_eq!(self.turn.taken.len(), portions.len(), "an outlet says of every send what became of it");
    }

    fn settle_batch(&mut self, portions: &Portions) {
        let mut taken = mem::take(&mut self.turn.taken);
        for ((id, portion), taken) in portions.iter().zip(taken.drain(..)) {
            self.sent(*id, portion, taken);
        }
        self.turn.taken = taken;
    }

    fn sent(&mut self, id: ConnectionId, portion: &Portion, taken: io::Result<usize>) {
        let outbound = &mut self.connections[id].outbound;
        let was_late = outbound.is_late();
        let offered = outbound.bytes(portion, &self.turn.workbench).len();
        let Ok(sent) = outbound.sent(offered, taken, &mut self.turn.workbench) else { return self.hung_up(id) };
        self.metrics.frames_out.add(sent.frames);
        self.metrics.bytes_out.add(sent.bytes);
        if outbound.wants_more() {
            self.turn.touched.push(id);
        }
        self.settle(id, was_late, sent.bytes);
    }

    /// Follows what a kernel call changed: who is late is watched, whose close is out ends the stream.
    fn settle(&mut self, id: ConnectionId, was_late: bool, taken: u64) {
        let connection = &mut self.connections[id];
        if was_late || connection.outbound.is_late() {
            self.ladder.settle(id, connection, was_late, taken, self.now);
        }
        if let Phase::Closing { until } = connection.phase
            && connection.outbound.is_empty()
        {
            connection.phase = Phase::Lingering { until };
            connection.socket.finish();
        }
    }
}

impl Turn {
    pub(super) fn offer<S>(&mut self, id: ConnectionId, connection: &mut Connection<S>, frame: &Frame) {
        match connection.outbound.offer(frame, self.outbound_bytes_max, &mut self.workbench) {
            Offer::Declined => self.declined.push((id, frame.clone())),
            offer => self.note(id, offer),
        }
    }

    /// Those who have published something of a bundle get the rest of it, frame by frame. Says how many frames are left
    /// out by that.
    fn offer_to_publishers<S>(
        &mut self,
        connections: &mut SlotMap<ConnectionId, Connection<S>>,
        mark: &Mark,
        bundle: Range<usize>,
        content: Content,
    ) -> u64 {
        let frame = |sealed: &Bytes| Frame::new(sealed.clone(), content);
        let frames: Vec<Frame> = mark.sealed[bundle.clone()].iter().map(frame).collect();
        let (own, mut left_out) = (mark.own_in(&bundle), 0);
        for &(_, publisher) in own {
            let connection = &mut connections[publisher];
            let has_its_turn = mem::take(&mut connection.outbound.is_publisher);
            if !has_its_turn || !connection.follows(mark.topic) {
                continue;
            }
            for (index, frame) in bundle.clone().zip(&frames) {
                if own.binary_search(&(index, publisher)).is_err() {
                    self.offer(publisher, connection, frame);
                } else {
                    left_out += 1;
                }
            }
        }
        left_out
    }

    pub(super) fn note(&mut self, id: ConnectionId, offer: Offer) {
        if offer == Offer::First {
            self.touched.push(id);
        }
    }
}

/// Cuts messages into runs of at most `bytes_max`; a longer message stands alone.
fn bundles(sealed: &[Bytes], bytes_max: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &sealed[start..];
        let mut bytes = 0;
        let fits = |message: &&Bytes| {
            bytes += message.len();
            bytes <= bytes_max
        };
        let end = start + rest.iter().take_while(fits).count().max(1).min(rest.len());
        let bundle = start..end;
        start = end;
        (!bundle.is_empty()).then_some(bundle)
    })
}
