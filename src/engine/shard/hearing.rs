//! What clients send: bytes, frames, messages, and what their protocols want done about them.

use super::Shard;
use crate::ear::Verdict;
use crate::engine::connection::{ConnectionId, Phase, Socket};
use crate::engine::frame::{Content, Frame};
use crate::engine::protocol::{Action, Actions, ClientMessage, Pace, Protocol, PublishError};
use crate::engine::publication::{Asker, Publication, Ticket};
use crate::engine::topic::Topic;
use crate::wire::close::{Close, CloseCode};
use crate::wire::frame;
use crate::wire::ws::{Event, Input};
use bytes::Bytes;
use std::io;
use std::mem;

impl<S: Socket> Shard<S> {
    /// The socket has bytes, or its end: reads once, into the shard's scratch buffer.
    pub fn readable(&mut self, id: ConnectionId, scratch: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.socket.read(scratch) {
            Ok(0) => self.hung_up(id),
            Ok(bytes) => self.received(id, &mut scratch[..bytes]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.hung_up(id),
        }
    }

    /// Bytes from the client: frames, whole or not.
    pub fn received(&mut self, id: ConnectionId, bytes: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let mut decoder = mem::take(&mut connection.decoder);
        let (mut input, mut is_heard) = (Input::new(bytes), false);
        while self.is_open(id) {
            match decoder.next(&mut input, self.limits.client_message_bytes_max) {
                Ok(Some(event)) => {
                    is_heard = true;
                    self.handle(id, event);
                }
                Ok(None) => break,
                Err(violation) => self.close(id, CloseCode::of_number(violation.close_code()), violation.reason()),
            }
        }
        if let Some(connection) = self.connections.get_mut(id) {
            connection.decoder = decoder;
            // Half a frame is no sign of life: who drips bytes into one for ever answers no ping.
            if is_heard {
                connection.heartbeat.heard(self.now);
            }
        }
    }

    /// Whether the client may say one more thing; who may not is told so, or closed.
    fn admit(&mut self, id: ConnectionId) -> bool {
        match self.meter(id) {
            Verdict::Allowed => return true,
            Verdict::TooFast => self.refuse(id),
            Verdict::Incorrigible => self.close(id, CloseCode::Policy, Close::TOO_FAST.reason),
        }
        false
    }

    fn handle(&mut self, id: ConnectionId, event: Event<'_>) {
        if let Event::Close(close) = event {
            return self.answer_close(id, close.map(|close| close.code));
        }
        if !self.admit(id) {
            return;
        }
        match event {
            Event::Text(text) => self.hear(id, ClientMessage::Text(text)),
            Event::Binary(bytes) => self.hear(id, ClientMessage::Binary(bytes)),
            Event::Ping(payload) => {
                let pong = Frame::new(frame::pong(payload), Content::Control);
                let offer = self.connections[id].outbound.send_pong(pong, &mut self.turn.workbench);
                self.turn.note(id, offer);
            }
            Event::Part | Event::Pong(_) | Event::Close(_) => {}
        }
    }

    fn hear(&mut self, id: ConnectionId, message: ClientMessage<'_>) {
        self.metrics.client_messages.add(1);
        self.consult(id, |protocol, actions| protocol.received(message, actions));
    }

    fn meter(&mut self, id: ConnectionId) -> Verdict {
        let rate = self.limits.client_messages_per_second;
        let connection = &mut self.connections[id];
        let pace = connection.protocol.pace();
        if rate == 0 || pace == Pace::Free {
            return Verdict::Allowed;
        }
        match connection.allowance.spend(self.now, rate) {
            Verdict::TooFast if pace == Pace::Limited => Verdict::Incorrigible,
            verdict => verdict,
        }
    }

    fn refuse(&mut self, id: ConnectionId) {
        self.metrics.client_messages_refused.add(1);
        self.consult(id, |protocol, actions| protocol.refused(actions));
    }

    /// A publication of this connection has failed.
    pub fn unpublished(&mut self, id: ConnectionId, topic: &Topic, error: PublishError) {
        self.consult(id, |protocol, actions| protocol.unpublished(topic, error, actions));
    }

    pub(super) fn is_open(&self, id: ConnectionId) -> bool {
        self.connections.get(id).is_some_and(|connection| connection.phase == Phase::Open)
    }

    /// Tells a protocol something and does what it wants done; who is about to leave wants nothing any more.
    pub(super) fn consult(&mut self, id: ConnectionId, tell: impl FnOnce(&mut dyn Protocol, &mut Actions)) {
        if self.is_open(id) {
            let mut actions = mem::take(&mut self.actions);
            tell(&mut *self.connections[id].protocol, &mut actions);
            self.carry_out(id, actions);
        }
    }

    fn carry_out(&mut self, id: ConnectionId, mut actions: Actions) {
        for action in actions.drain(..) {
            if self.connections[id].phase != Phase::Open {
                // Nothing follows a close.
                break;
            }
            match action {
                Action::Subscribe(topic) => self.subscribe(id, &topic),
                Action::Unsubscribe(topic) => self.unsubscribe(id, &topic),
                Action::Send(sealed) => self.send(id, sealed),
                Action::Publish { topic, payload } => self.publish(id, topic, payload),
                Action::Close(close) => self.close(id, close.code, close.reason),
            }
        }
        self.actions = actions;
    }

    fn publish(&mut self, id: ConnectionId, topic: Topic, payload: Bytes) {
        let ticket = Ticket { node: self.node, asker: Asker::Connection(id, topic.clone()) };
        self.outgoing.publications.push(Publication { topic, payload, ticket: Some(ticket) });
    }

    pub(super) fn send(&mut self, id: ConnectionId, sealed: Bytes) {
        self.metrics.frames_offered.add(1);
        self.turn.offer(id, &mut self.connections[id], &Frame::new(sealed, Content::Words));
        self.settle_declined();
    }
}
