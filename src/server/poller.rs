//! Which sockets are ready: one epoll set per shard, and a way to sleep on it under the executor.

use crate::readiness::Readiness;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
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
    /// Once per time that it becomes readable, without being read.
    Rings,
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
    Armed(Readiness),
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
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Watch::Off = self.watch {
            // Without a descriptor left for it: look without being asked to.
            self.watch = self.interests.0.try_clone().map_or(Watch::Fired, |set| Watch::Armed(Readiness::of(set)));
        }
        let Watch::Armed(watch) = &mut self.watch else { return Poll::Ready(()) };
        ready!(watch.poll(context));
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
            Self::Rings => EventFlags::IN | EventFlags::ET,
            Self::Writes => EventFlags::OUT,
            Self::ReadsAndWrites => EventFlags::IN | EventFlags::OUT,
        }
    }
}
