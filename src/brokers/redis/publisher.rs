//! The connection that publishes: commands are pipelined, each is answered, nothing is kept for later.

use super::Redis;
use super::canary::Canary;
use crate::brokers::duplex::{Duplex, Event};
use crate::brokers::link::{Link, LinkError, QUIET_PERIOD, QUIET_PERIODS_MAX};
use crate::brokers::outbox::Outbox;
use crate::brokers::seldom::Seldom;
use crate::config::RedisAddress;
use crate::engine::protocol::PublishError;
use crate::engine::publication::{Publication, Ticket};
use crate::router::{Publications, Router};
use crate::wire::resp::command;
use crate::wire::resp::push::{self, Heard, Push};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Publications that may be under way. At a round trip of 1 ms this allows a million a second; the next ones wait with
/// the router, which refuses what is beyond its own limit.
const IN_FLIGHT_MAX: usize = 1024;

/// While so many bytes wait for the socket, no publication is added.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// A command beside its event: a channel of any length a publisher here may ask for, and the lengths.
const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// Answers are a few bytes each.
const CHUNK_BYTES: usize = 4 * 1024;

/// How often refusals are mentioned in the log.
const MENTION_PERIOD: Duration = Duration::from_secs(10);

/// Keeps the connection, and answers what was asked on it.
pub(crate) struct Publisher {
    link: Link,
    address: RedisAddress,
    pipeline: Rc<Pipeline>,
}

/// What is under way to Redis.
pub(super) struct Pipeline {
    router: Rc<Router>,
    /// What is published to prove that it comes back.
    pub(super) canary: Canary,
    outbox_bytes: usize,
    /// Where commands go while the connection is up.
    outbox: RefCell<Option<Rc<Outbox>>>,
    /// What the next replies answer, in order.
    in_flight: RefCell<VecDeque<Asked>>,
    /// Whom to wake when there is room again.
    waker: Cell<Option<Waker>>,
    refusals: Seldom,
}

/// A command that has not been answered.
enum Asked {
    Authentication,
    Life,
    Publication(Option<Ticket>),
    /// With its stamp.
    Canary(u64),
}

impl Publisher {
    /// One for the events of this instance and for `canary`.
    pub(super) fn new(redis: &Redis, router: Rc<Router>, canary: Canary) -> Self {
        let (address, event_bytes_max) = (redis.address.clone(), redis.event_bytes_max);
        let link = Link::new(router.ear.clone(), address.host.clone(), address.port, "publishing");
        let pipeline = Pipeline {
            router,
            canary,
            // Twice what can ever wait, so that answers are always read: see `Outbox::is_calm`.
            outbox_bytes: 2 * (WAITING_BYTES_MAX + event_bytes_max + COMMAND_BYTES_MAX),
            outbox: RefCell::default(),
            in_flight: RefCell::default(),
            waker: Cell::default(),
            refusals: Seldom::every(MENTION_PERIOD),
        };
        Self { link, address, pipeline: Rc::new(pipeline) }
    }

    /// What is under way, for the connection that subscribes.
    pub(super) fn pipeline(&self) -> Rc<Pipeline> {
        Rc::clone(&self.pipeline)
    }

    /// Publishes until there are no more publications.
    pub(super) async fn run(self, publications: Publications) {
        let pipeline = Rc::clone(&self.pipeline);
        let canaries = pipeline.router.ear.spawn(send_canaries(Rc::clone(&pipeline)));
        let connection = pipeline.router.ear.spawn(self.keep_connected());
        while let Some(publication) = publications.next().await {
            pipeline.room().await;
            pipeline.submit(publication);
        }
        connection.cancel().await;
        canaries.cancel().await;
    }

    async fn keep_connected(mut self) {
        loop {
            let cause = self.serve_connection().await;
            self.pipeline.abandon();
            self.link.pause(&cause).await;
        }
    }

    /// One connection from its beginning to its end; says why it ended.
    async fn serve_connection(&mut self) -> LinkError {
        let (mut duplex, outbox) = match self.connect().await {
            Ok(connected) => connected,
            Err(cause) => return cause,
        };
        let mut quiet_periods = 0;
        loop {
            match duplex.receive().await {
                Event::Received => quiet_periods = 0,
                Event::Quiet if quiet_periods + 1 < QUIET_PERIODS_MAX => {
                    quiet_periods += 1;
                    self.pipeline.ask_for_life(&outbox);
                    continue;
                }
                Event::Quiet => return LinkError::Silent,
                Event::Cut => return LinkError::Unheard,
                Event::Closed => return LinkError::Closed,
                Event::Broken(error) => return error.into(),
            }
            if let Err(cause) = self.take_answers(&mut duplex, &outbox) {
                return cause;
            }
            duplex.pause_if_due().await;
        }
    }

    async fn connect(&mut self) -> Result<(Duplex, Rc<Outbox>), LinkError> {
        let stream = self.link.dial().await?;
        let outbox = Rc::new(Outbox::new(self.pipeline.outbox_bytes));
        outbox.offer(|out| {
            if super::write_auth(&self.address, out) {
                self.pipeline.in_flight.borrow_mut().push_back(Asked::Authentication);
            }
        });
        self.pipeline.ask_for_life(&outbox);
        let duplex = Duplex::new(&self.pipeline.router.ear, stream, Rc::clone(&outbox), CHUNK_BYTES)?;
        Ok((duplex.with_silence(QUIET_PERIOD), outbox))
    }

