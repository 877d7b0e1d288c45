//! The brokers: where events come from and where clients' own publications go.
//!
//! ```text
//!                    ┌ redis ────── Subscriber ──┐                 shards
//!   Broker::run ─────┤              Publisher    ├── Router ──► ▒▒▒▒▒▒▒▒▒▒
//!                    └ embedded ─── Clients ─────┘
//! ```
//!
//! A third one is a file here and a line in [`TABLE`]: a type with `impl Broker`, whose `run` calls
//! [`Router::take_control`], seals what it reads ([`seal::in_place`] where a RESP-like length line stands in front of
//! each payload, else [`seal::apart`]), gives it to [`Router::route`] and waits for [`Router::settle`] once per batch;
//! takes publications until there are no more, and answers each with [`Router::answer`]; and tells [`BrokerStatus`]
//! the truth. A source that must be told topic by topic hears of them through [`Router::watch_interests`], and says
//! [`Router::confirm`] when the events of one arrive. Reconnects come from [`link`], buffers from [`receive_buffer`]
//! and [`outbox`].
//!
//! [`Router::take_control`]: crate::router::Router::take_control
//! [`Router::route`]: crate::router::Router::route
//! [`Router::settle`]: crate::router::Router::settle
//! [`Router::answer`]: crate::router::Router::answer
//! [`Router::watch_interests`]: crate::router::Router::watch_interests
//! [`Router::confirm`]: crate::router::Router::confirm
//! [`BrokerStatus`]: crate::metrics::BrokerStatus

pub mod duplex;
pub mod embedded;
pub mod link;
pub mod outbox;
pub mod receive_buffer;
pub mod redis;
pub mod seal;
pub mod seldom;
#[cfg(test)]
mod stage;

use crate::router::{Publications, Router};
use std::pin::Pin;
use std::rc::Rc;

/// A source of events and a sink for publications, on one node of the mesh: the seam to where events come from.
pub trait Broker {
    /// Takes events in through `router` and sends `publications` out, for as long as the process lives.
    ///
    /// It retries for ever: what is away comes back. It reads as fast as the shards take messages and never waits for
    /// a client. Each reconnect is told to the router, because nobody knows what was missed.
    fn run(self: Box<Self>, router: Rc<Router>, publications: Publications) -> Pin<Box<dyn Future<Output = ()>>>;
}

/// Every broker there is: its name in statistics and options, and what it is.
pub const TABLE: [(&str, &str); 2] = [
    ("redis", "a Redis server, or another instance's embedded broker: one connection subscribes, another publishes"),
    ("embedded", "this server itself: publishers and other instances on this machine talk RESP to it"),
];
