//! What a node hears: everything it waits for, its timers, and its only sleep.
//!
//! ```text
//!   node:   turn ─► let tasks run ─► listen ─┐      listen: the node's own sockets come back as tokens,
//!            ▲                               │              a task's descriptor or timer wakes the task
//!            └───────────────────────────────┘
//! ```
//!
//! What tasks wait for, such as the broker's connection, does not queue up behind the node's own sockets: epoll reports
//! in the order in which descriptors became ready, and in a storm of 18 000 clients an event waited for 40 ms. So the
//! crowd has a set of its own, which is one member of the other:
//!
//! ```text
//!   first ─┬─ descriptors of tasks          one call, and a second one only where the crowd has something to say
//!          └─ crowd ─── the node's own sockets
//! ```
//!
//! Tasks run on the executor, but the executor never waits: with nothing left to run the *node* waits, in one kernel
//! call for all there is to wait for. The executor's own way through its rings took
//! thirteen calls for each read of a broker's; this takes 4.5 (PERFORMANCE.md).

mod allowance;
mod doorbell;
mod heartbeat;
mod task;
mod timer;
mod watched;
mod wheel;

pub(crate) use self::allowance::{Allowance, Verdict};
pub use self::doorbell::Doorbell;
pub use self::heartbeat::{Beat, Heartbeat, Rhythm};
pub use self::timer::Sleep;
pub use self::watched::Watched;
pub use self::wheel::{TICK, Tick, Wheel};

use self::timer::Timers;
use self::watched::{WATCHED_BIT, Watchers};
use glommio::{LocalExecutorBuilder, Placement};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::process::{Resource, getrlimit};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Descriptors heard per look: the rest is as ready at the next turn, and messages come first. Of the crowd each may
/// take ten microseconds, to come or to go, and messages wait for that long; a look costs less than one of them.
const EVENTS_PER_LOOK_MAX: usize = 32;

/// What the crowd reports under. No task's descriptor does: its key is never 0.
const CROWD: u64 = WATCHED_BIT;

/// Descriptors that clients leave to the server: for brokers' connections and for what libraries open. Half of what
/// `--max-connections` keeps back by default.
const DESCRIPTORS_RESERVED: u64 = 32;

/// Longer than any machine runs: the executor is never to interrupt tasks for its own rings, nobody waits for those.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// Whether a descriptor that was just opened shows that few are left: the system gives the lowest free number. The limit
/// is asked for each time: an administrator may change that of a running process.
pub(crate) fn is_scarce(descriptor: BorrowedFd<'_>) -> bool {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::try_from(descriptor.as_raw_fd()).expect("descriptors are not negative") + DESCRIPTORS_RESERVED >= limit
}

/// Time since 1970: for stamps that people and other programs read, and for the `exp` and `nbf` of tokens, so it decides
/// who gets in; never for measuring time. A clock that stands before 1970 reads 0, when no token has expired.
pub fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The same in milliseconds.
pub fn wall_clock_ms() -> u64 {
    u64::try_from(wall_clock().as_millis()).unwrap_or(u64::MAX)
}

/// The same in microseconds.
pub fn wall_clock_us() -> u64 {
    u64::try_from(wall_clock().as_micros()).unwrap_or(u64::MAX)
}

/// An executor for a node that listens with an [`Ear`].
pub fn executor(placement: Placement) -> LocalExecutorBuilder {
    // No registered buffers: nobody uses them, and they are 10 MB per executor.
    LocalExecutorBuilder::new(placement).io_memory(0).preempt_timer(NEVER)
}

/// One node's ear. Clones are handles to the same one.
#[derive(Clone)]
pub struct Ear(Rc<Inner>);

struct Inner {
    /// What tasks watch, and the crowd.
    first: OwnedFd,
    /// The node's own sockets.
    crowd: OwnedFd,
    /// Room for what one look brings.
    events: RefCell<Vec<Event>>,
    watchers: RefCell<Watchers>,
    timers: RefCell<Timers>,
    /// Whether a task has run since somebody asked.
    has_run: Cell<bool>,
    /// How long to look again and again before a sleep.
    spin: Duration,
    /// Since when there was nothing.
    quiet_since: Cell<Option<Instant>>,
}

