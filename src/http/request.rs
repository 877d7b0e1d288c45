//! One request as routes and families see it.

use crate::wire::head::{BadField, Head};
use crate::wire::query::{BadQuery, Query};
use std::net::SocketAddr;

/// A request head and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    head: &'a Head<'a>,
    peer: SocketAddr,
}

impl<'a> Request<'a> {
    /// A request of this peer.
    pub fn new(head: &'a Head<'a>, peer: SocketAddr) -> Self {
        Self { head, peer }
    }

    /// The head as it was read.
    pub fn head(&self) -> &'a Head<'a> {
        self.head
    }

    /// The other end of the socket: the client, or a proxy in front of it.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The parameters behind the `?`.
    pub fn query(&self) -> Result<Query<'a>, BadQuery> {
        Query::parse(self.head.query)
    }

    /// The value of a header field that may be there once; names compare without case.
    pub fn header(&self, name: &str) -> Result<Option<&'a str>, BadField> {
        self.head.sole(name)
    }
}
