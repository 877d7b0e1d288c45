//! The embedded broker: publishers, and other instances on this machine, talk RESP to this server itself.
//!
//! ```text
//!   Acceptor ──► Client (one task each) ──► commands ──► Switchboard ──┬──► Router ──► shards
//!                      ▲                                               └──► Subscribers ──► outboxes of other clients
//!                      └── replies, one write per batch
//! ```
//!
//! It keeps nothing: what nobody follows is gone, as with Redis' pub/sub.

mod acceptor;
mod client;
mod commands;
mod session;
mod subscribers;
#[cfg(test)]
mod tests;

use super::seal::{self, Losses};
use super::seldom::Seldom;
use crate::brokers::Broker;
use crate::engine::message::Message;
use crate::engine::protocol::PublishError;
use crate::metrics::{BrokerStatus, Drop};
use crate::router::{Publications, Router};
use crate::wire::frame::SealedText;
use acceptor::Acceptor;
use bytes::Bytes;
use client::{Client, ClientId};
use session::Session;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subscribers::Subscribers;

/// RESP clients at one time. Publishers and instances of one machine are a few; each costs a descriptor and up to two
/// chunks of memory.
pub const CLIENTS_MAX: usize = 1024;

/// Longest channel a client may name: a prefix and a username of 255 bytes, with room.
pub const CHANNEL_BYTES_MAX: usize = 512;

/// Longest pattern a client may name: the longest prefix, its colon and a `*`. Every one is tried for every event.
pub const PATTERN_BYTES_MAX: usize = 257;

/// How long to leave new connections alone when one could not be taken: descriptors come back only with time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often what happens to many clients is mentioned in the log.
const MENTION_PERIOD: Duration = Duration::from_secs(10);

/// This server as its own broker.
pub struct Embedded {
    listener: TcpListener,
    event_bytes_max: usize,
    outbound_bytes_max: usize,
    status: Arc<BrokerStatus>,
}

impl Embedded {
    /// Serves RESP on `listener`, which is bound and listening. Events above `event_bytes_max` are refused; a
    /// subscriber for whom more than `outbound_bytes_max` wait is cut, logged and counted.
    pub fn new(
        listener: TcpListener,
        event_bytes_max: usize,
        outbound_bytes_max: usize,
        status: Arc<BrokerStatus>,
    ) -> Self {
        Self { listener, event_bytes_max, outbound_bytes_max, status }
    }
}

impl Broker for Embedded {
    fn run(self: Box<Self>, router: Rc<Router>, publications: Publications) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let acceptor = match Acceptor::new(&router.ear, self.listener) {
                Ok(acceptor) => acceptor,
                Err(error) => {
                    tracing::error!(%error, "the embedded broker cannot use its listening socket");
                    return;
                }
            };
            let port = acceptor.port();
            let switchboard = Switchboard::new(router, self.event_bytes_max, self.outbound_bytes_max, port);
            let switchboard = Rc::new(switchboard);
            self.status.set_connected(true);
            switchboard.router.ear.spawn(publish_all(Rc::clone(&switchboard), publications)).detach();
            accept_all(&acceptor, &switchboard).await;
        })
    }
}

/// Publishes what clients of this instance want published, until there is no more.
async fn publish_all(switchboard: Rc<Switchboard>, publications: Publications) {
    while let Some(publication) = publications.next().await {
        let (channel, payload) = (publication.topic.name(), &publication.payload);
        let event = seal::apart(payload, switchboard.event_bytes_max);
        let outcome = switchboard.publish(Bytes::copy_from_slice(channel), payload, event);
        let outcome = outcome.map_err(|_| PublishError::Refused);
        switchboard.router.answer(publication.ticket, outcome);
        switchboard.router.settle().await;
    }
}

