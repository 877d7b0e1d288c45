//! The connection that subscribes: it reads as fast as the shards take messages, and waits for nothing else.

use super::Redis;
use super::canary::{Canary, News};
use super::publisher::Pipeline;
use super::subscriptions::{Answer, Subscriptions};
use crate::brokers::duplex::{Duplex, Event};
use crate::brokers::link::{Link, LinkError, QUIET_PERIOD, QUIET_PERIODS_MAX};
use crate::brokers::outbox::Outbox;
use crate::brokers::receive_buffer::ReceiveBuffer;
use crate::brokers::seal::{self, Losses};
use crate::config::RedisAddress;
use crate::engine::message::Message;
use crate::engine::protocol::Notice;
use crate::metrics::{BrokerStatus, Drop};
use crate::router::Router;
use crate::wire::frame::SealedRange;
use crate::wire::resp::command;
use crate::wire::resp::push::{self, Heard, NotResp, Push};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// What one read takes: about 200 events. Frames are slices of it, so it is also what one late frame keeps alive.
const CHUNK_BYTES: usize = 64 * 1024;

/// Commands that wait to be written: `AUTH`, the patterns and three pings are far below it. Channels are asked for in
/// pieces that leave more than half of it.
const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// Takes events in.
pub(crate) struct Subscriber {
    link: Link,
    address: RedisAddress,
    subscriptions: Subscriptions,
    event_bytes_max: usize,
    status: Arc<BrokerStatus>,
    router: Rc<Router>,
    /// Where the canary comes from.
    pipeline: Rc<Pipeline>,
    losses: Losses,
    /// Events of one batch, sealed in the buffer and not cut out yet.
    sealed: Vec<(Range<usize>, SealedRange)>,
}

/// Why the rest of a batch is not heard now.
enum Interruption {
    /// What stands in front of an answer is routed before the answer takes effect.
    Answer(Answer),
    /// The same of the canary.
    Canary(News),
    /// The connection is of no more use.
    End(LinkError),
}

