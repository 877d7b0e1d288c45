//! HTTP on a shard: requests in, pages out, and upgrades handed on.
//!
//! [`Front`] owns all HTTP connections of one shard. It is driven by readiness and by ticks, never waits, and does
//! nothing but read, answer and write. Requests of one connection are answered in order, one at a time.

mod audience;
mod census;
mod client_address;
mod console;
mod decline;
mod dismissal;
mod door;
mod exchange;
mod exposition;
mod gate;
mod inquiry;
mod pages;
mod publish;
mod refusal;
mod request;
mod response;
mod routes;
mod site;
mod upgrade;

pub use audience::Audience;
pub use census::{Census, Permit, Places};
pub use console::lead_here as lead_to_console;
pub use decline::Decline;
pub use door::Access;
pub use pages::{health, ready, statistics};
pub use refusal::Refusal;
pub use request::Request;
pub use response::Response;
pub use site::{Admit, Family, HttpSettings, Page, Site};

use crate::ear::{Tick, Wheel};
use crate::engine::mesh::Adoption;
use crate::engine::protocol::PublishError;
use crate::engine::publication::{Asker, Publication, Ticket};
use crate::inspection::{Question, Reply};
use crate::mesh::NodeId;
use crate::metrics::Refused;
use crate::wire::head::{self, BadHead, HEAD_BYTES_MAX, Head, Method, Version};
use bytes::Bytes;
use exchange::{Arrival, Errand, Exchange, Phase, Received, Sent};
use inquiry::Inquiry;
use response::{Extent, Persistence};
use routes::Answer;
use slotmap::{Key, SlotMap};
use std::io;
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use upgrade::Upgrade;

/// What a client that waits for a go-ahead is told (RFC 9110 §15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Heads and bodies of one connection that are handled at a time, a request with its body: one client that sends 500
/// requests at once must not hold up a turn for as long as 500 pages take.
const STEPS_PER_TURN_MAX: usize = 4;

slotmap::new_key_type! {
    /// One HTTP connection of one shard; never used again for another.
    pub struct ExchangeKey;
}

/// What the shard does next about an exchange.
pub enum Step {
    /// Goes on as [`Front::interest`] says.
    Stay,
    /// The socket refuses bytes: call [`Front::writable`] once it takes some, and nothing before.
    AwaitWritable,
    /// The exchange is gone; its socket is a WebSocket connection now.
    Upgrade(Box<Adoption>),
    /// An event to be published; nothing is read until [`Front::published`] was called.
    Publish(Publication),
    /// A question to [`Question::nodes`]; see [`Front::answered`].
    Ask(Ticket, Question),
    /// The exchange is gone and its socket closed.
    Gone,
}

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Readable,
    /// Room to write.
    Writable,
    /// The broker, or the shards; of the socket only that it broke, which may be reported by [`Front::readable`].
    Nothing,
}

/// All HTTP connections of one shard.
pub struct Front {
    site: Site,
    exchanges: SlotMap<ExchangeKey, Exchange>,
    wheel: Wheel<Due>,
    due: Vec<Due>,
    mood: Mood,
}

/// A deadline in the wheel; it counts as long as the exchange is filed under it.
#[derive(Clone, Copy, Debug)]
struct Due {
    key: ExchangeKey,
    at: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Serving,
    Draining,
}

impl Front {
    /// No connections yet.
    pub fn new(site: Site, now: Tick) -> Self {
        let (exchanges, wheel) = (SlotMap::with_key(), Wheel::new(now));
        Self { site, exchanges, wheel, due: Vec::new(), mood: Mood::Serving }
    }

    /// What the routes know, where that changes.
    pub fn site_mut(&mut self) -> &mut Site {
        &mut self.site
    }

    /// How many exchanges there are.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Whether the server has a WebSocket connection, on whichever shard.
    pub fn anybody_is_connected(&self) -> bool {
        self.site.registry.admitted() > 0
    }

    /// The socket of an exchange that is not gone.
    pub fn socket(&self, key: ExchangeKey) -> &TcpStream {
        &self.exchanges[key].socket
    }

    /// What to watch the socket of an exchange for, level-triggered.
    pub fn interest(&self, key: ExchangeKey) -> Interest {
        match self.exchanges.get(key) {
            Some(exchange) if exchange.is_sending() => Interest::Writable,
            Some(Exchange { phase: Phase::Broker | Phase::Nodes(_), .. }) | None => Interest::Nothing,
            Some(_) => Interest::Readable,
        }
    }

