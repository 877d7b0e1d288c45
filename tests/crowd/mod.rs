//! A shard full of workflow clients behind pretend sockets that take everything, count it and keep nothing.
#![allow(dead_code, reason = "tests and benches share this; each uses a part of it")]

use bytes::{Bytes, BytesMut};
use fanout::ear::{Rhythm, Tick};
use fanout::engine::connection::{ConnectionId, Outlet, Send, Socket, Watch};
use fanout::engine::mesh::Adoption;
use fanout::engine::message::Message;
use fanout::engine::protocol::SlowPolicy;
use fanout::engine::shard::{Limits, Shard};
use fanout::engine::topic::{Topic, TopicHasher};
use fanout::http::{Family, Request};
use fanout::mesh::NodeId;
use fanout::protocols::flux::FluxSettings;
use fanout::protocols::{ProtocolSettings, families};
use fanout::wire::{frame, head};
use std::cell::Cell;
use std::io::{self, Read};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const PREFIX: &str = "workflow:events:";

/// The channel of the first user.
pub(crate) const CHANNEL: &[u8] = b"workflow:events:00000000-0000-4000-8000-000000000000";

/// Always the same hashes, so that counts can be repeated.
pub(crate) const HASHER: TopicHasher = TopicHasher::with_key((1, 2));

/// Time between pings to a client.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(54);

/// Connections that come within one turn: as many as a shard takes over at most.
const ARRIVALS_PER_TURN: usize = 256;

/// A shard, its clients, and what their sockets took.
pub(crate) struct Crowd {
    pub(crate) shard: Shard<Sink>,
    pub(crate) taken: Rc<Taken>,
    hasher: TopicHasher,
}

/// What all sockets together took.
#[derive(Default)]
pub(crate) struct Taken {
    /// Kernel calls.
    pub(crate) calls: Cell<usize>,
    /// Bytes.
    pub(crate) bytes: Cell<usize>,
    /// Calls whose bytes stood elsewhere in memory than those of the call before: 0 if all clients share them.
    pub(crate) moves: Cell<usize>,
    /// Where the bytes of the latest call stand.
    pub(crate) place: Cell<usize>,
}

/// A socket that takes everything; as large as a real one with its descriptor, its epoll set and its token.
pub(crate) struct Sink {
    taken: Rc<Taken>,
    seat: Option<ConnectionId>,
}

/// The way to all of them.
struct Drain;

fn flux_settings() -> FluxSettings {
    FluxSettings {
        base_path: "/flux".to_owned(),
        prefix: "flux:".to_owned(),
        broadcast_is_open: true,
        channels: vec!["*".to_owned()],
        event_bytes_max: 1 << 20,
        slow_policy: SlowPolicy::Close,
    }
}

impl Crowd {
    /// So many connections, spread evenly over `topics` users.
    pub(crate) fn new(connections: usize, topics: usize) -> Self {
        Self::of((0..connections).map(|connection| connection % topics))
    }

    /// A connection for each of these users.
    pub(crate) fn of(users: impl IntoIterator<Item = usize>) -> Self {
        // Chooses the moments of the first pings.
        fastrand::seed(1);
        let limits = Limits {
            outbound_bytes_max: 1 << 20,
            outbound_total_bytes_max: usize::MAX,
            write_timeout: Duration::from_secs(10),
            event_lifetime: None,
            client_message_bytes_max: 64 * 1024,
            topics_per_connection_max: 128,
            client_messages_per_second: 10,
            rhythm: Rhythm { ping_interval: Some(PING_INTERVAL), pong_timeout: Duration::from_secs(60) },
        };
        let shard = Shard::new(NodeId::shard(0), limits, Arc::default(), Tick::default());
        let mut crowd = Self { shard, taken: Rc::default(), hasher: HASHER };
        let settings = ProtocolSettings {
            workflow_prefix: PREFIX.to_owned(),
            workflow_slow_policy: SlowPolicy::Close,
            flux: flux_settings(),
            echo_path: None,
        };
        let workflow = families(&settings, crowd.hasher).remove(0);
        for (connection, user) in users.into_iter().enumerate() {
            crowd.arrive(&workflow, user);
            if connection % ARRIVALS_PER_TURN == 0 {
                crowd.seat_all();
            }
        }
        crowd.seat_all();
        crowd
    }

