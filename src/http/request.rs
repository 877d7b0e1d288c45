//! One request as routes and families see it.

use super::decline::Decline;
use super::refusal::Refusal;
use crate::auth::Identity;
use crate::metrics::Refused;
use crate::wire::head::{BadField, Head};
use crate::wire::query::{BadQuery, Query};
use crate::wire::username::Username;
use std::net::SocketAddr;

/// Longest body that is read and thrown away where none is wanted: more than any form, less than any upload.
pub(super) const DISCARD_BYTES_MAX: u64 = 64 * 1024;

/// A request head and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    head: &'a Head<'a>,
    peer: SocketAddr,
    identity: Option<&'a Identity>,
}

impl<'a> Request<'a> {
    /// A request of this peer.
    pub fn new(head: &'a Head<'a>, peer: SocketAddr) -> Self {
        Self { head, peer, identity: None }
    }

    /// The same of somebody whose token says who it is.
    pub(super) fn of(self, identity: Option<&'a Identity>) -> Self {
        Self { identity, ..self }
    }

    /// Lets the client go by this username, or says why not: 403. Where nobody shows a token everybody may.
    pub fn claim(&self, username: &Username) -> Result<(), Decline> {
        if self.identity.is_none_or(|identity| identity.may_be(username.as_str())) {
            return Ok(());
        }
        let hint = "connect under the username that is the token's sub, or one that its usernames list";
        Err(Decline::new(Refused::TokenForeign, Refusal::new(403, "the token is for somebody else", hint)))
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
