//! Bytes that one socket has not taken yet.

use bytes::{Buf, BytesMut};
use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

/// Capacity an emptied outbox keeps; a burst should not hold its memory for ever.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A bounded output buffer: filled by anybody on this core, emptied by the one task that owns the socket.
///
/// Whoever fills it never waits. One entry is always taken into an empty outbox, however large; otherwise an entry
/// that would exceed the limit cuts the connection.
#[derive(Debug)]
pub struct Outbox {
    waiting: RefCell<BytesMut>,
    waiting_bytes_max: usize,
    is_cut: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It waits to be sent.
    Taken,
    /// It was one too many: the connection is being cut. Said once.
    Overflowed,
    /// The connection is being cut already.
    Gone,
}

impl Outbox {
    /// An empty outbox that holds up to `waiting_bytes_max`.
    pub fn new(waiting_bytes_max: usize) -> Self {
        Self { waiting: RefCell::default(), waiting_bytes_max, is_cut: Cell::new(false), waker: RefCell::default() }
    }

    /// Appends the one entry that `write` writes, and wakes the socket's task.
    pub fn offer(&self, write: impl FnOnce(&mut BytesMut)) -> Offer {
        if self.is_cut() {
            return Offer::Gone;
        }
        let mut waiting = self.waiting.borrow_mut();
        let was_empty = waiting.is_empty();
        write(&mut waiting);
        let overflows = !was_empty && waiting.len() > self.waiting_bytes_max;
        drop(waiting);
        if overflows {
            self.cut();
            return Offer::Overflowed;
        }
        self.wake();
        Offer::Taken
    }

    /// Gives the connection up: what waits is thrown away, and the socket's task is told.
    pub fn cut(&self) {
        self.is_cut.set(true);
        *self.waiting.borrow_mut() = BytesMut::new();
        self.wake();
    }

    /// Whether the connection was given up.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// How many bytes wait.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting_bytes() == 0
    }

    /// Whether less than half of the limit waits: while not, nothing should be asked that causes answers.
    pub fn is_calm(&self) -> bool {
        self.waiting_bytes() <= self.waiting_bytes_max / 2
    }

    /// Hands what waits to `write`, which says how many bytes it took, until nothing is left or it takes none.
    pub(crate) fn drain<E>(&self, mut write: impl FnMut(&[u8]) -> Result<usize, E>) -> Result<(), E> {
        let mut waiting = self.waiting.borrow_mut();
        while !waiting.is_empty() {
            match write(&waiting)? {
                0 => return Ok(()),
                taken => waiting.advance(taken),
            }
        }
        if waiting.capacity() > KEPT_BYTES_MAX {
            *waiting = BytesMut::new();
        }
        Ok(())
    }

    /// Remembers whom to wake when something is offered.
    pub(super) fn register(&self, context: &Context<'_>) {
        self.waker.replace(Some(context.waker().clone()));
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(outbox: &Outbox, entry: &[u8]) -> Offer {
        outbox.offer(|out| out.extend_from_slice(entry))
    }

    #[test]
    fn an_entry_too_many_cuts_the_connection_and_says_so_once() {
        let outbox = Outbox::new(10);
        let table: [(&[u8], Offer); 4] =
            [(b"12345", Offer::Taken), (b"67890", Offer::Taken), (b"x", Offer::Overflowed), (b"y", Offer::Gone)];
        for (entry, expected) in table {
            assert_eq!(offer(&outbox, entry), expected);
        }
        assert!(outbox.is_cut() && outbox.is_empty());
    }

    #[test]
    fn one_entry_is_always_taken_into_an_empty_outbox() {
        let outbox = Outbox::new(10);
        assert_eq!(offer(&outbox, &[0; 1000]), Offer::Taken);
        assert!(!outbox.is_calm());
        outbox.drain(|bytes| Ok::<_, ()>(bytes.len())).unwrap();
        assert!(outbox.is_calm());
        assert_eq!(offer(&outbox, &[0; 1000]), Offer::Taken);
    }

    #[test]
    fn what_was_sent_is_not_sent_again() {
        let (outbox, mut sent) = (Outbox::new(100), Vec::new());
        offer(&outbox, b"hello ");
        offer(&outbox, b"world");
        for mut room in [4, 0, 3, 100] {
            let write = |bytes: &[u8]| {
                let taken = bytes.len().min(room);
                room -= taken;
                sent.extend_from_slice(&bytes[..taken]);
                Ok::<_, ()>(taken)
            };
            outbox.drain(write).expect("it never fails");
        }
        assert_eq!(sent, b"hello world");
    }
}
