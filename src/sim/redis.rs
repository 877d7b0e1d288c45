//! A pretend Redis at the other end of a subscribing connection: it obeys when the schedule lets it, keeps what it says on
//! its way, and may die at any byte.

use crate::brokers::outbox::Outbox;
use crate::brokers::receive_buffer::ReceiveBuffer;
use crate::wire::resp::command;
use crate::wire::resp::glob;
use crate::wire::resp::request::RequestParser;
use bytes::{BufMut, BytesMut};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

/// Longest word of a command.
const BULK_BYTES_MAX: usize = 1_000;

/// An event on its way: behind which byte it ends, and what it is.
type Underway = (usize, (usize, String));

pub(super) struct PretendRedis {
    outbox: Rc<Outbox>,
    parser: RequestParser,
    commands: Vec<u8>,
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
    /// What it has said since the connection was made, and how much of it has arrived.
    said: BytesMut,
    arrived_bytes: usize,
    underway: VecDeque<Underway>,
    pub(super) is_dead: bool,
}

impl PretendRedis {
    /// One that has taken a connection.
    pub(super) fn new(outbox: Rc<Outbox>) -> Self {
        Self {
            outbox,
            parser: RequestParser::new(BULK_BYTES_MAX),
            commands: Vec::new(),
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            said: BytesMut::new(),
            arrived_bytes: 0,
            underway: VecDeque::new(),
            is_dead: false,
        }
    }

    /// Obeys one command, if there is one.
    pub(super) fn obey(&mut self) {
        let commands = &mut self.commands;
        let taken = self.outbox.drain(|bytes| {
            commands.extend_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        });
        taken.expect("it always takes all");
        let Some(request) = self.parser.parse(&self.commands).expect("it is a command") else { return };
        let words: Vec<Vec<u8>> = request.words.of(&self.commands).iter().map(|word| word.to_vec()).collect();
        self.commands.drain(..request.bytes);
        let (name, arguments) = words.split_first().expect("a command has a name");
        for argument in arguments {
            match &name[..] {
                b"SUBSCRIBE" => _ = self.channels.insert(argument.clone()),
                b"PSUBSCRIBE" => _ = self.patterns.insert(argument.clone()),
                b"UNSUBSCRIBE" => _ = self.channels.remove(argument),
                other => panic!("nobody needs {}", other.escape_ascii()),
            }
            self.confirm(name, argument);
        }
        if name == b"PING" {
            self.said.put_slice(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n");
        }
    }

    fn confirm(&mut self, name: &[u8], argument: &[u8]) {
        let name = name.to_ascii_lowercase();
        for word in [&b"*3\r\n"[..], format!("${}\r\n", name.len()).as_bytes(), &name, b"\r\n"] {
            self.said.put_slice(word);
        }
        for word in [format!("${}\r\n", argument.len()).as_bytes(), argument, b"\r\n:1\r\n"] {
            self.said.put_slice(word);
        }
    }

    /// Whether an event of this channel would be sent.
    pub(super) fn sends(&self, channel: &[u8]) -> bool {
        self.channels.contains(channel) || self.patterns.iter().any(|pattern| glob::matches(pattern, channel))
    }

    /// Somebody publishes an event of this topic.
    pub(super) fn publish(&mut self, channel: &[u8], topic: usize, event: &str) {
        if self.channels.contains(channel) {
            command::encode(&mut self.said, &[b"message", channel, event.as_bytes()]);
        }
        for pattern in self.patterns.iter().filter(|pattern| glob::matches(pattern, channel)) {
            command::encode(&mut self.said, &[b"pmessage", pattern, channel, event.as_bytes()]);
        }
        if self.sends(channel) {
            self.underway.push_back((self.said.len(), (topic, event.to_owned())));
        }
    }

    /// Up to so many bytes arrive; the events whose last byte is among them.
    pub(super) fn arrive(&mut self, most: usize, buffer: &mut ReceiveBuffer) -> Vec<(usize, String)> {
        let rest = &self.said[self.arrived_bytes..];
        let room = buffer.room();
        let bytes = rest.len().min(most).min(room.len());
        room[..bytes].copy_from_slice(&rest[..bytes]);
        buffer.note_received(bytes);
        self.arrived_bytes += bytes;
        let whole = self.underway.iter().take_while(|(end, _)| *end <= self.arrived_bytes).count();
        self.underway.drain(..whole).map(|(_, event)| event).collect()
    }

    /// It is gone. Of what is under way so many bytes may still arrive.
    pub(super) fn die(&mut self, still: usize) {
        self.is_dead = true;
        self.said.truncate(self.arrived_bytes + still);
    }

    /// Whether it lives, nothing is left to be obeyed and everything that was said has arrived.
    pub(super) fn rests(&self) -> bool {
        !self.is_dead && self.outbox.is_empty() && self.commands.is_empty() && self.underway_bytes() == 0
    }

    /// Bytes that have not arrived.
    pub(super) fn underway_bytes(&self) -> usize {
        self.said.len() - self.arrived_bytes
    }
}
