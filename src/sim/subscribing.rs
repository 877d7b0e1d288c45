//! Connections that follow many topics by their own wish: what a subscription promises and when.

use super::socket::{PretendOutlet, PretendSocket, Wire, WireState};
use crate::engine::close::CloseCode;
use crate::engine::heartbeat::Rhythm;
use crate::engine::message::Message;
use crate::engine::placement::Placement;
use crate::engine::protocol::{Action, Actions, Admission, ClientMessage, Encoding, Notice, Protocol, RAW_TEXT, Seat};
use crate::engine::shard::{Arrival, Limits, Shard};
use crate::engine::timers::Tick;
use crate::engine::topic::{Topic, TopicHasher};
use crate::wire::frame;
use bytes::Bytes;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const HASHER: TopicHasher = TopicHasher::with_key((3, 4));

/// `+a` follows a, `-a` leaves it, `!a` publishes to it; `=a` answers that a is followed.
struct Commands;

impl Protocol for Commands {
    fn encoding(&self) -> &'static Encoding {
        &RAW_TEXT
    }
    fn opened(&mut self, _peer: SocketAddr, _seat: &Seat<'_>, _actions: &mut Actions) {}
    fn subscribed(&mut self, topic: &Topic, actions: &mut Actions) {
        actions.push(Action::Send(frame::text(&format!("={}", topic.display()))));
    }
    fn received(&mut self, message: ClientMessage<'_>, actions: &mut Actions) {
        let ClientMessage::Text(text) = message else { return };
        let topic = topic(&text[1..]);
        actions.push(match &text[..1] {
            "+" => Action::Subscribe(topic),
            "-" => Action::Unsubscribe(topic),
            _ => Action::Publish { topic, payload: Bytes::from_static(b"from a client") },
        });
    }
    fn notice(&self, _notice: &Notice) -> Option<Bytes> {
        None
    }
    fn closed(&self, _seat: &Seat<'_>, _code: CloseCode) {}
}

fn topic(name: &str) -> Topic {
    HASHER.topic(Bytes::copy_from_slice(name.as_bytes()))
}

/// One shard with one client.
struct Talk {
    shard: Shard<PretendSocket>,
    wire: Rc<RefCell<Wire>>,
}

impl Talk {
    fn begin() -> Self {
        let limits = Limits {
            outbound_bytes_max: 10_000,
            client_message_bytes_max: 1_000,
            client_messages_per_second: 0,
            rhythm: Rhythm { ping_interval: None, pong_timeout: Duration::from_secs(60) },
        };
        let mut talk = Self { shard: Shard::new(limits, Arc::default(), Tick::default()), wire: Rc::default() };
        talk.another(Placement::Anywhere);
        assert_eq!(talk.heard(), b"101");
        talk
    }

    /// Another client of the shard is the one that speaks from now on.
    fn another(&mut self, placement: Placement) {
        self.wire = Rc::new(RefCell::new(Wire::default()));
        self.shard.arrive(Arrival {
            socket: PretendSocket(Rc::clone(&self.wire)),
            peer: ([127, 0, 0, 1], 1).into(),
            admission: Admission { protocol: Box::new(Commands), placement },
            response: Bytes::from_static(b"101"),
            unread: Bytes::new(),
        });
    }

    /// The client says something; what the broker is told by that: topic, followers, ticket.
    fn say(&mut self, command: &str) -> Vec<(String, u32, Option<u64>)> {
        let length = u8::try_from(command.len()).expect("commands are short");
        let mut bytes = [&[0x81, 0x80 | length, 0, 0, 0, 0], command.as_bytes()].concat();
        let id = self.wire.borrow().seat.expect("it has a seat");
        self.shard.received(id, &mut bytes);
        self.told()
    }

    fn told(&mut self) -> Vec<(String, u32, Option<u64>)> {
        let interests = self.shard.outgoing().interests.drain(..);
        interests.map(|news| (news.topic.display().into_owned(), news.followers, news.ticket)).collect()
    }

    fn deliver(&mut self, name: &str, event: &str) {
        if let Some(place) = self.shard.place(&topic(name)) {
            self.shard.deliver(place, &Message::copied(topic(name), event));
        }
    }

    /// An event is delivered; what the client gets by the end of the turn.
    fn publish(&mut self, name: &str) -> Vec<u8> {
        self.deliver(name, "event");
        self.heard()
    }

    fn heard(&mut self) -> Vec<u8> {
        self.shard.end_turn(&mut PretendOutlet);
        std::mem::take(&mut self.wire.borrow_mut().to_client)
    }
}

fn ticket(told: &[(String, u32, Option<u64>)]) -> u64 {
    told[0].2.expect("a subscription waits for its confirmation")
}

#[test]
fn a_subscription_delivers_from_its_confirmation_on_and_ends_at_once() {
    let mut talk = Talk::begin();
    let told = talk.say("+a");
    assert_eq!((told[0].0.as_str(), told[0].1), ("a", 1));
    assert_eq!(talk.publish("a"), b"", "before the confirmation nothing arrives");
    talk.shard.listening(ticket(&told));
    assert_eq!(talk.heard(), b"\x81\x02=a");
    assert_eq!(talk.publish("a"), b"\x81\x05event");
    assert_eq!(talk.publish("b"), b"");
    assert_eq!(talk.say("-a"), [("a".to_owned(), 0, None)]);
    assert_eq!(talk.publish("a"), b"");
}

#[test]
fn who_comes_and_who_leaves_within_a_turn_gets_exactly_what_was_delivered_in_between() {
    let mut talk = Talk::begin();
    talk.another(Placement::Keyed(topic("a")));
    let waiting = ticket(&talk.told());
    talk.shard.listening(waiting);
    assert_eq!(talk.heard(), b"101", "somebody follows already");
    talk.another(Placement::Anywhere);
    talk.heard();
    let told = talk.say("+a");
    for (number, event) in ["early", "timely", "late"].into_iter().enumerate() {
        match number {
            1 => talk.shard.listening(ticket(&told)),
            2 => drop(talk.say("-a")),
            _ => {}
        }
        talk.deliver("a", event);
    }
    assert_eq!(talk.heard(), b"\x81\x02=a\x81\x06timely");
}

#[test]
fn subscribing_twice_is_one_subscription_confirmed_twice() {
    let mut talk = Talk::begin();
    let tickets = [ticket(&talk.say("+a")), ticket(&talk.say("+a"))];
    for ticket in tickets {
        talk.shard.listening(ticket);
    }
    assert_eq!(talk.heard(), b"\x81\x02=a\x81\x02=a");
    assert_eq!(talk.told(), [("a".to_owned(), 1, None)], "one follower is left of two that were expected");
    assert_eq!(talk.publish("a"), b"\x81\x05event");
}

#[test]
fn leaving_before_the_confirmation_leaves_nothing_behind() {
    let mut talk = Talk::begin();
    let waiting = ticket(&talk.say("+a"));
    assert_eq!(talk.say("-a"), [("a".to_owned(), 0, None)]);
    talk.shard.listening(waiting);
    assert_eq!(talk.publish("a"), b"");
}

#[test]
fn a_client_that_breaks_off_before_the_confirmation_leaves_nothing_behind() {
    let mut talk = Talk::begin();
    let waiting = ticket(&talk.say("+a"));
    let id = talk.wire.borrow().seat.expect("it has a seat");
    talk.wire.borrow_mut().state = WireState::Broken;
    talk.shard.readable(id, &mut [0; 16]);
    talk.shard.listening(waiting);
    assert_eq!(talk.told(), [("a".to_owned(), 0, None)]);
    assert!(talk.shard.is_empty());
}

#[test]
fn what_a_client_publishes_goes_to_the_broker() {
    let mut talk = Talk::begin();
    talk.say("!a");
    let publications = std::mem::take(&mut talk.shard.outgoing().publications);
    assert_eq!(publications.len(), 1);
    assert_eq!((publications[0].topic.name(), &publications[0].payload[..]), (&b"a"[..], &b"from a client"[..]));
}
