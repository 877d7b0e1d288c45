//! Redis: one connection subscribes and only reads, another publishes. Each comes back by itself, and a stamp that goes
//! out on one and comes in on the other proves that events arrive.

mod canary;
mod channels;
mod publisher;
mod subscriber;
mod subscriptions;
#[cfg(test)]
mod tests;

use crate::brokers::Broker;
use crate::config::RedisAddress;
use crate::metrics::BrokerStatus;
use crate::router::{Publications, Router};
use crate::wire::resp::command;
use bytes::BytesMut;
use canary::Canary;
pub(crate) use publisher::Publisher;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
pub(crate) use subscriber::Subscriber;

/// Events from a Redis' channels, publications to them.
pub struct Redis {
    address: RedisAddress,
    subscribing: Subscribing,
    event_bytes_max: usize,
    status: Arc<BrokerStatus>,
}

/// What is subscribed to. PERFORMANCE.md says when which is cheaper.
#[derive(Clone, Debug)]
pub enum Subscribing {
    /// Every channel that matches one of these (Redis' globs; at least one, and they must not overlap, since Redis sends
    /// an event once per pattern that matches).
    Patterns(Vec<String>),
    /// Each channel that somebody here follows.
    Channels {
        /// How long a channel that nobody follows any more is kept, 100 ms at least.
        linger: Duration,
    },
}

impl Redis {
    /// Events above `event_bytes_max` are dropped and counted.
    ///
    /// `status` says connected while every pattern, or every channel that was followed when the connection was made, is
    /// confirmed on a connection that is alive, and the canary is heard there.
    pub fn new(
        address: RedisAddress,
        subscribing: Subscribing,
        event_bytes_max: usize,
        status: Arc<BrokerStatus>,
    ) -> Self {
        let is_empty = matches!(&subscribing, Subscribing::Patterns(patterns) if patterns.is_empty());
        assert!(!is_empty, "without a pattern nothing would ever be confirmed");
        Self { address, subscribing, event_bytes_max, status }
    }

    /// The two connections' sides; the one that subscribes may watch the router from here on.
    pub(crate) fn split(self, router: &Rc<Router>) -> (Publisher, Subscriber) {
        let canary = Canary::new(Arc::clone(&self.status));
        let publisher = Publisher::new(&self, Rc::clone(router), canary);
        let subscriber = Subscriber::new(self, Rc::clone(router), publisher.pipeline());
        (publisher, subscriber)
    }
}

impl Broker for Redis {
    fn run(self: Box<Self>, router: Rc<Router>, publications: Publications) -> Pin<Box<dyn Future<Output = ()>>> {
        // Made here, not when the task first runs: it is to watch the router from its first word on.
        let (publisher, subscriber) = self.split(&router);
        Box::pin(async move {
            router.ear.spawn(publisher.run(publications)).detach();
            subscriber.run().await;
        })
    }
}

/// Appends the `AUTH` command, if there is a password; says whether there is.
fn write_auth(address: &RedisAddress, out: &mut BytesMut) -> bool {
    let Some(password) = &address.password else { return false };
    match &address.username {
        None => command::encode(out, &[b"AUTH", password.expose().as_bytes()]),
        Some(username) => command::encode(out, &[b"AUTH", username.as_bytes(), password.expose().as_bytes()]),
    }
    true
}