    fn take_answers(&mut self, duplex: &mut Duplex, outbox: &Rc<Outbox>) -> Result<(), LinkError> {
        while let Heard::Whole { push, bytes } = push::decode(duplex.buffer.received(), 0)? {
            if bytes > duplex.buffer.received().len() {
                // An event, and one that is longer than any answer.
                return Err(LinkError::NotResp);
            }
            let answer = duplex.buffer.take(bytes);
            let asked = self.pipeline.in_flight.borrow_mut().pop_front().ok_or(LinkError::NotResp)?;
            match (asked, push) {
                (Asked::Publication(ticket), Push::Integer(receivers)) => {
                    let receivers = u64::try_from(receivers).map_err(|_| LinkError::NotResp)?;
                    self.pipeline.router.answer(ticket, Ok(receivers));
                }
                (Asked::Publication(ticket), Push::Error(words)) => self.pipeline.refuse(ticket, &answer[words]),
                (Asked::Canary(stamp), Push::Integer(_)) => self.pipeline.canary.note_answered(stamp, Instant::now()),
                (Asked::Canary(_), Push::Error(words)) => self.pipeline.refuse_canary(&answer[words]),
                (Asked::Life, Push::Pong) => self.note_alive(outbox),
                (Asked::Authentication, Push::Simple(_)) => {}
                (Asked::Authentication | Asked::Life, Push::Error(words)) => {
                    return Err(LinkError::of_reply(&answer[words]));
                }
                _ => return Err(LinkError::NotResp),
            }
        }
        self.pipeline.wake();
        Ok(())
    }

    /// The first pong proves that commands are served.
    fn note_alive(&mut self, outbox: &Rc<Outbox>) {
        if self.pipeline.outbox.borrow().is_none() {
            self.link.note_established("ready to publish");
            self.pipeline.outbox.replace(Some(Rc::clone(outbox)));
            self.pipeline.canary.note_publisher();
            self.pipeline.send_canary();
        }
    }
}

impl Pipeline {
    /// Waits for room, if the connection is up: where it is away, answers are at once.
    async fn room(&self) {
        poll_fn(|context| {
            let is_full = self.outbox.borrow().as_ref().is_some_and(|outbox| {
                self.in_flight.borrow().len() >= IN_FLIGHT_MAX || outbox.waiting_bytes() > WAITING_BYTES_MAX
            });
            if !is_full {
                return Poll::Ready(());
            }
            self.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn submit(&self, publication: Publication) {
        let Publication { topic, payload, ticket } = publication;
        let outbox = self.outbox.borrow();
        let Some(outbox) = &*outbox else {
            return self.router.answer(ticket, Err(PublishError::Unavailable));
        };
        self.in_flight.borrow_mut().push_back(Asked::Publication(ticket));
        outbox.offer(|out| command::encode(out, &[b"PUBLISH", topic.name(), &payload]));
    }

    /// Publishes a stamp, if the connections are there that it takes.
    pub(super) fn send_canary(&self) {
        let outbox = self.outbox.borrow();
        let Some(outbox) = &*outbox else { return };
        if let Some(stamp) = self.canary.publish(outbox, Instant::now()) {
            self.in_flight.borrow_mut().push_back(Asked::Canary(stamp));
        }
    }

    /// Gives the connection up: what it publishes does not come back.
    pub(super) fn cut(&self) {
        if let Some(outbox) = &*self.outbox.borrow() {
            outbox.cut();
        }
    }

    fn ask_for_life(&self, outbox: &Outbox) {
        self.in_flight.borrow_mut().push_back(Asked::Life);
        outbox.offer(|out| command::encode(out, &[b"PING"]));
    }

    fn refuse(&self, ticket: Option<Ticket>, words: &[u8]) {
        if let Some(unmentioned) = self.refusals.pass(Instant::now()) {
            let cause = LinkError::of_reply(words);
            tracing::error!(%cause, unmentioned, "Redis refused an event");
        }
        self.router.answer(ticket, Err(PublishError::Refused));
    }

    /// Whatever else Redis may have against it: it is not heard then, and the server is not ready.
    fn refuse_canary(&self, words: &[u8]) {
        let now = Instant::now();
        match LinkError::of_reply(words) {
            LinkError::Forbidden(_) => self.canary.note_unpublishable(words, now),
            cause => {
                if let Some(unmentioned) = self.refusals.pass(now) {
                    tracing::error!(%cause, unmentioned, "Redis refused the canary");
                }
            }
        }
    }

    /// The connection is lost: whether what was under way got there is unknown, so it counts as not published.
    fn abandon(&self) {
        self.outbox.replace(None);
        for asked in self.in_flight.take() {
            if let Asked::Publication(ticket) = asked {
                self.router.answer(ticket, Err(PublishError::Unavailable));
            }
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

async fn send_canaries(pipeline: Rc<Pipeline>) {
    loop {
        let pause = pipeline.canary.look(Instant::now());
        pipeline.send_canary();
        pipeline.router.ear.sleep(pause).await;
    }
}
