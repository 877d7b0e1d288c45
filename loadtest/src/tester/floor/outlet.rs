//! Hands what one read brought to everybody it is for, in one of the ways there are.

use super::inlet::Event;
use super::mode::Mode;
use super::patient::patiently;
use super::ring::{Ring, Sending};
use super::topics::Topics;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use std::io;
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

/// The sending half of the floor.
pub(super) struct Outlet {
    mode: Mode,
    ring: Option<Ring>,
    joined: Vec<u8>,
    parcels: Vec<Parcel>,
    results: Vec<i32>,
    /// The last batch that each topic was part of.
    batches: Vec<u64>,
    batch: u64,
}

/// The same bytes for everybody who listens to a topic.
struct Parcel {
    topic: u32,
    place: Place,
}

/// Where bytes lie.
#[derive(Clone)]
enum Place {
    Received(Range<usize>),
    Joined(Range<usize>),
}

impl Outlet {
    /// # Errors
    /// Where this way of sending is not to be had on this kernel.
    pub(super) fn new(mode: Mode, topics: &Topics) -> io::Result<Self> {
        let ring = mode.needs_ring().then(Ring::new).transpose()?;
        let batches = vec![0; topics.len()];
        Ok(Self { mode, ring, joined: Vec::new(), parcels: Vec::new(), results: Vec::new(), batches, batch: 0 })
    }

    /// Sends all events, whose frames lie in `received`, and forgets them.
    pub(super) fn deliver(&mut self, topics: &Topics, received: &[u8], events: &mut Vec<Event>) -> io::Result<()> {
        self.pack(received, events);
        match self.ring.take() {
            None => self.send_each(topics, received)?,
            Some(mut ring) => {
                self.submit_each(&mut ring, topics, received)?;
                self.ring = Some(ring);
            }
        }
        Ok(())
    }

    fn pack(&mut self, received: &[u8], events: &mut Vec<Event>) {
        self.joined.clear();
        self.parcels.clear();
        if self.mode.is_joined() {
            events.sort_unstable_by_key(|event| (event.topic, event.frame.start));
            for events in events.chunk_by(|one, next| one.topic == next.topic) {
                let place = self.join(received, events);
                self.parcels.push(Parcel { topic: events[0].topic, place });
            }
            events.clear();
        } else {
            let place = |event: Event| Parcel { topic: event.topic, place: Place::Received(event.frame) };
            self.parcels.extend(events.drain(..).map(place));
        }
    }

    /// One copy for all who listen, and none for a single frame.
    fn join(&mut self, received: &[u8], events: &[Event]) -> Place {
        if let [event] = events {
            return Place::Received(event.frame.clone());
        }
        let start = self.joined.len();
        for event in events {
            self.joined.extend_from_slice(&received[event.frame.clone()]);
        }
        Place::Joined(start..self.joined.len())
    }

    fn send_each(&self, topics: &Topics, received: &[u8]) -> io::Result<()> {
        for parcel in &self.parcels {
            let bytes = parcel.bytes(received, &self.joined);
            for socket in topics.sockets(parcel.topic) {
                send_all(socket.as_fd(), bytes)?;
            }
        }
        Ok(())
    }

    /// A batch has one parcel of a topic at most: what a client's socket refuses of it is sent before the next one.
    fn submit_each(&mut self, ring: &mut Ring, topics: &Topics, received: &[u8]) -> io::Result<()> {
        let Self { joined, parcels, results, batches, batch, .. } = self;
        let mut sendings = Vec::new();
        *batch += 1;
        for parcel in parcels {
            let latest = &mut batches[parcel.topic as usize];
            if *latest == *batch {
                submit(ring, &mut sendings, results)?;
                *batch += 1;
            }
            *latest = *batch;
            let bytes = parcel.bytes(received, joined);
            sendings.extend(topics.sockets(parcel.topic).iter().map(|socket: &TcpStream| (socket.as_fd(), bytes)));
        }
        submit(ring, &mut sendings, results)
    }
}

impl Parcel {
    fn bytes<'a>(&self, received: &'a [u8], joined: &'a [u8]) -> &'a [u8] {
        match self.place.clone() {
            Place::Received(range) => &received[range],
            Place::Joined(range) => &joined[range],
        }
    }
}

/// Sends through the ring, and what sockets refused without it.
fn submit(ring: &mut Ring, sendings: &mut Vec<Sending<'_>>, results: &mut Vec<i32>) -> io::Result<()> {
    ring.send(sendings, results);
    for ((socket, bytes), &result) in sendings.drain(..).zip(&*results) {
        let sent = usize::try_from(result).unwrap_or(0);
        if sent < bytes.len() {
            send_all(socket, &bytes[sent..])?;
        }
    }
    Ok(())
}

/// Sends everything, and waits for a client that does not read. One that is gone needs nothing any more.
fn send_all(socket: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        match send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) if sent == bytes.len() => return Ok(()),
            Ok(sent) => bytes = &bytes[sent..],
            Err(Errno::AGAIN) => {
                patiently(|| Ok(poll(&mut [PollFd::new(&socket, PollFlags::OUT)], None)?))?;
            }
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
