//! Redis: one connection subscribes and only reads, another publishes. Each comes back by itself.

mod publisher;
mod subscriber;
#[cfg(test)]
mod tests;

use crate::engine::broker::Broker;
use crate::engine::router::{Publications, Router};
use crate::metrics::BrokerStatus;
use crate::wire::resp::command;
use bytes::BytesMut;
use publisher::Publisher;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use subscriber::Subscriber;

/// How to reach and enter a Redis. Its `Debug` hides the password.
#[derive(Clone)]
pub struct RedisSettings {
    /// A name or an address; names are resolved at every attempt.
    pub host: String,
    /// Usually 6379.
    pub port: u16,
    /// An ACL user; without one, Redis' default user.
    pub username: Option<String>,
    /// Sent only where set.
    pub password: Option<String>,
}

impl RedisSettings {
    /// Appends the `AUTH` command, if there is a password; says whether there is.
    fn write_auth(&self, out: &mut BytesMut) -> bool {
        match (&self.username, &self.password) {
            (_, None) => return false,
            (None, Some(password)) => command::encode(out, &[b"AUTH", password.as_bytes()]),
            (Some(username), Some(password)) => {
                command::encode(out, &[b"AUTH", username.as_bytes(), password.as_bytes()]);
            }
        }
        true
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, username, password } = self;
        formatter
            .debug_struct("RedisSettings")
            .field("host", host)
            .field("port", port)
            .field("username", username)
            .field("password", &password.as_ref().map(|_| "hidden"))
            .finish()
    }
}

/// Events from a Redis' channels, publications to them.
pub struct Redis {
    settings: RedisSettings,
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
        settings: RedisSettings,
        patterns: Vec<String>,
        event_bytes_max: usize,
        status: Arc<BrokerStatus>,
    ) -> Self {
        assert!(!patterns.is_empty(), "without a pattern nothing would ever be confirmed");
        Self { settings, patterns, event_bytes_max, status }
    }
}

impl Broker for Redis {
    fn run(self: Box<Self>, router: Rc<Router>, publications: Publications) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let publisher = Publisher::new(self.settings.clone(), self.event_bytes_max, Rc::clone(&router));
            glommio::spawn_local(publisher.run(publications)).detach();
            Subscriber::new(*self, router).run().await;
        })
    }
}
