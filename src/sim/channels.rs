//! Connections that follow, leave and broadcast at random, over several shards: nobody misses anything between the
//! answers to `subscribe` and `unsubscribe`, nobody gets anything outside of them, and nobody gets their own.

use super::place::{self, Place, WELCOME};
use super::seeds;
use super::socket::{Wire, WireState};
use crate::engine::message::{Message, Origin};
use crate::engine::placement::Placement;
use crate::engine::protocol::{Action, Actions, Answer, ClientMessage, Encoding, Notice, Protocol, Sealed, Seat};
use crate::engine::topic::{Topic, TopicHasher};
use crate::router::{Publications, Router};
use crate::wire::close::CloseCode;
use bytes::Bytes;
use fastrand::Rng;
use futures_lite::future::{block_on, poll_once};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

const HASHER: TopicHasher = TopicHasher::with_key((5, 6));
const TOPICS: usize = 4;
const CLIENTS: usize = 12;
const STEPS: usize = 800;

/// Says `+t`, `-t` or `!t`; hears `=t`, `~t`, `>t`, `?t`, and events `t:number:publisher`.
struct Chatter {
    number: usize,
}

/// An event ends with the number of the client that has published it, or with `-`.
static SIGNED: Encoding = Encoding {
    name: "signed",
    seal: |_, message| {
        let text = str::from_utf8(message.payload()).expect("events are text");
        let publisher = text.rsplit(':').next().and_then(|number| number.parse().ok());
        Ok(Sealed { frame: message.text_frame().clone(), except: publisher.map(Origin) })
    },
};

impl Protocol for Chatter {
    fn encoding(&self) -> &'static Encoding {
        &SIGNED
    }
    fn origin(&self) -> Option<Origin> {
        Some(Origin(self.number as u128))
    }
    fn opened(&mut self, _peer: SocketAddr, _seat: &Seat<'_>, _actions: &mut Actions) {}
    fn answered(&mut self, topic: &Topic, answer: Answer, actions: &mut Actions) {
        actions.push(super::say(answer, topic));
    }
    fn received(&mut self, message: ClientMessage<'_>, actions: &mut Actions) {
        let ClientMessage::Text(text) = message else { panic!("chatter is text") };
        let topic = topic(text[1..].parse().expect("a topic's number"));
        actions.push(match &text[..1] {
            "+" => Action::Subscribe(topic),
            "-" => Action::Unsubscribe(topic),
            _ => Action::Publish { topic, payload: Bytes::from(self.number.to_string()) },
        });
    }
    fn notice(&self, _notice: &Notice) -> Option<Bytes> {
        None
    }
    fn closed(&self, _seat: &Seat<'_>, _code: CloseCode) {}
}

fn topic(number: usize) -> Topic {
    HASHER.topic(Bytes::from(number.to_string()))
}

/// What a client has heard, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// `=`, and how many events the topic had by then.
    Subscribed(usize, usize),
    Unsubscribed(usize),
    TooMany,
    NotSubscribed(usize),
    /// Of a topic, the event with this number.
    Event(usize, usize),
}

struct Client {
    wire: Rc<RefCell<Wire>>,
    heard: Vec<Heard>,
    read_bytes: usize,
    has_left: bool,
}

struct Hall {
    random: Rng,
    places: Vec<Place>,
    router: Router,
    publications: Publications,
    clients: Vec<Client>,
    /// Of each topic, who has published its events.
    published: Vec<Vec<Option<usize>>>,
}

