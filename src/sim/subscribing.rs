//! Connections that follow many topics by their own wish: what a subscription promises and when.

use super::place::{self, Place, WELCOME};
use super::socket::{Wire, WireState};
use crate::engine::message::{Message, Origin};
use crate::engine::placement::Placement;
use crate::engine::protocol::{
    Action, Actions, Answer, ClientMessage, Encoding, Notice, Protocol, PublishError, RAW_TEXT, Sealed, Seat,
};
use crate::engine::shard::Limits;
use crate::engine::topic::{Topic, TopicHasher};
use crate::wire::close::CloseCode;
use crate::wire::frame;
use bytes::Bytes;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

const HASHER: TopicHasher = TopicHasher::with_key((3, 4));

/// `+a` follows a, `-a` leaves it, `!a` publishes to it; the answers are `=a`, `~a`, and `>a` or `?a` where that cannot
/// be.
struct Commands(&'static Encoding);

/// Events end with the number of who has published them.
static SIGNED: Encoding = Encoding {
    name: "signed",
    seal: |_, message| {
        let number = message.payload().last().and_then(|last| char::from(*last).to_digit(10));
        Ok(Sealed { frame: message.text_frame().clone(), except: number.map(|number| Origin(number.into())) })
    },
};

/// The publisher all of these clients say they are.
const SELF: Origin = Origin(7);

impl Protocol for Commands {
    fn encoding(&self) -> &'static Encoding {
        self.0
    }
    fn origin(&self) -> Option<Origin> {
        Some(SELF)
    }
    fn opened(&mut self, _peer: SocketAddr, _seat: &Seat<'_>, _actions: &mut Actions) {}
    fn answered(&mut self, topic: &Topic, answer: Answer, actions: &mut Actions) {
        actions.push(super::say(answer, topic));
    }
    fn unpublished(&mut self, topic: &Topic, error: PublishError, actions: &mut Actions) {
        actions.push(Action::Send(frame::text(&format!("{error:?} {}", topic.display()))));
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
    place: Place,
    encoding: &'static Encoding,
    wire: Rc<RefCell<Wire>>,
}

impl Talk {
    fn begin() -> Self {
        Self::about(3)
    }

    /// A client that may follow so many topics.
    fn about(topics_per_connection_max: usize) -> Self {
        let limits = Limits { topics_per_connection_max, ..place::limits() };
        let place = place::build(1, HASHER, limits).0.remove(0);
        let mut talk = Self { place, encoding: &RAW_TEXT, wire: Rc::default() };
        talk.another(Placement::Anywhere);
        assert_eq!(talk.heard(), WELCOME);
        talk
    }

    /// Another client of the shard is the one that speaks from now on.
    fn another(&mut self, placement: Placement) {
        self.wire = Rc::default();
        self.place.arrive(&self.wire, Commands(self.encoding), placement);
    }

    /// The client says something; what the broker is told by that: topic, followers, ticket.
    fn say(&mut self, command: &str) -> Vec<(String, u32, Option<u64>)> {
        let length = u8::try_from(command.len()).expect("commands are short");
        let mut bytes = [&[0x81, 0x80 | length, 0, 0, 0, 0], command.as_bytes()].concat();
        let id = self.wire.borrow().seat.expect("it has a seat");
        self.place.shard.received(id, &mut bytes);
        self.told()
    }

    fn told(&mut self) -> Vec<(String, u32, Option<u64>)> {
        let interests = self.place.shard.outgoing().interests.drain(..);
        interests.map(|news| (news.topic.display().into_owned(), news.followers, news.ticket)).collect()
    }

    fn deliver(&mut self, name: &str, event: &str) {
        if let Some(place) = self.place.shard.subscriptions().find(&topic(name)) {
            self.place.shard.deliver(place, &Message::copied(topic(name), event));
        }
    }

    /// An event is delivered; what the client gets by the end of the turn.
    fn publish(&mut self, name: &str) -> Vec<u8> {
        self.deliver(name, "event");
        self.heard()
    }

    fn heard(&mut self) -> Vec<u8> {
        self.place.end_turn();
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
    talk.place.shard.listening(ticket(&told));
    assert_eq!(talk.heard(), b"\x81\x02=a");
    assert_eq!(talk.publish("a"), b"\x81\x05event");
    assert_eq!(talk.publish("b"), b"");
    assert_eq!(talk.say("-a"), [("a".to_owned(), 0, None)]);
    assert_eq!(talk.publish("a"), b"\x81\x02~a");
}

#[test]
fn who_comes_and_who_leaves_within_a_turn_gets_exactly_what_was_delivered_in_between() {
    let mut talk = Talk::begin();
    talk.another(Placement::Keyed(topic("a")));
    let waiting = ticket(&talk.told());
    talk.place.shard.listening(waiting);
    assert_eq!(talk.heard(), WELCOME, "somebody follows already");
    talk.another(Placement::Anywhere);
    talk.heard();
    let told = talk.say("+a");
    for (number, event) in ["early", "timely", "late"].into_iter().enumerate() {
        match number {
            1 => talk.place.shard.listening(ticket(&told)),
            2 => drop(talk.say("-a")),
            _ => {}
        }
        talk.deliver("a", event);
    }
    assert_eq!(talk.heard(), b"\x81\x02=a\x81\x06timely\x81\x02~a");
}

#[test]
fn subscribing_twice_is_one_subscription_confirmed_twice() {
    let mut talk = Talk::begin();
    let told = talk.say("+a");
    assert_eq!(talk.say("+a"), [], "the broker is asked once");
    talk.place.shard.listening(ticket(&told));
    assert_eq!(talk.heard(), b"\x81\x02=a\x81\x02=a");
    assert_eq!(talk.say("+a"), []);
    assert_eq!(talk.publish("a"), b"\x81\x02=a\x81\x05event");
    talk.say("-a");
    assert_eq!(talk.publish("a"), b"\x81\x02~a", "it ends as one");
}

#[test]
fn a_connection_follows_so_many_topics_and_no_more() {
    let mut talk = Talk::begin();
    let tickets: Vec<u64> = ["+a", "+b", "+c"].into_iter().map(|wish| ticket(&talk.say(wish))).collect();
    assert_eq!(talk.say("+d"), []);
    assert_eq!(talk.heard(), b"\x81\x02>d", "three are asked for");
    for ticket in tickets {
        talk.place.shard.listening(ticket);
    }
    talk.say("+d");
    assert_eq!(talk.heard(), b"\x81\x02=a\x81\x02=b\x81\x02=c\x81\x02>d", "three are followed");
    talk.say("-d");
    talk.say("-b");
    assert_eq!(talk.heard(), b"\x81\x02?d\x81\x02~b");
    assert_eq!(talk.say("+d").len(), 1);
}

#[test]
fn a_publisher_gets_everybody_elses_events_of_a_turn_in_their_order_and_none_of_its_own() {
    let mut talk = Talk::begin();
    talk.encoding = &SIGNED;
    talk.another(Placement::Anywhere);
    talk.heard();
    for wish in ["+a", "+b"] {
        let told = talk.say(wish);
        talk.place.shard.listening(ticket(&told));
    }
    talk.heard();
    for event in ["one1", "two7", "two2", "thr7", "thr3"] {
        talk.deliver("a", event);
    }
    talk.deliver("b", "own7");
    assert_eq!(talk.heard(), b"\x81\x04one1\x81\x04two2\x81\x04thr3");
    talk.deliver("a", "own7");
    assert_eq!(talk.heard(), b"");
    let told = talk.say("-a");
    assert_eq!(told.len(), 1);
    talk.deliver("a", "one1");
    talk.deliver("a", "two7");
    assert_eq!(talk.heard(), b"\x81\x02~a", "who has left gets nothing");
}

#[test]
fn an_event_is_encoded_once_for_all_who_get_it_in_the_same_form() {
    let mut talk = Talk::begin();
    for encoding in [&RAW_TEXT, &SIGNED, &RAW_TEXT, &SIGNED, &SIGNED] {
        talk.encoding = encoding;
        talk.another(Placement::Keyed(topic("a")));
        let told = talk.told();
        talk.place.shard.listening(ticket(&told));
    }
    let encodes = |talk: &Talk| talk.place.metrics.encodings().collect::<Vec<_>>();
    for event in ["x", "y"] {
        talk.deliver("a", event);
    }
    talk.deliver("nobody follows this", "z");
    assert_eq!(encodes(&talk), [("raw_text", 2), ("signed", 2)]);
}

#[test]
fn fifty_topics_that_touch_a_connection_in_one_turn_cost_one_write() {
    let mut talk = Talk::about(50);
    let names: Vec<String> = (0..50).map(|number| format!("topic {number}")).collect();
    for name in &names {
        let told = talk.say(&format!("+{name}"));
        talk.place.shard.listening(ticket(&told));
    }
    talk.heard();
    let before = talk.place.metrics.kernel_sends.get();
    for name in &names {
        talk.deliver(name, "event");
    }
    assert_eq!(talk.heard(), b"\x81\x05event".repeat(50));
    assert_eq!(talk.place.metrics.kernel_sends.get() - before, 1);
}

#[test]
fn leaving_before_the_confirmation_leaves_nothing_behind() {
    let mut talk = Talk::begin();
    let waiting = ticket(&talk.say("+a"));
    assert_eq!(talk.say("-a"), []);
    assert_eq!(talk.heard(), b"\x81\x02=a\x81\x02~a", "both wishes have their answer");
    talk.place.shard.listening(waiting);
    assert_eq!(talk.told(), [("a".to_owned(), 0, None)], "now it is given up");
    assert_eq!(talk.publish("a"), b"");
}

#[test]
fn a_client_that_breaks_off_before_the_confirmation_leaves_nothing_behind() {
    let mut talk = Talk::begin();
    let waiting = ticket(&talk.say("+a"));
    let id = talk.wire.borrow().seat.expect("it has a seat");
    talk.wire.borrow_mut().state = WireState::Broken;
    talk.place.shard.readable(id, &mut [0; 16]);
    talk.place.shard.listening(waiting);
    assert_eq!(talk.told(), [("a".to_owned(), 0, None)]);
    assert!(talk.place.shard.is_empty());
}

#[test]
fn coming_back_before_the_confirmation_counts_from_the_first_one() {
    let mut talk = Talk::begin();
    let first = ticket(&talk.say("+a"));
    talk.say("-a");
    let second = ticket(&talk.say("+a"));
    assert_eq!(talk.heard(), b"\x81\x02=a\x81\x02~a");
    talk.place.shard.listening(first);
    assert_eq!(talk.publish("a"), b"\x81\x02=a\x81\x05event");
    talk.place.shard.listening(second);
    assert_eq!(talk.publish("a"), b"\x81\x05event", "one subscription");
    talk.say("-a");
    assert!(talk.place.shard.subscriptions().find(&topic("a")).is_none(), "nothing is left of the second ticket");
}

#[test]
fn a_publication_that_fails_is_told_to_its_client() {
    let mut talk = Talk::begin();
    let id = talk.wire.borrow().seat.expect("it has a seat");
    talk.place.shard.unpublished(id, &topic("a"), PublishError::Unavailable);
    assert_eq!(talk.heard(), b"\x81\x0dUnavailable a");
}

#[test]
fn what_a_client_publishes_goes_to_the_broker() {
    let mut talk = Talk::begin();
    talk.say("!a");
    let publications = std::mem::take(&mut talk.place.shard.outgoing().publications);
    assert_eq!(publications.len(), 1);
    assert_eq!((publications[0].topic.name(), &publications[0].payload[..]), (&b"a"[..], &b"from a client"[..]));
}
