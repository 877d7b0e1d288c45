//! Connections that follow, leave and broadcast at random, over several shards.
//!
//! - Nobody misses anything between the answers to `subscribe` and `unsubscribe` without being told, nobody gets anything
//!   outside of them, and nobody gets their own.
//! - Every wish has its answer, whatever becomes of events: who cannot be answered is closed with 4001.

use super::place::{self, Place, WELCOME};
use super::seeds;
use super::socket::{Wire, WireState};
use crate::engine::frame::held_bytes;
use crate::engine::message::{Message, Origin};
use crate::engine::placement::Placement;
use crate::engine::protocol::{
    Action, Actions, Answer, ClientMessage, Encoding, Notice, Protocol, Sealed, Seat, SlowPolicy,
};
use crate::engine::shard::Limits;
use crate::engine::topic::{Topic, TopicHasher};
use crate::router::{Publications, Router};
use crate::wire::close::CloseCode;
use crate::wire::frame;
use bytes::Bytes;
use fastrand::Rng;
use futures_lite::future::{block_on, poll_once};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

const HASHER: TopicHasher = TopicHasher::with_key((5, 6));
const TOPICS: usize = 4;
const CLIENTS: usize = 12;
const STEPS: usize = 800;
/// So little that a few answers fill it.
const OUTBOUND_BYTES_MIN: usize = 5 * held_bytes(1);

/// Says `+t`, `-t` or `!t`; hears `=t`, `~t`, `>t`, `?t`, events `t:number:publisher`, and `!n` where n are missing.
struct Chatter {
    number: usize,
    slow_policy: SlowPolicy,
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
    fn slow_policy(&self) -> SlowPolicy {
        self.slow_policy
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
    fn notice(&self, notice: &Notice) -> Option<Bytes> {
        let Notice::Missed(missed) = notice else { panic!("there is no other news") };
        Some(frame::text(&format!("!{missed}")))
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
    TooMany(usize),
    NotSubscribed(usize),
    /// Of a topic, the event with this number.
    Event(usize, usize),
    /// So many are missing here.
    Missed(usize),
    Closed(u16),
}

struct Client {
    number: usize,
    wire: Rc<RefCell<Wire>>,
    /// Of each topic, what it has wished: `+` or `-`.
    wishes: [VecDeque<char>; TOPICS],
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
        let outbound_bytes_max = [place::limits().outbound_bytes_max, OUTBOUND_BYTES_MIN][random.usize(..2)];
        let limits = Limits { outbound_bytes_max, ..place::limits() };
        let (places, router, publications) = place::build(random.usize(1..=4), HASHER, limits);
        let published = vec![Vec::new(); TOPICS];
        let mut hall = Self { random, places, router, publications, clients: Vec::new(), published };
        (0..CLIENTS).for_each(|_| hall.connect());
        hall
    }

    fn connect(&mut self) {
        let (number, shard) = (self.clients.len(), self.random.usize(..self.places.len()));
        let slow_policy = [SlowPolicy::Close, SlowPolicy::DropOldest, SlowPolicy::Latest][self.random.usize(..3)];
        let client = Client::new(number);
        self.places[shard].arrive(&client.wire, Chatter { number, slow_policy }, Placement::Anywhere);
        self.clients.push(client);
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
        let (sign, topic) = (['+', '+', '-', '!'][self.random.usize(..4)], self.random.usize(..TOPICS));
        self.clients[client].say(sign, topic);
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
        for client in &self.clients {
            client.check(&self.published, &format!("seed {seed}, client {}", client.number));
        }
    }
}

impl Client {
    fn new(number: usize) -> Self {
        let (wire, wishes, heard) = Default::default();
        Self { number, wire, wishes, heard, read_bytes: WELCOME.len(), has_left: false }
    }

    fn say(&mut self, sign: char, topic: usize) {
        let text = format!("{sign}{topic}");
        let length = u8::try_from(text.len()).expect("wishes are short");
        let bytes = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.wire.borrow_mut().to_server.extend(bytes);
        if sign != '!' {
            self.wishes[topic].push_back(sign);
        }
    }