impl Hall {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let (places, router, publications) = place::build(random.usize(1..=4), HASHER, place::limits());
        let published = vec![Vec::new(); TOPICS];
        let mut hall = Self { random, places, router, publications, clients: Vec::new(), published };
        (0..CLIENTS).for_each(|_| hall.connect());
        hall
    }

    fn connect(&mut self) {
        let (number, shard) = (self.clients.len(), self.random.usize(..self.places.len()));
        let wire = Rc::default();
        self.places[shard].arrive(&wire, Chatter { number }, Placement::Anywhere);
        self.clients.push(Client { wire, heard: Vec::new(), read_bytes: WELCOME.len(), has_left: false });
    }

    fn step(&mut self) {
        match self.random.u8(..20) {
            0..7 => self.somebody_speaks(),
            7..10 => self.publish(),
            10..16 => {
                let shard = self.random.usize(..self.places.len());
                self.turn(shard);
            }
            16..18 => self.router.take_control(),
            18 => self.broker_publishes(),
            _ if self.random.u8(..8) == 0 => self.somebody_leaves(),
            _ => self.wire_changes(),
        }
    }

    fn somebody_speaks(&mut self) {
        let client = self.random.usize(..self.clients.len());
        let wish =
            format!("{}{}", self.random.choice(['+', '+', '-', '!']).expect("four"), self.random.usize(..TOPICS));
        let length = u8::try_from(wish.len()).expect("wishes are short");
        let bytes = [&[0x81, 0x80 | length, 0, 0, 0, 0], wish.as_bytes()].concat();
        self.clients[client].wire.borrow_mut().to_server.extend(bytes);
    }

    fn somebody_leaves(&mut self) {
        let client = self.random.usize(..self.clients.len());
        self.clients[client].has_left = true;
        let mut wire = self.clients[client].wire.borrow_mut();
        wire.state = wire.state.max(WireState::Broken);
        drop(wire);
        self.connect();
    }

    fn wire_changes(&mut self) {
        let client = self.random.usize(..self.clients.len());
        let room = [None, None, Some(0), Some(1), Some(30)][self.random.usize(..5)];
        self.clients[client].wire.borrow_mut().room = room;
    }

    /// An event from nobody.
    fn publish(&mut self) {
        self.router.take_control();
        for _ in 0..self.random.usize(1..4) {
            let topic = self.random.usize(..TOPICS);
            self.route(topic, None);
        }
        self.router.resend();
    }

    /// What clients wanted published comes back.
    fn broker_publishes(&mut self) {
        self.router.take_control();
        while let Some(Some(publication)) = block_on(poll_once(self.publications.next())) {
            let number = |bytes: &[u8]| str::from_utf8(bytes).expect("text").parse().expect("a number");
            self.route(number(publication.topic.name()), Some(number(&publication.payload)));
        }
        self.router.resend();
    }

    fn route(&mut self, number: usize, publisher: Option<usize>) {
        let events = &mut self.published[number];
        let publisher_name = publisher.map_or("-".to_owned(), |publisher| publisher.to_string());
        let event = format!("{number}:{}:{publisher_name}", events.len());
        events.push(publisher);
        self.router.route(Message::copied(topic(number), &event));
    }

    /// One shard's turn, if it does not sleep.
    fn turn(&mut self, shard: usize) {
        let place = &mut self.places[shard];
        if place.sleeps() {
            return;
        }
        place.take_deliveries(self.random.usize(1..20));
        place.hear();
        place.end_turn();
        for client in &mut self.clients {
            client.hear(&self.published);
        }
    }

    fn settle(&mut self) {
        for client in &self.clients {
            client.wire.borrow_mut().room = None;
        }
        place::settle(|| {
            self.broker_publishes();
            (0..self.places.len()).for_each(|shard| self.turn(shard));
            place::rest(&self.places, &self.router)
        });
    }

    fn check(&self, seed: u64) {
        for (number, client) in self.clients.iter().enumerate() {
            for topic in 0..TOPICS {
                client.check(
                    number,
                    topic,
                    &self.published[topic],
                    &format!("seed {seed}, client {number}, topic {topic}"),
                );
            }
        }
    }
}

impl Client {
    /// Reads the frames that have come since.
    fn hear(&mut self, published: &[Vec<Option<usize>>]) {
        let wire = self.wire.borrow();
        while let [0x81, length, rest @ ..] = &wire.to_client[self.read_bytes.min(wire.to_client.len())..]
            && let Some(text) = rest.get(..usize::from(*length))
        {
            self.read_bytes += 2 + text.len();
            let text = str::from_utf8(text).expect("text is UTF-8");
            let numbers: Vec<usize> =
                text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
            self.heard.push(match &text[..1] {
                "=" => Heard::Subscribed(numbers[0], published[numbers[0]].len()),
                "~" => Heard::Unsubscribed(numbers[0]),
                "?" => Heard::NotSubscribed(numbers[0]),
                ">" => Heard::TooMany,
                _ => Heard::Event(numbers[0], numbers[1]),
            });
        }
    }

    /// Of one topic: from each `=` to its `~` all that others have published, in their order, and nothing outside.
    fn check(&self, number: usize, topic: usize, published: &[Option<usize>], context: &str) {
        let next_of_others =
            |from: usize| (from..published.len()).find(|&event| published[event] != Some(number)).unwrap_or(usize::MAX);
        // What must come next, and whether anything before it may come, too.
        let mut follows: Option<(usize, bool)> = None;
        for heard in &self.heard {
            match *heard {
                Heard::Subscribed(of, by_then) if of == topic => {
                    _ = follows.get_or_insert((next_of_others(by_then), true));
                }
                Heard::Unsubscribed(of) if of == topic => {
                    assert!(follows.take().is_some(), "{context}: left twice");
                }
                Heard::NotSubscribed(of) if of == topic => assert!(follows.is_none(), "{context}: it does follow"),
                Heard::Event(of, event) if of == topic => {
                    let (next, is_first) = follows.unwrap_or_else(|| panic!("{context}: {event} comes unasked"));
                    assert_ne!(published[event], Some(number), "{context}: its own event {event}");
                    assert!(event == next || is_first && event < next, "{context}: {event} instead of {next}");
                    follows = Some((next_of_others(event + 1), false));
                }
                _ => {}
            }
        }
        let wire = self.wire.borrow();
        let is_there = !self.has_left && wire.state == WireState::Whole;
        assert!(!is_there || wire.to_client.starts_with(WELCOME), "{context}: it waits for its welcome");
        if let Some((next, _)) = follows.filter(|_| is_there) {
            assert_eq!(next, usize::MAX, "{context}: the end is missing, {} were published", published.len());
        }
    }
}

#[test]
fn between_its_answers_a_subscription_brings_every_event_of_others_once_and_in_order_and_nothing_outside() {
    let (mut events, mut refused) = (0_u64, 0_u64);
    let are_many = seeds::play("channels", |seed| {
        let mut hall = Hall::new(seed);
        for _ in 0..STEPS {
            hall.step();
        }
        hall.settle();
        hall.check(seed);
        for heard in hall.clients.iter().flat_map(|client| &client.heard) {
            events += u64::from(matches!(heard, Heard::Event(..)));
            refused += u64::from(matches!(heard, Heard::TooMany));
        }
    });
    let is_enough = events > 10_000 && refused > 100;
    assert!(is_enough || !are_many, "the schedules bring about what they are for: {events}, {refused}");
}
