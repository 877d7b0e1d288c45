//! Where events are published: one connection each, never blocking.

mod http;
mod link;
mod redis;
mod tcp;
mod websocket;

use super::dialect::{self, Dialect};
use super::plan::{Plan, Publish};
use super::target::{Target, resolve};
use super::template::Template;
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

    /// What must happen before the next turn is of use, while something is unsent or unanswered.
    fn interest(&self) -> PollFlags {
        if self.unsent_bytes() > 0 { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }
}

/// Connects as many publishers as the plan says.
///
/// # Errors
/// One sentence, where that is not possible.
pub(crate) fn connect(plan: &Plan) -> Result<Vec<Box<dyn Publisher>>, String> {
    let dialect = dialect::find(&plan.protocol).ok_or_else(|| format!("no protocol {}", plan.protocol))?;
    (0..plan.publishers).map(|_| connect_one(&plan.publish, dialect)).collect()
}

fn connect_one(publish: &Publish, dialect: &'static dyn Dialect) -> Result<Box<dyn Publisher>, String> {
    match publish {
        Publish::Redis { address, .. } => {
            let resolved = resolve(address, 6379)?;
            match redis::Redis::connect(resolved) {
                Ok(publisher) => Ok(Box::new(publisher)),
                Err(error) => Err(format!("no Redis and no embedded broker at {address}: {error}")),
            }
        }
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