    /// Reads the frames that have come since.
    fn hear(&mut self, published: &[Vec<Option<usize>>]) {
        let wire = self.wire.borrow();
        while let [kind, length, rest @ ..] = &wire.to_client[self.read_bytes.min(wire.to_client.len())..]
            && let Some(payload) = rest.get(..usize::from(*length))
        {
            self.read_bytes += 2 + payload.len();
            self.heard.push(match *kind {
                0x81 => Heard::of(str::from_utf8(payload).expect("text is UTF-8"), published),
                0x88 => Heard::Closed(payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code))),
                other => panic!("a frame of kind {other:#x}"),
            });
        }
    }

    /// From each `=` to its `~` all that others have published, in their order, or word of how many are missing; nothing
    /// outside; and an answer to every wish, in their order.
    fn check(&self, published: &[Vec<Option<usize>>], context: &str) {
        let of_others = |topic: usize, from: usize, to: usize| {
            published[topic][from.min(to)..to].iter().filter(|&&publisher| publisher != Some(self.number)).count()
        };
        let mut wishes = self.wishes.clone();
        // Of each topic that it follows, what comes next, and whether anything before it may come, too.
        let mut follows: [Option<(usize, bool)>; TOPICS] = [None; TOPICS];
        let (mut missed, mut told) = (0, 0);
        for heard in &self.heard {
            if let Some((sign, topic)) = heard.wish() {
                assert_eq!(wishes[topic].pop_front(), Some(sign), "{context}: {heard:?} answers nothing");
            }
            match *heard {
                Heard::Subscribed(topic, by_then) => _ = follows[topic].get_or_insert((by_then, true)),
                Heard::Unsubscribed(topic) => assert!(follows[topic].take().is_some(), "{context}: left {topic} twice"),
                Heard::TooMany(topic) | Heard::NotSubscribed(topic) => {
                    assert_eq!(follows[topic], None, "{context}: it does follow {topic}");
                }
                Heard::Event(topic, event) => {
                    let (next, is_first) = follows[topic].unwrap_or_else(|| panic!("{context}: {heard:?} is unasked"));
                    assert_ne!(published[topic][event], Some(self.number), "{context}: its own {heard:?}");
                    assert!(event >= next || is_first, "{context}: {heard:?} instead of {next}");
                    missed += of_others(topic, next, event);
                    follows[topic] = Some((event + 1, false));
                }
                Heard::Missed(count) => told += count,
                Heard::Closed(code) => assert!(code == 4001 && told > 0, "{context}: {code}, {told} are missing"),
            }
            assert!(missed <= told, "{context}: {missed} are missing before {heard:?}, it was told of {told}");
        }
        let wire = self.wire.borrow();
        if self.has_left || wire.state != WireState::Whole {
            return;
        }
        assert!(wire.to_client.starts_with(WELCOME), "{context}: it waits for its welcome");
        assert!(wishes.iter().all(VecDeque::is_empty), "{context}: no answer to {wishes:?}");
        for (topic, events) in published.iter().enumerate() {
            missed += follows[topic].map_or(0, |(next, _)| of_others(topic, next, events.len()));
        }
        assert!(missed <= told, "{context}: {missed} are missing in the end, it was told of {told}");
    }
}

impl Heard {
    fn of(text: &str, published: &[Vec<Option<usize>>]) -> Self {
        let numbers: Vec<usize> =
            text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
        match &text[..1] {
            "=" => Self::Subscribed(numbers[0], published[numbers[0]].len()),
            "~" => Self::Unsubscribed(numbers[0]),
            "?" => Self::NotSubscribed(numbers[0]),
            ">" => Self::TooMany(numbers[0]),
            "!" => Self::Missed(numbers[0]),
            _ => Self::Event(numbers[0], numbers[1]),
        }
    }

    /// The wish that this answers, and the topic.
    fn wish(&self) -> Option<(char, usize)> {
        match *self {
            Self::Subscribed(topic, _) | Self::TooMany(topic) => Some(('+', topic)),
            Self::Unsubscribed(topic) | Self::NotSubscribed(topic) => Some(('-', topic)),
            Self::Event(..) | Self::Missed(_) | Self::Closed(_) => None,
        }
    }
}

#[test]
fn every_wish_is_answered_and_between_answers_come_all_events_of_others_in_order_or_word_of_those_missing() {
    let (mut events, mut refused, mut missed, mut closed) = (0, 0, 0, 0);
    let are_many = seeds::play("channels", |seed| {
        let mut hall = Hall::new(seed);
        for _ in 0..STEPS {
            hall.step();
        }
        hall.settle();
        hall.check(seed);
        for heard in hall.clients.iter().flat_map(|client| &client.heard) {
            match *heard {
                Heard::Event(..) => events += 1,
                Heard::TooMany(_) => refused += 1,
                Heard::Missed(count) => missed += count,
                Heard::Closed(_) => closed += 1,
                _ => {}
            }
        }
    });
    let happened = [events, refused, missed, closed];
    let is_enough = happened.into_iter().zip([10_000, 100, 1_000, 100]).all(|(count, enough)| count > enough);
    assert!(is_enough || !are_many, "the schedules bring about what they are for: {happened:?}");
}
