//! Where events are published: one connection each, never blocking.

mod enduring;
mod http;
mod link;
mod redis;
mod tcp;
mod websocket;

use super::dialect::{self, Dialect};
use super::plan::{Plan, Publish};
use super::target::{Target, resolve};
use super::template::Template;
use crate::patience::PATIENCE;
use rustix::event::PollFlags;
use std::io;
use std::os::fd::BorrowedFd;

/// One connection that publishes.
pub trait Publisher: Send {
    /// Queues one event; nothing is sent yet. `name` is `--publish-to` with the topic filled in.
    fn publish(&mut self, name: &str, event: &[u8]);

    /// Sends what the kernel takes and reads what answers there are, without waiting.
    ///
    /// # Errors
    /// Where the connection ended or the other side refused an event: a sentence for people.
    fn turn(&mut self) -> io::Result<()>;

    /// Events queued or sent whose answer has not come; those of methods without answers count until they are sent.
    fn unanswered(&self) -> usize;

    /// Bytes the kernel has not taken yet.
    fn unsent_bytes(&self) -> usize;

    /// For waiting until [`Publisher::interest`] is met.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Whether it has no connection and takes no event now: turns bring it back. One that never comes back by itself says
    /// so by an error.
    fn is_away(&self) -> bool {
        false
    }

    /// What became of its events so far, where it is told.
    fn answers(&self) -> Answers {
        Answers::default()
    }

    /// What must happen before the next turn is of use, while something is unsent or unanswered.
    fn interest(&self) -> PollFlags {
        if self.unsent_bytes() > 0 { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }
}

/// What a broker said about events that were published to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Events that somebody was given.
    pub heard: u64,
    /// Events that nobody was subscribed to.
    pub unheard: u64,
    /// Events on their way when the connection broke: nobody knows.
    pub unknown: u64,
    /// Connections that broke.
    pub outages: u64,
}

impl Answers {
    /// Adds the counts of another.
    pub fn add(&mut self, other: Self) {
        self.heard += other.heard;
        self.unheard += other.unheard;
        self.unknown += other.unknown;
        self.outages += other.outages;
    }
}

/// Connects as many publishers as the plan says.
///
/// # Errors
/// One sentence, where that is not possible.
pub(crate) fn connect(plan: &Plan) -> Result<Vec<Box<dyn Publisher>>, String> {
    let dialect = dialect::find(&plan.protocol).ok_or_else(|| format!("no protocol {}", plan.protocol))?;
    let one = || -> Result<Box<dyn Publisher>, String> {
        match &plan.publish {
            Publish::Redis { address, .. } if plan.course.outlasts_broker => {
                Ok(Box::new(enduring::Enduring::from(connect_redis(address)?)))
            }
            publish => connect_one(publish, dialect),
        }
    };
    (0..plan.publishers).map(|_| one()).collect()
}

fn connect_redis(address: &str) -> Result<redis::Redis, String> {
    redis::Redis::connect(resolve(address, 6379)?, PATIENCE)
        .map_err(|error| format!("no Redis and no embedded broker at {address}: {error}"))
}

fn connect_one(publish: &Publish, dialect: &'static dyn Dialect) -> Result<Box<dyn Publisher>, String> {
    match publish {
        Publish::Redis { address, .. } => Ok(Box::new(connect_redis(address)?)),
        Publish::Http { url } => {
            let target = Target::parse("http://", url)?;
            match http::Http::connect(&target) {
                Ok(publisher) => Ok(Box::new(publisher)),
                Err(error) => Err(format!("no HTTP server at {}: {error}", target.host)),
            }
        }
        Publish::Tcp { address, .. } => match tcp::Tcp::connect(resolve(address, 0)?, dialect) {
            Ok(publisher) => Ok(Box::new(publisher)),
            Err(error) => Err(format!("no publishing by {} at {address}: {error}", dialect.name())),
        },
        Publish::WebSocket { url, .. } => {
            let target = Target::parse("ws://", url)?;
            match websocket::WebSocket::connect(&target, dialect) {
                Ok(publisher) => Ok(Box::new(publisher)),
                Err(error) => Err(format!("no publishing by {} at {}: {error}", dialect.name(), url.0)),
            }
        }
    }
}

/// The name that [`Publisher::publish`] takes, with the topic's place: a channel, or a path for HTTP.
///
/// # Errors
/// One sentence, for a URL that is none.
pub(crate) fn name(publish: &Publish) -> Result<Template, String> {
    match publish {
        Publish::Redis { channel: name, .. } | Publish::Tcp { name, .. } | Publish::WebSocket { name, .. } => {
            Ok(name.clone())
        }
        Publish::Http { url } => Ok(Target::parse("http://", url)?.path),
    }
}
