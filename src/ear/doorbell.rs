//! How one node wakes another.

use super::Watched;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Wakes one sleeping node; costs one load while it is awake.
///
/// The bell is a descriptor (an eventfd), so that a node can sleep on it together with its sockets.
#[derive(Debug)]
pub struct Doorbell {
    sleeping: AtomicBool,
    bell: OwnedFd,
}

impl Default for Doorbell {
    /// A bell that nobody has rung.
    ///
    /// # Panics
    /// Where no descriptor is left.
    fn default() -> Self {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let bell = eventfd(0, flags).expect("a process that starts has descriptors left");
        Self { sleeping: AtomicBool::new(false), bell }
    }
}

impl Doorbell {
    /// Says that there is something to look at.
    ///
    /// The fence pairs with the one in [`Doorbell::lie_down`]: either the ringer sees the sleeper, or the sleeper sees
    /// what was put down before the ring.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel) {
            // Fails only where 2^64 - 2 rings were not heard.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// Says that the node is about to sleep until the bell is readable; false where `is_due` finds
    /// something to do, and then it must not.
    #[must_use]
    pub fn lie_down(&self, is_due: impl FnOnce() -> bool) -> bool {
        self.sleeping.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        let is_quiet = !is_due();
        if !is_quiet {
            self.get_up();
        }
        is_quiet
    }

    /// Says that the node is awake: nobody needs to ring.
    pub fn get_up(&self) {
        self.sleeping.store(false, Ordering::Release);
    }

    /// Whether the node has lain down and nobody has rung since.
    #[cfg(test)]
    pub(crate) fn is_asleep(&self) -> bool {
        self.sleeping.load(Ordering::Acquire)
    }

    /// Sleeps until the bell rings, or not at all if `is_due` finds something to do. One node, one sleeper.
    pub async fn wait(bell: &Watched<Arc<Self>>, is_due: impl FnOnce() -> bool) {
        if bell.get().lie_down(is_due) {
            bell.readable().await;
            // What was rung for is looked at now; a ring that comes later is heard again.
            bell.note_empty();
            bell.get().get_up();
        }
    }
}

/// What becomes readable when the bell rings. Watched for edges it never needs to be read.
impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
