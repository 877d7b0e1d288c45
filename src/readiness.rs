//! Waiting, under the executor, until a descriptor is readable that the executor cannot read: an epoll set, a listener.

use adopted_socket2::Socket;
use futures_lite::AsyncRead;
use futures_lite::future::yield_now;
use glommio::net::TcpStream;
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, getrlimit};
use std::cell::Cell;
use std::future::poll_fn;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Descriptors that clients leave to the server: for waits, which duplicate one each, for brokers' connections and for
/// what libraries open. Half of what `--max-connections` keeps back by default.
const DESCRIPTORS_RESERVED: u64 = 32;

/// Whether a descriptor that was just opened shows that few are left: the system gives the lowest free number.
pub(crate) fn is_scarce(descriptor: BorrowedFd<'_>) -> bool {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::try_from(descriptor.as_raw_fd()).expect("descriptors are not negative") + DESCRIPTORS_RESERVED >= limit
}

/// Waits until `descriptor` is readable; for a millisecond, whatever it is, where there is none left to duplicate it.
pub(crate) async fn readable(descriptor: BorrowedFd<'_>) {
    let Ok(duplicate) = descriptor.try_clone_to_owned() else {
        glommio::timer::sleep(Duration::from_millis(1)).await;
        return;
    };
    let mut readiness = Readiness::of(duplicate);
    poll_fn(|context| readiness.poll(context)).await;
}

/// A pause in which the executor hears every descriptor it watches, taken at most every [`BREATH_INTERVAL`].
///
/// The executor looks at its descriptors when no task is ready, or every 100 ms. A task that is ready again and again
/// must therefore make pauses itself.
pub(crate) struct Breath {
    /// Always readable.
    ready: OwnedFd,
    taken: Cell<Instant>,
}

/// How long a busy task may keep the executor from hearing others: a tenth of what people call instant, and at 3 µs a
/// pause one hundredth of the time.
const BREATH_INTERVAL: Duration = Duration::from_micros(300);

impl Breath {
    pub(crate) fn new() -> Self {
        let ready = eventfd(1, EventfdFlags::CLOEXEC).expect("a process that starts has descriptors left");
        Self { ready, taken: Cell::new(Instant::now()) }
    }

    /// Lets other tasks run; lets the executor hear its descriptors if it has not for a while.
    pub(crate) async fn take(&self) {
        let now = Instant::now();
        if now.duration_since(self.taken.get()) < BREATH_INTERVAL {
            return yield_now().await;
        }
        self.taken.set(now);
        readable(self.ready.as_fd()).await;
    }
}

/// One wait. Ends once; the next one needs a new value.
///
/// glommio has no public way to watch a descriptor, but its streams wait for readability *before* they read. So the
/// descriptor is given to it as a stream: the first read completes when the descriptor is readable, with the error that
/// there is nothing of a stream's to read, and this stream is done.
pub(crate) struct Readiness(TcpStream);

impl Readiness {
    /// A wait for `descriptor`, which is closed with it: pass a duplicate.
    pub(crate) fn of(descriptor: OwnedFd) -> Self {
        // The executor adopts sockets of this type; that it is one is never looked at before the read.
        Self(TcpStream::from(Socket::from(TcpListener::from(descriptor))))
    }

    /// Ready once the descriptor is readable; until then the task is woken when it becomes so.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let outcome = ready!(AsyncRead::poll_read(Pin::new(&mut self.0), context, &mut [0]));
        debug_assert!(outcome.is_err(), "neither an epoll set nor a listener is ever read from");
        Poll::Ready(())
    }
}