impl Subscriber {
    pub(super) fn new(redis: Redis, router: Rc<Router>, pipeline: Rc<Pipeline>) -> Self {
        let Redis { address, subscribing, event_bytes_max, status } = redis;
        Self {
            link: Link::new(router.ear.clone(), address.host.clone(), address.port, "subscribing"),
            address,
            subscriptions: Subscriptions::new(subscribing, &router),
            event_bytes_max,
            status,
            losses: Losses::new(Rc::clone(&router)),
            router,
            pipeline,
            sealed: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        self.subscriptions.leave_in_time(&self.router.ear);
        loop {
            let cause = match self.connect().await {
                Ok((duplex, outbox)) => self.listen(duplex, &outbox).await,
                Err(cause) => cause,
            };
            self.close();
            self.router.settle().await;
            self.link.pause(&cause).await;
        }
    }

    /// Dials, and asks for everything.
    async fn connect(&mut self) -> Result<(Duplex, Rc<Outbox>), LinkError> {
        let stream = self.link.dial().await?;
        let outbox = Rc::new(Outbox::new(COMMAND_BYTES_MAX));
        let duplex = Duplex::new(&self.router.ear, stream, Rc::clone(&outbox), CHUNK_BYTES)?;
        self.open(&outbox);
        Ok((duplex.with_silence(QUIET_PERIOD), outbox))
    }

    /// A connection is there: writes everything there is to say but pings.
    pub(crate) fn open(&mut self, outbox: &Rc<Outbox>) {
        outbox.offer(|out| _ = super::write_auth(&self.address, out));
        self.pipeline.canary.open(outbox);
        self.subscriptions.open(outbox);
    }

    /// The connection is lost. [`Router::settle`] rings for those who do not wait any longer.
    pub(crate) fn close(&mut self) {
        self.status.set_connected(false);
        self.pipeline.canary.close();
        self.subscriptions.close(&self.router);
    }

    /// Leaves what has lingered for long enough.
    #[cfg(test)]
    pub(crate) fn leave(&self) {
        self.subscriptions.leave(Instant::now());
    }

    /// Takes events in until the connection ends; says why it did.
    async fn listen(&mut self, mut duplex: Duplex, outbox: &Outbox) -> LinkError {
        let (mut quiet_periods, mut needed_bytes) = (0, 0);
        loop {
            match duplex.receive().await {
                Event::Received => quiet_periods = 0,
                Event::Quiet if quiet_periods + 1 < QUIET_PERIODS_MAX => {
                    quiet_periods += 1;
                    if self.pipeline.canary.is_missed(Instant::now()) {
                        return self.give_up();
                    }
                    if !self.subscriptions.is_opening() {
                        outbox.offer(|out| command::encode(out, &[b"PING"]));
                    }
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
            // What has been sent here and not been read yet may hold it.
            if duplex.is_drained() && self.pipeline.canary.is_missed(Instant::now()) {
                return self.give_up();
            }
            duplex.pause_if_due().await;
        }
    }

    /// What is published does not arrive. Which of the two connections is to blame is unknown, so both are made again.
    fn give_up(&self) -> LinkError {
        self.pipeline.cut();
        LinkError::Unheard
    }

    /// Routes every whole event of the buffer; says how many bytes the next one needs. What stands in front of an error
    /// is routed all the same.
    pub(crate) fn take_batch(&mut self, buffer: &mut ReceiveBuffer) -> Result<usize, LinkError> {
        self.router.take_control();
        loop {
            let mut end = 0;
            let received_bytes = buffer.received().len();
            let outcome = self.hear_all(buffer.received(), &mut end);
            let chunk = buffer.take(end.min(received_bytes));
            buffer.pass_over(end.saturating_sub(received_bytes));
            for (channel, sealed) in self.sealed.drain(..) {
                let topic = self.router.topic(chunk.slice(channel));
                self.router.route(Message::sealed(topic, sealed.cut(&chunk)));
            }
            match outcome {
                Ok(needed_bytes) => return Ok(needed_bytes),
                Err(Interruption::End(cause)) => return Err(cause),
                Err(Interruption::Canary(news)) => self.take_canary(news, &chunk),
                Err(Interruption::Answer(answer)) => {
                    if self.subscriptions.take_answer(answer, &chunk, &self.router) {
                        self.note_in_place();
                    }
                }
            }
        }
    }

    /// Every whole push of the buffer up to the next answer; `end` follows behind the last one, and may pass the end of
    /// what was received.
    fn hear_all(&mut self, received: &mut [u8], end: &mut usize) -> Result<usize, Interruption> {
        while *end < received.len() {
            match push::decode(&received[*end..], self.event_bytes_max)? {
                Heard::Part { needed_bytes } => return Ok(needed_bytes),
                Heard::Whole { push, bytes } => {
                    let start = *end;
                    *end += bytes;
                    self.hear(push, received, start)?;
                }
            }
        }
        Ok(0)
    }

    /// One push, which begins at `start`.
    fn hear(&mut self, push: Push, received: &mut [u8], start: usize) -> Result<(), Interruption> {
        let in_buffer = |range: Range<usize>| range.start + start..range.end + start;
        let canary = &self.pipeline.canary;
        match push {
            Push::Message { channel, payload } if Canary::is_any(&received[in_buffer(channel.clone())]) => {
                // Another instance's, if a pattern brought it.
                let is_own = canary.is_own(&received[in_buffer(channel)]);
                if is_own { Err(Interruption::Canary(News::Heard(in_buffer(payload)))) } else { Ok(()) }
            }
            Push::Message { channel, payload } => {
                let (channel, payload) = (in_buffer(channel), in_buffer(payload));
                match seal::in_place(received, payload.clone(), self.event_bytes_max) {
                    Ok(sealed) => self.sealed.push((channel, sealed)),
                    Err(reason) => self.losses.note(reason, &received[channel], payload.len()),
                }
                Ok(())
            }
            Push::Oversized { channel, payload_bytes } => {
                self.losses.note(Drop::EventTooBig, &received[in_buffer(channel)], payload_bytes);
                Ok(())
            }
            Push::Subscribed { name, .. } if canary.is_own(&received[in_buffer(name.clone())]) => {
                Err(Interruption::Canary(News::Confirmed))
            }
            Push::Subscribed { name, .. } => Err(Interruption::Answer(Answer::Subscribed(in_buffer(name)))),
            Push::Pong => Err(Interruption::Answer(Answer::Pong)),
            Push::Simple(_) | Push::Integer(_) | Push::Unasked => Err(Interruption::Answer(Answer::Other)),
            Push::Error(words) => match LinkError::of_reply(&received[in_buffer(words.clone())]) {
                LinkError::Forbidden(_) if canary.is_asked() => {
                    Err(Interruption::Canary(News::Denied(in_buffer(words))))
                }
                cause => Err(Interruption::End(cause)),
            },
        }
    }

    fn take_canary(&self, news: News, chunk: &[u8]) {
        let is_confirmed = matches!(news, News::Confirmed);
        self.pipeline.canary.take(news, chunk, Instant::now());
        if is_confirmed {
            self.pipeline.send_canary();
        }
    }

    /// All that was asked for is confirmed: events arrive.
    fn note_in_place(&mut self) {
        self.link.note_established("subscribed");
        self.status.set_connected(true);
        self.status.epoch.add(1);
        // Also to those who came before the first time: whoever follows something then has missed what was published.
        self.router.notify(Notice::SourceReconnected);
    }
}

impl From<NotResp> for Interruption {
    fn from(NotResp: NotResp) -> Self {
        Self::End(LinkError::NotResp)
    }
}

impl From<NotResp> for LinkError {
    fn from(NotResp: NotResp) -> Self {
        Self::NotResp
    }
}
