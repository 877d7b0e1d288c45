//! The seam to where events come from and where clients' own publishes go. Who is behind it: `brokers/mod.rs`.

use super::router::{Publications, Router};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// A source of events and a sink for publications, on one node of the mesh.
pub trait Broker {
    /// Takes events in through `router` and sends `publications` out, for as long as the process lives.
    ///
    /// It retries for ever: what is away comes back. It reads as fast as the shards take messages and never waits for
    /// a client. Each reconnect is told to the router, because nobody knows what was missed.
    fn run(self: Box<Self>, router: Rc<Router>, publications: Publications) -> Pin<Box<dyn Future<Output = ()>>>;
}