    /// Takes in a connection, whose socket is non-blocking. Its first request has 5 s to arrive.
    pub fn accepted(&mut self, socket: TcpStream, peer: SocketAddr, audience: Audience, now: Tick) -> ExchangeKey {
        let exchange = Exchange::new(socket, peer, audience, now);
        let at = exchange.deadline;
        let key = self.exchanges.insert(exchange);
        self.wheel.insert(at, Due { key, at });
        key
    }

    /// Something has arrived, or the socket broke. Reads once; `scratch` holds at least [`HEAD_BYTES_MAX`] bytes and
    /// means nothing between two calls.
    pub fn readable(&mut self, key: ExchangeKey, scratch: &mut [u8], now: Tick) -> Step {
        assert!(scratch.len() >= HEAD_BYTES_MAX, "scratch holds a whole head");
        let Some(exchange) = self.exchanges.get_mut(key) else { return Step::Gone };
        match exchange.phase {
            _ if exchange.is_sending() => return self.writable(key, now),
            Phase::Broker | Phase::Nodes(_) if exchange.is_broken() => return self.remove(key),
            Phase::Broker | Phase::Nodes(_) => return Step::Stay,
            _ => {}
        }
        match exchange.receive(scratch) {
            Ok(Received::Nothing) => Step::Stay,
            Ok(Received::Bytes(length)) if matches!(exchange.phase, Phase::Lingering { .. }) => {
                if exchange.discard(length) { Step::Stay } else { self.remove(key) }
            }
            Ok(Received::Bytes(length)) => self.proceed(key, &scratch[..length], now),
            Ok(Received::End) | Err(_) => self.remove(key),
        }
    }

    /// The socket has room for more of a response.
    pub fn writable(&mut self, key: ExchangeKey, now: Tick) -> Step {
        let Some(exchange) = self.exchanges.get_mut(key) else { return Step::Gone };
        let sent = exchange.flush(now);
        let flow = self.settle(key, sent, now);
        self.resume(key, flow, now)
    }

    /// The broker has answered. A late answer, to a request that was given up, changes nothing.
    pub fn published(&mut self, key: ExchangeKey, outcome: Result<u64, PublishError>, now: Tick) -> Step {
        match self.exchanges.get(key) {
            None => Step::Gone,
            Some(Exchange { phase: Phase::Broker, .. }) => {
                let flow = self.respond(key, publish::outcome(outcome), Extent::Whole, now);
                self.resume(key, flow, now)
            }
            Some(_) => Step::Stay,
        }
    }

    /// A node has answered a question; with the last one the client has its answer. A late one changes nothing.
    pub fn answered(&mut self, key: ExchangeKey, from: NodeId, reply: Reply, now: Tick) -> Step {
        let inquiry = match self.exchanges.get_mut(key) {
            None => return Step::Gone,
            Some(Exchange { phase: Phase::Nodes(inquiry), .. }) => inquiry,
            Some(_) => return Step::Stay,
        };
        inquiry.add(from.index(), reply);
        if inquiry.missing > 0 {
            return Step::Stay;
        }
        let response = inquiry.page(&self.site);
        let flow = self.respond(key, response, Extent::Whole, now);
        self.resume(key, flow, now)
    }

    /// Gives up what has run out of time. Sockets are closed.
    pub fn tick(&mut self, now: Tick) {
        self.wheel.advance(now, &mut self.due);
        while let Some(Due { key, at }) = self.due.pop() {
            match self.exchanges.get_mut(key) {
                Some(exchange) if exchange.filed == at && exchange.deadline > now => {
                    exchange.filed = exchange.deadline;
                    self.wheel.insert(exchange.deadline, Due { key, at: exchange.deadline });
                }
                Some(exchange) if exchange.filed == at => self.expire(key, now),
                _ => {}
            }
        }
    }

    /// Closes what is idle; what is under way ends with its answer.
    pub fn drain(&mut self) {
        self.mood = Mood::Draining;
        self.exchanges.retain(|_, exchange| !exchange.is_idle());
    }

    /// Descriptors are short: closes connections between two requests, and those whose first bytes have been awaited
    /// for a second. Who comes next has a use for their descriptors.
    pub fn make_room(&mut self, now: Tick) {
        let slow: Vec<ExchangeKey> =
            self.exchanges.iter().filter(|(_, exchange)| exchange.is_dispensable(now)).map(|(key, _)| key).collect();
        self.site.metrics().entrance.evicted.add(slow.len() as u64);
        for key in slow {
            self.part(key, now);
        }
    }

    /// Handles what has arrived until something is missing.
    fn proceed(&mut self, key: ExchangeKey, mut input: &[u8], now: Tick) -> Step {
        for _ in 0..STEPS_PER_TURN_MAX {
            if let ControlFlow::Break(step) = self.advance(key, &mut input, now) {
                return self.pause(key, input, step, now);
            }
        }
        // What is left is in our memory, not in the socket's: only its being writable brings us back here.
        self.exchanges[key].yield_turn();
        self.pause(key, input, Step::AwaitWritable, now)
    }

