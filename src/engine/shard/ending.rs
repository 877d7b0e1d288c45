//! How connections end: answered, closed, silent, drained or broken.

use super::Shard;
use crate::ear::{Beat, TICK};
use crate::engine::connection::{ConnectionId, Following, Phase, Socket, Subscription};
use crate::engine::frame::{Content, Frame};
use crate::engine::protocol::{Notice, Seat};
use crate::metrics::{Drop, milliseconds};
use crate::wire::close::{Close, CloseCode};
use crate::wire::frame;
use bytes::Bytes;
use std::mem;
use std::time::Duration;

/// How long a client gets to end its side after a close: as long as a slow mobile round trip, shorter than a drain.
const LINGER: Duration = Duration::from_secs(2);

impl<S: Socket> Shard<S> {
    /// Begins to close every connection with 1012, each at a moment of its own. The last two seconds of `window`, at most
    /// half of it, are for what still waits for those who are closed last; what is left then is dropped.
    pub fn drain(&mut self, window: Duration) {
        let spread = window.saturating_sub(LINGER).max(window / 2);
        self.drain_ends = Some(self.now.after(window));
        self.distribute();
        for id in self.connections.keys().collect::<Vec<_>>() {
            let pause = spread.mul_f64(fastrand::f64());
            let reconnect_after_ms = milliseconds(pause);
            self.tell(id, &Notice::Draining { reconnect_after_ms });
            self.departures.insert(self.now.after(pause), id);
        }
    }

    /// The client wants to end: its close is answered with the same code (RFC 6455 §5.5.1).
    pub(super) fn answer_close(&mut self, id: ConnectionId, code: Option<u16>) {
        self.part(id, code.map_or(CloseCode::NoStatus, CloseCode::of_number));
        self.discard(id, Drop::ConnectionClosed);
        self.say_goodbye(id, frame::close(code, ""));
    }

    /// Ends a connection behind what it is still to get.
    pub fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        if self.is_open(id) {
            self.part(id, code);
            self.say_goodbye(id, frame::close(Some(code.number()), reason));
        }
    }

    pub(super) fn say_goodbye(&mut self, id: ConnectionId, close_frame: Bytes) {
        let linger = self.now.after(LINGER);
        // However late it is in a drain, the close is written before its connection is given up.
        let until = self.drain_ends.map_or(linger, |ends| ends.max(self.now.after(TICK)).min(linger));
        self.connections[id].phase = Phase::Closing { until };
        self.send_last(id, Frame::new(close_frame, Content::Control));
        self.timers.insert(until, id);
    }

    pub(super) fn discard(&mut self, id: ConnectionId, reason: Drop) -> u32 {
        let discarded = self.connections[id].outbound.discard(&mut self.turn.workbench);
        self.metrics.dropped(reason).add(discarded.into());
        discarded
    }

    /// The connection stops being one that counts: it follows nothing any more.
    pub(super) fn part(&mut self, id: ConnectionId, code: CloseCode) {
        debug_assert_eq!(self.connections[id].phase, Phase::Open, "a connection ends once");
        self.distribute();
        let topics = mem::take(&mut self.connections[id].topics);
        let mut first = None;
        for Subscription { key, state } in topics {
            // What is expected is given up when its ticket comes back.
            if let Following::InPlace(place) = state {
                let left = self.leave(key, id, place);
                first.get_or_insert(left);
            }
        }
        if let Some(origin) = self.connections[id].protocol.origin() {
            self.publishers.remove(&origin);
        }
        self.metrics.connections.subtract(1);
        self.metrics.ended.add(1);
        self.metrics.closed(code).add(1);
        self.parted.iter_mut().for_each(|parted| parted.push((id, code)));
        let (topic, followers) = first.as_ref().map_or((None, 0), |(topic, left)| (Some(topic), *left));
        self.connections[id].protocol.closed(&Seat { topic, followers }, code);
    }

    /// The stream has ended or broken.
    pub(super) fn hung_up(&mut self, id: ConnectionId) {
        if self.connections[id].phase == Phase::Open {
            self.part(id, CloseCode::Abnormal);
        }
        self.remove(id, Drop::ConnectionClosed);
    }

    /// Lets go of a connection; what its client has not got in full is dropped for this reason.
    pub(super) fn remove(&mut self, id: ConnectionId, reason: Drop) {
        self.discard(id, reason);
        let outbound = &self.connections[id].outbound;
        let out = outbound.frames_out_of_first();
        self.metrics.frames_out.add(out.into());
        self.metrics.dropped(reason).add((outbound.unsent_frames() - out).into());
        self.ladder.backlog.forget(id);
        self.connections.remove(id);
    }

    pub(super) fn fell_due(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        match connection.phase {
            Phase::Open => self.check_pulse(id),
            Phase::Closing { until } | Phase::Lingering { until } if self.now >= until => {
                self.remove(id, Drop::ConnectionClosed);
            }
            Phase::Closing { .. } | Phase::Lingering { .. } => {}
        }
    }

    pub(super) fn check_pulse(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id];
        let beat = connection.heartbeat.beat(self.now, &self.limits.rhythm);
        self.timers.insert(connection.heartbeat.due(&self.limits.rhythm), id);
        match beat {
            Beat::Wait => {}
            Beat::Ping => {
                let ping = Frame::new(frame::ping(), Content::Control);
                let offer = connection.outbound.send_ping(ping, &mut self.turn.workbench);
                self.turn.note(id, offer);
            }
            Beat::Silent => self.close(id, Close::SILENT.code, Close::SILENT.reason),
        }
    }
}
