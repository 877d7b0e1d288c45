//! Which sockets are ready: one epoll set per shard, and a way to sleep on it under the executor.

use adopted_socket2::Socket;
use futures_lite::AsyncRead;
use glommio::net::TcpStream as Watched;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Sockets heard per look: the rest is as ready at the next turn, and messages come first.
const EVENTS_PER_LOOK_MAX: usize = 256;

/// The epoll set, shared by those whose interest changes.
#[derive(Clone, Debug)]
pub(super) struct Interests(Rc<OwnedFd>);

/// What a socket wants to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Nothing but errors.
    Nothing,
    /// Bytes or a connection to take.
    Reads,
    /// Room to write.
    Writes,
    /// Both.
    ReadsAndWrites,
}

/// A socket that has something to report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) token: u64,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
}

/// The shard's ear.
pub(super) struct Poller {
    interests: Interests,
    events: Vec<Event>,
    watch: Watch,
}

/// The executor's watch on the epoll set itself.
enum Watch {
    /// Not asked for.
    Off,
    /// The executor waits for the set to become readable.
    Armed(Watched),
    /// Something is ready that nobody has looked at yet.
    Fired,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let events = Vec::with_capacity(EVENTS_PER_LOOK_MAX);
        Ok(Self { interests: Interests(Rc::new(set)), events, watch: Watch::Off })
    }

    pub(super) fn interests(&self) -> &Interests {
        &self.interests
    }

    /// Whether any socket has something to report; if not, the task is woken once one has.
    ///
    /// The executor cannot watch a descriptor that is not a socket, but its streams wait for readability before they
    /// read. So the epoll set is given to it as a stream: the first read completes when the set is readable, with the
    /// error that it is no socket, and that stream is done.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Watch::Off = self.watch {
            // Without a descriptor left for it: look without being asked to.
            self.watch = self.interests.0.try_clone().map_or(Watch::Fired, |set| Watch::Armed(watched(set)));
        }
        let Watch::Armed(watch) = &mut self.watch else { return Poll::Ready(()) };
        let outcome = ready!(AsyncRead::poll_read(Pin::new(watch), context, &mut [0]));
        debug_assert!(outcome.is_err(), "an epoll set is no socket");
        self.watch = Watch::Fired;
        Poll::Ready(())
    }

    /// Whether any socket has something to report.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|context| Poll::Ready(self.poll_ready(context).is_ready())).await
    }

    /// Appends the sockets that are ready now, without waiting.
    pub(super) fn look(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.watch = Watch::Off;
        self.events.clear();
        let room = rustix::buffer::spare_capacity(&mut self.events);
        epoll::wait(self.interests.0.as_fd(), room, Some(&Timespec::default()))?;
        ready.extend(self.events.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            Ready {
                token: data.u64(),
                is_readable: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR),
                is_writable: flags.contains(EventFlags::OUT),
            }
        }));
        Ok(())
    }
}

impl Interests {
    pub(super) fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(self.0.as_fd(), socket, EventData::new_u64(token), interest.flags())?)
    }

    pub(super) fn change(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(self.0.as_fd(), socket, EventData::new_u64(token), interest.flags())?)
    }

    pub(super) fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(self.0.as_fd(), socket)?)
    }
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Nothing => EventFlags::empty(),
            Self::Reads => EventFlags::IN,
            Self::Writes => EventFlags::OUT,
            Self::ReadsAndWrites => EventFlags::IN | EventFlags::OUT,
        }
    }
}

/// The descriptor as the executor's stream; it adopts sockets of this type, whatever they really are.
fn watched(set: OwnedFd) -> Watched {
    Watched::from(Socket::from(TcpListener::from(set)))
}
