//! The connection that subscribes: it reads as fast as the shards take messages, and waits for nothing else.

use super::Redis;
use crate::brokers::duplex::{Duplex, Event};
use crate::brokers::link::{Link, LinkError, QUIET_PERIOD, QUIET_PERIODS_MAX};
use crate::brokers::outbox::Outbox;
use crate::brokers::receive_buffer::ReceiveBuffer;
use crate::brokers::seal::{self, Losses};
use crate::config::RedisAddress;
use crate::engine::message::Message;
use crate::engine::protocol::Notice;
use crate::engine::router::Router;
use crate::metrics::{BrokerStatus, Drop};
use crate::wire::frame::SealedRange;
use crate::wire::resp::command;
use crate::wire::resp::push::{self, Heard, NotResp, Push};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// What one read takes: about 200 events. Frames are slices of it, so it is also what one late frame keeps alive.
const CHUNK_BYTES: usize = 64 * 1024;

/// Commands that wait to be written: `AUTH`, the subscriptions and three pings are far below it.
const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// Takes events in.
pub(super) struct Subscriber {
    link: Link,
    address: RedisAddress,
    patterns: Vec<String>,
    event_bytes_max: usize,
    status: Arc<BrokerStatus>,
    router: Rc<Router>,
    losses: Losses,
    /// Patterns confirmed on the connection that is open.
    confirmed: usize,
    /// Whether all patterns have ever been confirmed: from then on, every reconnect is a gap.
    has_subscribed: bool,
    /// Events of one batch, sealed in the buffer and not cut out yet.
    sealed: Vec<(Range<usize>, SealedRange)>,
}

impl Subscriber {
    pub(super) fn new(redis: Redis, router: Rc<Router>) -> Self {
        let Redis { address, patterns, event_bytes_max, status } = redis;
        Self {
            link: Link::new(router.ear.clone(), address.host.clone(), address.port, "subscribing"),
            address,
            patterns,
            event_bytes_max,
            status,
            losses: Losses::new(Rc::clone(&router)),
            router,
            confirmed: 0,
            has_subscribed: false,
            sealed: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let cause = match self.connect().await {
                Ok((duplex, outbox)) => self.listen(duplex, &outbox).await,
                Err(cause) => cause,
            };
            self.status.set_connected(false);
            self.link.pause(&cause).await;
        }
    }

    /// Dials, and writes everything there is to say but pings.
    async fn connect(&mut self) -> Result<(Duplex, Rc<Outbox>), LinkError> {
        let stream = self.link.dial().await?;
        let outbox = Rc::new(Outbox::new(COMMAND_BYTES_MAX));
        outbox.offer(|out| {
            super::write_auth(&self.address, out);
            let words = [b"PSUBSCRIBE".as_slice()].into_iter().chain(self.patterns.iter().map(String::as_bytes));
            command::encode(out, &words.collect::<Vec<_>>());
        });
        self.confirmed = 0;
        let duplex = Duplex::new(&self.router.ear, stream, Rc::clone(&outbox), CHUNK_BYTES)?;
        Ok((duplex.with_silence(QUIET_PERIOD), outbox))
    }

    /// Takes events in until the connection ends; says why it did.
    async fn listen(&mut self, mut duplex: Duplex, outbox: &Outbox) -> LinkError {
        let (mut quiet_periods, mut needed_bytes) = (0, 0);
        loop {
            match duplex.receive().await {
                Event::Received => quiet_periods = 0,
                Event::Quiet if quiet_periods + 1 < QUIET_PERIODS_MAX => {
                    quiet_periods += 1;
                    outbox.offer(|out| command::encode(out, &[b"PING"]));
                    continue;
                }
                Event::Quiet | Event::Cut => return LinkError::Silent,
                Event::Closed => return LinkError::Closed,
                Event::Broken(error) => return error.into(),
            }
            if duplex.buffer.received().len() < needed_bytes {
                duplex.pause_if_due().await;
                continue;
            }
            match self.take_batch(&mut duplex.buffer) {
                Ok(needed) => needed_bytes = needed,
                Err(cause) => return cause,
            }
            self.router.settle().await;
            duplex.pause_if_due().await;
        }
    }

    /// Routes every whole event of the buffer; says how many bytes the next one needs. What stands in front of an error
    /// is routed all the same.
    fn take_batch(&mut self, buffer: &mut ReceiveBuffer) -> Result<usize, LinkError> {
        self.router.take_control();
        let mut end = 0;
        let received_bytes = buffer.received().len();
        let outcome = self.hear_all(buffer.received(), &mut end);
        let chunk = buffer.take(end.min(received_bytes));
        buffer.pass_over(end.saturating_sub(received_bytes));
        for (channel, sealed) in self.sealed.drain(..) {
            let topic = self.router.topic(chunk.slice(channel));
            self.router.route(Message::sealed(topic, sealed.cut(&chunk)));
        }
        outcome
    }

    /// Every whole push of the buffer; `end` follows behind the last one, and may pass the end of what was received.
    fn hear_all(&mut self, received: &mut [u8], end: &mut usize) -> Result<usize, LinkError> {
        while *end < received.len() {
            match push::decode(&received[*end..], self.event_bytes_max)? {
                Heard::Part { needed_bytes } => return Ok(needed_bytes),
                Heard::Whole { push, bytes } => {
                    self.hear(push, received, *end)?;
                    *end += bytes;
                }
            }
        }
        Ok(0)
    }

    /// One push, which begins at `start`.
    fn hear(&mut self, push: Push, received: &mut [u8], start: usize) -> Result<(), LinkError> {
        let in_buffer = |range: Range<usize>| range.start + start..range.end + start;
        match push {
            Push::Message { channel, payload } => {
                let (channel, payload) = (in_buffer(channel), in_buffer(payload));
                match seal::in_place(received, payload.clone(), self.event_bytes_max) {
                    Ok(sealed) => self.sealed.push((channel, sealed)),
                    Err(reason) => self.losses.note(reason, &received[channel], payload.len()),
                }
            }
            Push::Oversized { channel, payload_bytes } => {
                self.losses.note(Drop::EventTooBig, &received[in_buffer(channel)], payload_bytes);
            }
            Push::Subscribed { name, .. } => self.note_confirmed(&received[in_buffer(name)]),
            Push::Error(words) => return Err(LinkError::of_reply(&received[in_buffer(words)])),
            Push::Pong | Push::Simple(_) | Push::Integer(_) | Push::Unasked => {}
        }
        Ok(())
    }

    fn note_confirmed(&mut self, pattern: &[u8]) {
        self.confirmed += 1;
        tracing::info!(pattern = %pattern.escape_ascii(), "subscription confirmed");
        if self.confirmed != self.patterns.len() {
            return;
        }
        self.link.note_established("subscribed");
        self.status.set_connected(true);
        if self.has_subscribed {
            self.status.reconnects.add(1);
            self.router.notify(Notice::SourceReconnected);
        }
        self.has_subscribed = true;
    }
}

impl From<NotResp> for LinkError {
    fn from(NotResp: NotResp) -> Self {
        Self::NotResp
    }
}