/// What a socket wants to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Nothing but errors.
    Nothing,
    /// Bytes or a connection to take.
    Reads,
    /// Room to write.
    Writes,
    /// Both.
    ReadsAndWrites,
}

/// A socket of the node's own that has something to report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) is_readable: bool,
    pub(crate) is_writable: bool,
}

impl Ear {
    /// An ear that hears nothing yet. Before it sleeps it looks again and again for as long as `spin`.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub fn new(spin: Duration) -> io::Result<Self> {
        let (first, crowd) = (epoll::create(CreateFlags::CLOEXEC)?, epoll::create(CreateFlags::CLOEXEC)?);
        epoll::add(&first, &crowd, EventData::new_u64(CROWD), EventFlags::IN)?;
        Ok(Self(Rc::new(Inner {
            first,
            crowd,
            events: RefCell::new(Vec::with_capacity(EVENTS_PER_LOOK_MAX)),
            watchers: RefCell::default(),
            timers: RefCell::default(),
            has_run: Cell::new(false),
            spin,
            quiet_since: Cell::new(None),
        })))
    }

    /// Watches a socket of the node's own, whose events come back under `token`. The second highest bit is not free.
    pub(crate) fn add(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        debug_assert!(token & WATCHED_BIT == 0, "that bit tells tasks' descriptors apart");
        Ok(epoll::add(&self.0.crowd, socket, EventData::new_u64(token), interest.flags())?)
    }

    pub(crate) fn change(&self, socket: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.0.crowd, socket, EventData::new_u64(token), interest.flags())?)
    }

    pub(crate) fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.0.crowd, socket)?)
    }

    /// Waits for at most `patience` until anything is ready; `None` waits for ever. Tasks are woken, and what is ready
    /// of the node's own is appended to `ready`. Says how many descriptors had something to report.
    ///
    /// # Errors
    /// None that a valid epoll set has.
    pub(crate) fn listen(&self, patience: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<usize> {
        let patience = self.spin(self.0.timers.borrow().shorten(patience));
        let mut events = self.0.events.borrow_mut();
        let mut heard = look(&self.0.first, patience, &mut events)?;
        let has_crowd = events.iter().any(|event| event.data.u64() == CROWD);
        for event in events.iter() {
            // Copied out: the kernel's structure is packed.
            let (flags, token) = (event.flags, event.data.u64());
            if token != CROWD {
                self.0.watchers.borrow().wake(token, flags);
            }
        }
        if has_crowd {
            heard += look(&self.0.crowd, Some(Duration::ZERO), &mut events)? - 1;
            ready.extend(events.iter().map(Ready::of));
        }
        if heard > 0 {
            self.0.quiet_since.set(None);
        }
        self.0.timers.borrow_mut().wake_due();
        Ok(heard)
    }

    /// No patience at all while it is worth looking again.
    fn spin(&self, patience: Option<Duration>) -> Option<Duration> {
        if self.0.spin.is_zero() || patience == Some(Duration::ZERO) {
            return patience;
        }
        let now = Instant::now();
        let quiet_since = self.0.quiet_since.get().unwrap_or(now);
        self.0.quiet_since.set(Some(quiet_since));
        if now.duration_since(quiet_since) < self.0.spin { Some(Duration::ZERO) } else { patience }
    }
}

/// Waits for what one set has to report, and says how much that is.
fn look(set: &OwnedFd, patience: Option<Duration>, events: &mut Vec<Event>) -> io::Result<usize> {
    let timeout = patience.map(|patience| Timespec::try_from(patience).expect("nothing waits for centuries"));
    events.clear();
    match epoll::wait(set, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(events.len()),
        Err(error) => Err(error.into()),
    }
}

impl Ready {
    fn of(event: &Event) -> Self {
        let (flags, token) = (event.flags, event.data.u64());
        let is_readable = flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
        Self { token, is_readable, is_writable: flags.contains(EventFlags::OUT) }
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

#[cfg(test)]
mod tests;
