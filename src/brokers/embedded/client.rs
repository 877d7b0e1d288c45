//! One RESP client as the others see it.

use crate::brokers::outbox::{Offer, Outbox};
use crate::wire::resp::reply::{ReplyWriter, Version};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

/// Counts up from 1, never reused: what `CLIENT ID` says.
pub(super) type ClientId = u64;

/// A client's seat: what it told about itself, what it follows, and what waits for it.
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) peer: SocketAddr,
    pub(super) since: Instant,
    pub(super) version: Cell<Version>,
    /// `CLIENT SETNAME`.
    pub(super) name: RefCell<Vec<u8>>,
    /// `CLIENT SETINFO`.
    pub(super) library: RefCell<Vec<u8>>,
    /// `CLIENT SETINFO`.
    pub(super) library_version: RefCell<Vec<u8>>,
    /// Channels it follows.
    pub(super) channels: RefCell<BTreeSet<Vec<u8>>>,
    /// Patterns it follows.
    pub(super) patterns: RefCell<BTreeSet<Vec<u8>>>,
    pub(super) outbox: Rc<Outbox>,
}

impl Client {
    pub(super) fn new(id: ClientId, peer: SocketAddr, outbound_bytes_max: usize) -> Self {
        Self {
            id,
            peer,
            since: Instant::now(),
            version: Cell::default(),
            name: RefCell::default(),
            library: RefCell::default(),
            library_version: RefCell::default(),
            channels: RefCell::default(),
            patterns: RefCell::default(),
            outbox: Rc::new(Outbox::new(outbound_bytes_max)),
        }
    }

    /// Appends one reply or push, in the version of RESP this client speaks.
    pub(super) fn write(&self, write: impl FnOnce(&mut ReplyWriter<'_>)) -> Offer {
        self.outbox.offer(|out| write(&mut ReplyWriter::new(self.version.get(), out)))
    }

    /// How many channels and patterns it follows.
    pub(super) fn subscriptions(&self) -> usize {
        self.channels.borrow().len() + self.patterns.borrow().len()
    }

    /// Whether it may only ask for what a RESP2 subscriber may: its replies could not be told from pushes.
    pub(super) fn is_listening_only(&self) -> bool {
        self.version.get() == Version::Two && self.subscriptions() > 0
    }
}
