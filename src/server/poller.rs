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

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// More than the executor can count references to a task (16 bits).
    const ROUNDS: usize = 40_000;

    /// Ticks of a day: as often a shard looks at sockets that have nothing to say.
    const TICKS_OF_A_DAY: usize = 864_000;

    /// Nothing here takes so long.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn on_an_executor<F: Future<Output = ()> + 'static>(node: impl FnOnce() -> F + Send + 'static) {
        let (ended, end) = mpsc::channel();
        let run = move || async move {
            node().await;
            ended.send(()).expect("the test waits");
        };
        let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(0).spawn(run);
        let _executor = executor.expect("io_uring is available");
        // Not joined: a node that has missed a wake-up never ends.
        end.recv_timeout(PATIENCE).expect("the node neither panics nor misses a wake-up");
    }

    fn open_descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").expect("Linux lists them").count()
    }

    #[test]
    fn a_socket_is_heard_as_often_as_it_has_something_to_say() {
        let (mut far, mut near) = UnixStream::pair().expect("descriptors are left");
        near.set_nonblocking(true).expect("a socket");
        thread::spawn(move || while far.write_all(b"?").and_then(|()| far.read_exact(&mut [0])).is_ok() {});
        on_an_executor(move || async move {
            let mut poller = Poller::new().expect("descriptors are left");
            poller.interests().add(&near, 7, Interest::Reads).expect("a new socket");
            let mut ready = Vec::new();
            for _ in 0..ROUNDS {
                poll_fn(|context| poller.poll_ready(context)).await;
                poller.look(&mut ready).expect("a valid set");
                assert!(ready.drain(..).map(|socket| socket.token).eq([7]), "it waits until there is something");
                near.read_exact(&mut [0]).and_then(|()| near.write_all(b"!")).expect("it is readable");
            }
        });
    }

    #[test]
    fn a_silent_set_can_be_asked_for_a_day() {
        on_an_executor(|| async {
            let mut poller = Poller::new().expect("descriptors are left");
            assert!(!poller.is_ready().await);
            let descriptors = open_descriptors();
            for _ in 0..TICKS_OF_A_DAY {
                assert!(!poller.is_ready().await, "nobody has anything to say");
                glommio::executor().yield_task_queue_now().await;
            }
            // Other tests open some at the same time.
            assert!(open_descriptors() < descriptors + 1_000, "asking costs no descriptor");
        });
    }
}
