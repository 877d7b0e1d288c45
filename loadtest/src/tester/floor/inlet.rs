//! One publisher's connection: what one read brings.

use super::command::Publish;
use super::patient::patiently;
use super::topics::Topics;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;

/// More than any window of usual events; longer events make it grow.
const BUFFER_BYTES: usize = 256 * 1024;

/// A connection that publishes.
pub(super) struct Inlet {
    pub(super) socket: TcpStream,
    bytes: Vec<u8>,
    /// What has been read and not been taken.
    unread: Range<usize>,
    answers: Vec<u8>,
}

/// One event of a read, as a frame.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The number of its topic.
    pub(super) topic: u32,
    /// Where its frame lies among the bytes.
    pub(super) frame: Range<usize>,
}

impl Inlet {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, bytes: vec![0; BUFFER_BYTES], unread: 0..0, answers: Vec::new() })
    }

    /// Reads once, answers every whole command in one write, and adds their events. `false` at the end.
    pub(super) fn read(&mut self, topics: &Topics, events: &mut Vec<Event>) -> io::Result<bool> {
        self.make_room();
        let length = or_gone(patiently(|| self.socket.read(&mut self.bytes[self.unread.end..])), 0)?;
        self.unread.end += length;
        while let Some(publish) = Publish::parse(&self.bytes[..self.unread.end], self.unread.start)? {
            self.unread.start = publish.end();
            let topic = topics.find(&self.bytes[publish.name.clone()]);
            let receivers = topic.map_or(0, |topic| topics.sockets(topic).len());
            write!(self.answers, ":{receivers}\r\n")?;
            let frame = publish.seal(&mut self.bytes);
            events.extend(topic.map(|topic| Event { topic, frame }));
        }
        or_gone(self.socket.write_all(&self.answers), ())?;
        self.answers.clear();
        Ok(length > 0)
    }

    /// The bytes in which the frames of the last read lie.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Moves the beginning of a command to the front; makes place for a long one.
    fn make_room(&mut self) {
        let unread = self.unread.len();
        self.bytes.copy_within(self.unread.clone(), 0);
        self.unread = 0..unread;
        if unread == self.bytes.len() {
            self.bytes.resize(2 * unread, 0);
        }
    }
}

/// A publisher that leaves before it has read its answers has left as any other: the next read says so too.
fn or_gone<T>(outcome: io::Result<T>, gone: T) -> io::Result<T> {
    match outcome {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(gone),
        outcome => outcome,
    }
}
