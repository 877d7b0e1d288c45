//! What clients send: bytes, frames, messages, and what their protocols want done about them.

use super::Shard;
use super::waiting::Waiting;
use crate::engine::close::{Close, CloseCode};
use crate::engine::connection::{ConnectionId, Phase, Socket};
use crate::engine::frame::Frame;
use crate::engine::mesh::Publication;
use crate::engine::protocol::{Action, Actions, ClientMessage, Pace};
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
        connection.heartbeat.heard(self.now);
        let mut decoder = mem::take(&mut connection.decoder);
        let mut input = Input::new(bytes);
        while self.connections.get(id).is_some_and(|connection| connection.phase == Phase::Open) {
            match decoder.next(&mut input, self.limits.client_message_bytes_max) {
                Ok(Some(event)) => self.handle(id, event),
                Ok(None) => break,
                Err(violation) => self.close(id, CloseCode::of_number(violation.close_code()), violation.reason()),
            }
        }
        if let Some(connection) = self.connections.get_mut(id) {
            connection.decoder = decoder;
        }
    }

    pub(super) fn handle(&mut self, id: ConnectionId, event: Event<'_>) {
        if let Event::Close(close) = event {
            return self.answer_close(id, close.map(|close| close.code));
        }
        if !self.may_send(id) {
            return self.close(id, CloseCode::Policy, Close::TOO_FAST.reason);
        }
        match event {
            Event::Text(text) => self.hear(id, ClientMessage::Text(text)),
            Event::Binary(bytes) => self.hear(id, ClientMessage::Binary(bytes)),
            Event::Ping(payload) => {
                let offer =
                    self.connections[id].outbound.send_pong(Frame::new(frame::pong(payload)), &mut self.workbench);
                self.note(id, offer);
            }
            Event::Pong(_) | Event::Close(_) => {}
        }
    }

    pub(super) fn hear(&mut self, id: ConnectionId, message: ClientMessage<'_>) {
        self.metrics.client_messages.add(1);
        let mut actions = mem::take(&mut self.actions);
        self.connections[id].protocol.received(message, &mut actions);
        self.carry_out(id, actions);
    }

    pub(super) fn may_send(&mut self, id: ConnectionId) -> bool {
        let rate = self.limits.client_messages_per_second;
        let connection = &mut self.connections[id];
        rate == 0 || connection.protocol.pace() == Pace::Free || connection.allowance.spend(self.now, rate)
    }

    pub(super) fn carry_out(&mut self, id: ConnectionId, mut actions: Actions) {
        for action in actions.drain(..) {
            if self.connections[id].phase != Phase::Open {
                // Nothing follows a close.
                break;
            }
            match action {
                Action::Subscribe(topic) => self.expect(&topic, Waiting::Subscription(id)),
                Action::Unsubscribe(topic) => self.unsubscribe(id, &topic),
                Action::Send(sealed) => self.send(id, sealed),
                Action::Publish { topic, payload } => {
                    self.outgoing.publications.push(Publication { topic, payload, ticket: None });
                }
                Action::Close(close) => self.close(id, close.code, close.reason),
            }
        }
        self.actions = actions;
    }

    pub(super) fn send(&mut self, id: ConnectionId, sealed: Bytes) {
        let frame = Frame::new(sealed);
        let outbound = &mut self.connections[id].outbound;
        let offer = outbound.offer(&frame, self.limits.outbound_bytes_max, &mut self.workbench);
        self.note(id, offer);
    }
}
