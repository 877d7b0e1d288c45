//! Redis: one connection subscribes and only reads, another publishes. Each comes back by itself.

mod publisher;
mod subscriber;
#[cfg(test)]
mod tests;

use crate::config::RedisAddress;
use crate::engine::broker::Broker;
use crate::engine::router::{Publications, Router};
use crate::metrics::BrokerStatus;
use crate::wire::resp::command;
use bytes::BytesMut;
use publisher::Publisher;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use subscriber::Subscriber;

/// Events from a Redis' channels, publications to them.
pub struct Redis {
    address: RedisAddress,
    patterns: Vec<String>,
    event_bytes_max: usize,
    status: Arc<BrokerStatus>,
}

impl Redis {
    /// Follows every channel that matches one of `patterns` (Redis' globs; they must not overlap, since Redis sends an
    /// event once per pattern that matches). Events above `event_bytes_max` are dropped and counted.
    ///
    /// `status` says connected while every pattern is confirmed on a connection that is alive.
    pub fn new(
        address: RedisAddress,
        patterns: Vec<String>,
        event_bytes_max: usize,
        status: Arc<BrokerStatus>,
    ) -> Self {
        assert!(!patterns.is_empty(), "without a pattern nothing would ever be confirmed");
        Self { address, patterns, event_bytes_max, status }
    }
}

impl Broker for Redis {
    fn run(self: Box<Self>, router: Rc<Router>, publications: Publications) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let publisher = Publisher::new(self.address.clone(), self.event_bytes_max, Rc::clone(&router));
            router.ear.spawn(publisher.run(publications)).detach();
            Subscriber::new(*self, router).run().await;
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