async fn accept_all(acceptor: &Acceptor, switchboard: &Rc<Switchboard>) {
    loop {
        match acceptor.accept().await {
            Ok((stream, peer)) => match switchboard.admit(peer) {
                Some(client) => match Session::new(Rc::clone(&client), stream, switchboard) {
                    Ok(session) => {
                        switchboard.router.ear.spawn(session.run()).detach();
                    }
                    Err(error) => {
                        switchboard.dismiss(&client);
                        switchboard.note_lost(&error);
                    }
                },
                None => acceptor::turn_away(stream),
            },
            Err(error) => {
                switchboard.note_lost(&error);
                switchboard.router.ear.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What all clients of the broker share.
struct Switchboard {
    router: Rc<Router>,
    losses: Losses,
    clients: RefCell<BTreeMap<ClientId, Rc<Client>>>,
    clients_so_far: Cell<u64>,
    subscribers: RefCell<Subscribers>,
    event_bytes_max: usize,
    outbound_bytes_max: usize,
    port: u16,
    started: Instant,
    mentions: Seldom,
    attacks: Seldom,
}

/// Why an event was not published at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unpublished {
    /// The channel's name has more than [`CHANNEL_BYTES_MAX`] bytes.
    ChannelTooLong,
    /// The event is above the limit.
    EventTooBig,
}

impl Switchboard {
    fn new(router: Rc<Router>, event_bytes_max: usize, outbound_bytes_max: usize, port: u16) -> Self {
        Self {
            losses: Losses::new(Rc::clone(&router)),
            router,
            clients: RefCell::default(),
            clients_so_far: Cell::default(),
            subscribers: RefCell::default(),
            event_bytes_max,
            outbound_bytes_max,
            port,
            started: Instant::now(),
            mentions: Seldom::every(MENTION_PERIOD),
            attacks: Seldom::every(MENTION_PERIOD),
        }
    }

    /// A seat for a new client, if one is free.
    fn admit(&self, peer: std::net::SocketAddr) -> Option<Rc<Client>> {
        let mut clients = self.clients.borrow_mut();
        if clients.len() >= CLIENTS_MAX {
            if self.mentions.pass(Instant::now()).is_some() {
                tracing::warn!(%peer, limit = CLIENTS_MAX, "RESP client turned away: there are too many");
            }
            return None;
        }
        let id = self.clients_so_far.get() + 1;
        self.clients_so_far.set(id);
        let client = Rc::new(Client::new(id, peer, self.outbound_bytes_max));
        clients.insert(id, Rc::clone(&client));
        Some(client)
    }

    fn dismiss(&self, client: &Rc<Client>) {
        self.subscribers.borrow_mut().leave(client);
        self.clients.borrow_mut().remove(&client.id);
    }

    /// Hands an event to everybody who follows `channel`: connections of this instance and RESP subscribers. Returns
    /// how many there are; an event that is not UTF-8 reaches RESP subscribers only.
    fn publish(&self, channel: Bytes, payload: &[u8], event: Result<SealedText, Drop>) -> Result<u64, Unpublished> {
        if channel.len() > CHANNEL_BYTES_MAX {
            return Err(Unpublished::ChannelTooLong);
        }
        if let Err(reason) = event {
            self.losses.note(reason, &channel, payload.len());
            if reason == Drop::EventTooBig {
                return Err(Unpublished::EventTooBig);
            }
        }
        let reached = self.subscribers.borrow().deliver(&channel, payload, |client| self.note_slow(client));
        let topic = self.router.topic(channel);
        Ok(reached + event.map_or(0, |text| self.router.route(Message::sealed(topic, text))))
    }

    fn note_lost(&self, error: &io::Error) {
        if self.mentions.pass(Instant::now()).is_some() {
            tracing::error!(%error, "the embedded broker cannot take a connection");
        }
    }

    fn note_slow(&self, client: &Client) {
        self.router.drop_event(Drop::SlowConsumer);
        let (peer, limit_bytes) = (client.peer, self.outbound_bytes_max);
        tracing::warn!(%peer, limit_bytes, "RESP subscriber cut: it does not read what it subscribed to");
    }
}
