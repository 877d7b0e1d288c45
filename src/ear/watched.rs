//! A descriptor that a task waits for.

use super::Ear;
use rustix::event::epoll::{self, EventData, EventFlags};
use slotmap::{Key, KeyData, SlotMap, new_key_type};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

/// Set in the tokens of what tasks watch.
pub(super) const WATCHED_BIT: u64 = 1 << 62;

new_key_type! {
    /// A watched descriptor's place.
    struct WatchKey;
}

/// Everything that tasks watch.
#[derive(Default)]
pub(super) struct Watchers(SlotMap<WatchKey, Rc<Watcher>>);

/// What is known of one descriptor, until somebody finds out that it is no longer so.
#[derive(Default)]
struct Watcher {
    is_readable: Cell<bool>,
    is_writable: Cell<bool>,
    /// The other side has closed, or the socket is broken: reads no longer wait.
    is_over: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// A descriptor and the one task that waits for it. It is heard by its edges: nothing is asked of the kernel while
/// nothing changes.
pub struct Watched<D: AsFd> {
    descriptor: D,
    watcher: Rc<Watcher>,
    place: Place,
}

/// Given up with the descriptor. From the epoll set a descriptor goes when it is closed.
struct Place {
    ear: Ear,
    key: WatchKey,
}

impl Ear {
    /// Watches `descriptor`, which does not block, for a task.
    ///
    /// # Errors
    /// Where the kernel lacks memory for it, or the descriptor is none that can be waited for.
    pub fn watch<D: AsFd>(&self, descriptor: D) -> io::Result<Watched<D>> {
        let watcher = Rc::new(Watcher::default());
        let key = self.0.watchers.borrow_mut().0.insert(Rc::clone(&watcher));
        let place = Place { ear: self.clone(), key };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let token = EventData::new_u64(key.data().as_ffi() | WATCHED_BIT);
        epoll::add(&self.0.first, &descriptor, token, flags)?;
        Ok(Watched { descriptor, watcher, place })
    }
}

impl Watchers {
    /// Wakes whoever waits for what `token` stands for. Who left a moment ago is not found.
    pub(super) fn wake(&self, token: u64, flags: EventFlags) {
        let Some(watcher) = self.0.get(KeyData::from_ffi(token & !WATCHED_BIT).into()) else { return };
        let is_over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        watcher.is_over.set(watcher.is_over.get() || is_over);
        watcher.is_readable.set(watcher.is_readable.get() || is_over || flags.contains(EventFlags::IN));
        watcher.is_writable.set(watcher.is_writable.get() || is_over || flags.contains(EventFlags::OUT));
        if let Some(waker) = watcher.waker.take() {
            waker.wake();
        }
    }
}

impl<D: AsFd> Watched<D> {
    /// The descriptor.
    pub fn get(&self) -> &D {
        &self.descriptor
    }

    /// The descriptor, no longer watched.
    pub fn into_inner(self) -> D {
        epoll::delete(&self.place.ear.0.first, &self.descriptor).expect("it was added");
        self.descriptor
    }

    /// Waits until it may be readable. What is then found empty is to be told: [`Watched::note_empty`].
    pub async fn readable(&self) {
        poll_fn(|context| self.poll(&self.watcher.is_readable, context)).await;
    }

    /// Waits until it may be writable.
    pub async fn writable(&self) {
        poll_fn(|context| self.poll(&self.watcher.is_writable, context)).await;
    }

    /// Whether there may be something to read that nobody has read.
    pub(crate) fn is_readable(&self) -> bool {
        self.watcher.is_readable.get()
    }

    /// There was nothing more to read: the next wait is for what comes from now on.
    pub fn note_empty(&self) {
        self.watcher.is_readable.set(false);
    }

    fn poll(&self, flag: &Cell<bool>, context: &Context<'_>) -> Poll<()> {
        if flag.get() {
            return Poll::Ready(());
        }
        self.watcher.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl<D: AsFd> Watched<D>
where
    for<'a> &'a D: Read + Write,
{
    /// Reads what is there, or has the task woken when something is.
    pub(crate) fn poll_read(&self, context: &Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll(&self.watcher.is_readable, context));
            match (&self.descriptor).read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.note_empty(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(bytes) => {
                    // Less than was asked for is all there was (epoll(7), question 9); but an end is told only once.
                    self.watcher.is_readable.set(bytes == room.len() || self.watcher.is_over.get());
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes what fits, or has the task woken when something does.
    pub(crate) fn poll_write(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll(&self.watcher.is_writable, context));
            match (&self.descriptor).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.watcher.is_writable.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ear.0.watchers.borrow_mut().0.remove(self.key);
    }
}
