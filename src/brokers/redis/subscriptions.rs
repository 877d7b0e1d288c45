//! What the subscribing connection asks of Redis, and whether all of it is in place.

use super::Subscribing;
use super::channels::Channels;
use crate::brokers::outbox::Outbox;
use crate::ear::Ear;
use crate::router::{Router, Wish};
use crate::wire::resp::command;
use bytes::Bytes;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

/// By patterns or channel by channel.
pub(super) enum Subscriptions {
    /// The same patterns on every connection.
    Patterns {
        /// Redis' globs.
        patterns: Vec<String>,
        /// How many are confirmed on the connection that is open.
        confirmed: usize,
    },
    /// What somebody here follows. The router's watcher holds them too.
    Channels(Rc<RefCell<Channels>>),
}

/// What Redis has answered. The range counts from the start of the chunk that ends with the answer.
pub(super) enum Answer {
    /// A pattern or channel is in place.
    Subscribed(Range<usize>),
    /// It is alive.
    Pong,
    /// Something else was done, a channel left for example.
    Other,
}

impl Subscriptions {
    /// Nothing is asked for before there is a connection. Channel by channel, `router` is watched from here on.
    pub(super) fn new(subscribing: Subscribing, router: &Router) -> Self {
        match subscribing {
            Subscribing::Patterns(patterns) => Self::Patterns { patterns, confirmed: 0 },
            Subscribing::Channels { linger } => {
                let channels = Rc::new(RefCell::new(Channels::new(linger)));
                let watching = Rc::clone(&channels);
                router.watch_interests(move |router, wishes| take(&watching, router, wishes));
                Self::Channels(channels)
            }
        }
    }

    /// Sees to it from now on that channels are left.
    pub(super) fn leave_in_time(&self, ear: &Ear) {
        if let Self::Channels(channels) = self {
            ear.spawn(leave_in_time(Rc::clone(channels), ear.clone())).detach();
        }
    }

    /// Leaves the channels whose linger is over.
    #[cfg(test)]
    pub(super) fn leave(&self, now: Instant) {
        if let Self::Channels(channels) = self {
            channels.borrow_mut().leave(now);
        }
    }

    /// A connection is there: asks for everything.
    pub(super) fn open(&mut self, outbox: &Rc<Outbox>) {
        match self {
            Self::Patterns { patterns, confirmed } => {
                *confirmed = 0;
                let words = [b"PSUBSCRIBE".as_slice()].into_iter().chain(patterns.iter().map(String::as_bytes));
                outbox.offer(|out| command::encode(out, &words.collect::<Vec<_>>()));
            }
            Self::Channels(channels) => channels.borrow_mut().open(outbox),
        }
    }

    /// Takes an answer, the end of `chunk`; says whether everything is in place with it. That is so once per connection.
    pub(super) fn take_answer(&mut self, answer: Answer, chunk: &Bytes, router: &Router) -> bool {
        match (self, answer) {
            (Self::Patterns { patterns, confirmed }, Answer::Subscribed(name)) => {
                *confirmed += 1;
                tracing::info!(pattern = %chunk[name].escape_ascii(), "subscription confirmed");
                *confirmed == patterns.len()
            }
            (Self::Patterns { .. }, Answer::Pong | Answer::Other) => false,
            (Self::Channels(channels), Answer::Subscribed(name)) => {
                tracing::debug!(channel = %chunk[name.clone()].escape_ascii(), "subscription confirmed");
                let mut channels = channels.borrow_mut();
                let waiters = channels.confirmed(&router.topic(chunk.slice(name)), Instant::now());
                for waiter in waiters {
                    router.confirm(waiter);
                }
                channels.go_on();
                false
            }
            (Self::Channels(channels), Answer::Pong) => channels.borrow_mut().pong(),
            (Self::Channels(channels), Answer::Other) => {
                channels.borrow_mut().go_on();
                false
            }
        }
    }

    /// The connection is lost: whoever waited does not wait any longer, see [`Channels::begin`].
    pub(super) fn close(&mut self, router: &Router) {
        if let Self::Channels(channels) = self {
            for waiter in channels.borrow_mut().close() {
                router.confirm(waiter);
            }
        }
    }

    /// Whether a sign of life would say nothing, because an answer is due anyhow.
    pub(super) fn is_opening(&self) -> bool {
        match self {
            Self::Patterns { .. } => false,
            Self::Channels(channels) => channels.borrow().is_opening(),
        }
    }
}

/// What the router has heard from the shards.
fn take(channels: &RefCell<Channels>, router: &Router, wishes: Vec<Wish>) {
    let (mut channels, now) = (channels.borrow_mut(), Instant::now());
    for Wish { topic, is_followed, waiter } in wishes {
        let at_once = if is_followed {
            channels.begin(topic, waiter)
        } else {
            channels.end(&topic, now);
            waiter
        };
        if let Some(waiter) = at_once {
            router.confirm(waiter);
        }
    }
    if channels.has_too_many_lingering() {
        channels.leave(now);
    }
    channels.go_on();
}

async fn leave_in_time(channels: Rc<RefCell<Channels>>, ear: Ear) {
    loop {
        let pause = channels.borrow().until_leave(Instant::now());
        ear.sleep(pause).await;
        channels.borrow_mut().leave(Instant::now());
    }
}