    /// The topic of a user.
    pub(crate) fn topic(&self, user: usize) -> Topic {
        self.hasher.topic(Bytes::from(format!("{PREFIX}{}", name(user))))
    }

    /// Events for a user as they come from Redis: sealed in place, in one chunk.
    pub(crate) fn events(&self, user: usize, count: usize, payload_bytes: usize) -> Vec<Message> {
        let topic = self.topic(user);
        let mut chunk = BytesMut::new();
        let sealed: Vec<_> = (0..count)
            .map(|_| {
                let payload = push(&mut chunk, topic.name(), payload_bytes);
                frame::seal_in_place(&mut chunk, payload)
            })
            .collect();
        let chunk = chunk.freeze();
        sealed.iter().map(|sealed| Message::sealed(topic.clone(), sealed.cut(&chunk))).collect()
    }

    /// One turn that brings these messages.
    pub(crate) fn turn(&mut self, messages: &[Message]) {
        self.deliver(messages);
        self.end_turn();
    }

    /// The first half of a turn: takes these messages, all of one topic.
    pub(crate) fn deliver(&mut self, messages: &[Message]) {
        let Some(place) = messages.first().and_then(|message| self.shard.subscriptions().find(&message.topic)) else {
            return;
        };
        for message in messages {
            self.shard.deliver(place, message);
        }
    }

    /// The second half of a turn: offers them to their followers and writes.
    pub(crate) fn end_turn(&mut self) {
        self.shard.end_turn(&mut Drain);
    }

    fn arrive(&mut self, workflow: &Family, user: usize) {
        let request = format!("GET /ws?username={} HTTP/1.1\r\nhost: localhost\r\n\r\n", name(user));
        let head = head::parse(request.as_bytes()).ok().flatten().expect("a whole request");
        let peer = ([127, 0, 0, 1], 1024).into();
        let admission = (workflow.admit)(&Request::new(&head, peer)).expect("a good username");
        let response = Bytes::from_static(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        let socket = Sink { taken: Rc::clone(&self.taken), seat: None };
        self.shard.arrive(Adoption {
            socket,
            peer,
            admission,
            response,
            unread: Bytes::new(),
            lifetime: None,
            permit: None,
        });
    }

    /// Plays the broker, which knows of every interest at once.
    fn seat_all(&mut self) {
        let tickets: Vec<u64> =
            self.shard.outgoing().interests.drain(..).filter_map(|interest| interest.ticket).collect();
        for ticket in tickets {
            self.shard.listening(ticket);
        }
        self.shard.end_turn(&mut Drain);
    }
}

/// As long as a UUID, which is what users are called in practice.
fn name(user: usize) -> String {
    format!("00000000-0000-4000-8000-{user:012}")
}

/// Appends an event as Redis sends it to a pattern's subscriber; says where its payload is.
pub(crate) fn push(chunk: &mut BytesMut, channel: &[u8], payload_bytes: usize) -> Range<usize> {
    chunk.extend_from_slice(b"*4\r\n$8\r\npmessage\r\n$17\r\nworkflow:events:*\r\n");
    chunk.extend_from_slice(format!("${}\r\n", channel.len()).as_bytes());
    chunk.extend_from_slice(channel);
    chunk.extend_from_slice(format!("\r\n${payload_bytes}\r\n").as_bytes());
    let start = chunk.len();
    chunk.resize(start + payload_bytes, b'x');
    chunk.extend_from_slice(b"\r\n");
    start..start + payload_bytes
}

impl Taken {
    fn take(&self, bytes: &[u8]) -> usize {
        self.calls.update(|calls| calls + 1);
        self.bytes.update(|total| total + bytes.len());
        let place = bytes.as_ptr().addr();
        if self.place.replace(place) != place {
            self.moves.update(|moves| moves + 1);
        }
        bytes.len()
    }
}

impl Socket for Sink {
    fn take_seat(&mut self, id: ConnectionId) {
        self.seat = Some(id);
    }

    fn watch(&mut self, _interest: Watch) {
        unreachable!("{:?} is never late", self.seat);
    }

    fn finish(&mut self) {}
}

impl Read for Sink {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Outlet<Sink> for Drain {
    fn send(&mut self, sends: &[Send<'_, Sink>], taken: &mut Vec<io::Result<usize>>) {
        taken.extend(sends.iter().map(|send| Ok(send.socket.taken.take(send.bytes))));
    }
}