    /// Goes on with what was kept, unless there is something to wait for.
    fn resume(&mut self, key: ExchangeKey, flow: ControlFlow<Step>, now: Tick) -> Step {
        let Some(exchange) = self.exchanges.get_mut(key) else { return Step::Gone };
        let unread = exchange.take_unread();
        match flow {
            ControlFlow::Continue(()) => self.proceed(key, &unread, now),
            ControlFlow::Break(step) => self.pause(key, &unread, step, now),
        }
    }

    /// Keeps what is left and brings the deadline into the wheel.
    fn pause(&mut self, key: ExchangeKey, rest: &[u8], step: Step, now: Tick) -> Step {
        let Some(exchange) = self.exchanges.get_mut(key) else { return step };
        if matches!(step, Step::Gone) {
            return self.remove(key);
        }
        if !matches!(exchange.phase, Phase::Closing | Phase::Lingering { .. }) {
            exchange.keep(rest, now);
        }
        if self.mood == Mood::Draining && exchange.is_idle() {
            return self.remove(key);
        }
        if exchange.deadline < exchange.filed {
            exchange.filed = exchange.deadline;
            self.wheel.insert(exchange.deadline, Due { key, at: exchange.deadline });
        }
        step
    }

    /// One step: a head, or a part of a body.
    fn advance(&mut self, key: ExchangeKey, input: &mut &[u8], now: Tick) -> ControlFlow<Step> {
        let exchange = &mut self.exchanges[key];
        exchange.skip(input);
        match &mut exchange.phase {
            Phase::Idle | Phase::Head => match head::parse(input) {
                Ok(Some(head)) => {
                    *input = &input[head.bytes..];
                    self.answer(key, &head, input, now)
                }
                Ok(None) => ControlFlow::Break(Step::Stay),
                Err(bad) => self.refuse(key, bad, now),
            },
            Phase::Body(arrival) => {
                arrival.take(input);
                if arrival.missing_bytes() > 0 { ControlFlow::Break(Step::Stay) } else { self.run_errand(key, now) }
            }
            Phase::Broker | Phase::Nodes(_) | Phase::Closing | Phase::Lingering { .. } => {
                ControlFlow::Break(Step::Stay)
            }
        }
    }

    /// Answers a request; `rest` is what has arrived behind its head.
    fn answer(&mut self, key: ExchangeKey, head: &Head<'_>, rest: &mut &[u8], now: Tick) -> ControlFlow<Step> {
        let exchange = &mut self.exchanges[key];
        exchange.persistence = persistence(head);
        match routes::answer(&self.site, exchange.audience, &Request::new(head, exchange.peer)) {
            Answer::Response(response) => {
                exchange.decline_body(head);
                let extent = if head.method == Method::Head { Extent::HeadOnly } else { Extent::Whole };
                self.respond(key, response, extent, now)
            }
            Answer::Inquiry(question) => {
                exchange.decline_body(head);
                ControlFlow::Break(self.ask(key, question, now))
            }
            Answer::Body(errand) => {
                let length = usize::try_from(head.body_bytes).expect("the route has checked the length");
                exchange.enter(Phase::Body(Box::new(Arrival::new(errand, length))), now);
                if !head.expects_continue() || !rest.is_empty() {
                    return ControlFlow::Continue(());
                }
                let sent = exchange.send(CONTINUE.to_vec(), now);
                self.settle(key, sent, now)
            }
            Answer::Upgrade(upgrade) => ControlFlow::Break(self.hand_over(key, upgrade, mem::take(rest))),
        }
    }

    /// Refuses a head. Where the next request would begin nobody knows, so there is none.
    fn refuse(&mut self, key: ExchangeKey, bad: BadHead, now: Tick) -> ControlFlow<Step> {
        self.site.metrics().entrance.refused(Refused::BadHead).add(1);
        self.exchanges[key].persistence = Persistence::Close;
        let refusal = Refusal::new(bad.status(), bad.error(), bad.hint());
        self.respond(key, refusal.into(), Extent::Whole, now)
    }

    /// Does what a whole body was wanted for.
    fn run_errand(&mut self, key: ExchangeKey, now: Tick) -> ControlFlow<Step> {
        let exchange = &mut self.exchanges[key];
        let Phase::Body(arrival) = mem::replace(&mut exchange.phase, Phase::Idle) else {
            unreachable!("only a body that has arrived is taken")
        };
        let ticket = Ticket { node: self.site.node, asker: Asker::Request(key.data().as_ffi()) };
        match arrival.into_parts() {
            (Errand::Publish(_), payload) if str::from_utf8(&payload).is_err() => {
                self.respond(key, publish::not_utf8(&self.site), Extent::Whole, now)
            }
            (Errand::Publish(topic), payload) => {
                exchange.enter(Phase::Broker, now);
                ControlFlow::Break(Step::Publish(Publication { topic, payload, ticket: Some(ticket) }))
            }
            (Errand::Dismiss, body) => match dismissal::whom(&self.site, &body) {
                Err(refusal) => self.respond(key, refusal.into(), Extent::Whole, now),
                Ok(whom) => ControlFlow::Break(self.ask(key, Question::Dismiss(whom), now)),
            },
        }
    }

    /// Has the nodes answer a question.
    fn ask(&mut self, key: ExchangeKey, question: Question, now: Tick) -> Step {
        let inquiry = Inquiry::new(question.clone(), self.site.registry.shards.len());
        self.exchanges[key].enter(Phase::Nodes(Box::new(inquiry)), now);
        Step::Ask(Ticket { node: self.site.node, asker: Asker::Request(key.data().as_ffi()) }, question)
    }

    /// Lets a connection go to where it lives from now on.
    fn hand_over(&mut self, key: ExchangeKey, upgrade: Upgrade, unread: &[u8]) -> Step {
        let Exchange { socket, .. } = self.exchanges.remove(key).expect("the exchange was just answered");
        self.site.metrics().http_requests.add(1);
        let Upgrade { response, admission, client: peer, lifetime, permit } = upgrade;
        let unread = Bytes::copy_from_slice(unread);
        Step::Upgrade(Box::new(Adoption { socket, peer, response, unread, admission, lifetime, permit }))
    }

    fn respond(&mut self, key: ExchangeKey, response: Response, extent: Extent, now: Tick) -> ControlFlow<Step> {
        self.site.metrics().http_requests.add(1);
        let exchange = &mut self.exchanges[key];
        let persistence = if self.mood == Mood::Draining { Persistence::Close } else { exchange.persistence };
        exchange.enter(if persistence == Persistence::Close { Phase::Closing } else { Phase::Idle }, now);
        let sent = exchange.send(response.into_bytes(persistence, extent), now);
        self.settle(key, sent, now)
    }

    /// What follows from having sent something: wait, end, or go on.
    fn settle(&mut self, key: ExchangeKey, sent: io::Result<Sent>, now: Tick) -> ControlFlow<Step> {
        let exchange = &mut self.exchanges[key];
        match (sent, &exchange.phase) {
            (Err(_), _) => ControlFlow::Break(Step::Gone),
            (Ok(Sent::Partly), _) => ControlFlow::Break(Step::AwaitWritable),
            (Ok(Sent::Whole), Phase::Closing) => match exchange.linger(now) {
                Ok(()) => ControlFlow::Break(Step::Stay),
                Err(_) => ControlFlow::Break(Step::Gone),
            },
            (Ok(Sent::Whole), _) => ControlFlow::Continue(()),
        }
    }

    /// Counts who had all the time there is for a request, and parts.
    fn expire(&mut self, key: ExchangeKey, now: Tick) {
        let exchange = &self.exchanges[key];
        if matches!(exchange.phase, Phase::Head | Phase::Body(_)) && !exchange.is_sending() {
            self.site.metrics().http_timeouts.add(1);
        }
        self.part(key, now);
    }

    /// Says a last word to whoever is owed one, and closes.
    fn part(&mut self, key: ExchangeKey, now: Tick) {
        let mut exchange = self.exchanges.remove(key).expect("only from what is there one parts");
        let word = match exchange.phase {
            Phase::Broker => publish::unanswered(),
            Phase::Nodes(_) => inquiry::unanswered(),
            _ if exchange.is_mid_request() => {
                Refusal::new(408, "the request did not arrive in time", "send the request in one piece").into()
            }
            _ => return,
        };
        // Whoever does not take it now has had its time.
        let _ = exchange.send(word.into_bytes(Persistence::Close, Extent::Whole), now);
    }

    fn remove(&mut self, key: ExchangeKey) -> Step {
        self.exchanges.remove(key);
        Step::Gone
    }
}

/// What the client wants done with the connection (RFC 9112 §9.3).
fn persistence(head: &Head<'_>) -> Persistence {
    match head.version {
        _ if !head.keep_alive() => Persistence::Close,
        Version::Http10 => Persistence::Stated,
        Version::Http11 => Persistence::Implied,
    }
}

#[cfg(test)]
mod tests;
