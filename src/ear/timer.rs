//! Moments that tasks wait for.

use super::Ear;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Who is to be woken when. A broker has a handful.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<(Instant, u64), Waker>,
    /// So far, so that no two are the same.
    count: u64,
}

/// Over at its moment.
pub struct Sleep {
    ear: Ear,
    due: Instant,
    number: u64,
}

impl Timers {
    /// The time until the first one is due, if that is less than `patience`.
    pub(super) fn shorten(&self, patience: Option<Duration>) -> Option<Duration> {
        let Some(((due, _), _)) = self.waiting.first_key_value() else { return patience };
        let until = due.saturating_duration_since(Instant::now());
        Some(patience.map_or(until, |patience| patience.min(until)))
    }

    /// Wakes those whose time has come.
    pub(super) fn wake_due(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            first.remove().wake();
        }
    }
}

impl Ear {
    /// A sleep that is over after `duration`; it begins now.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let number = &mut self.0.timers.borrow_mut().count;
        *number += 1;
        Sleep { ear: self.clone(), due: Instant::now() + duration, number: *number }
    }

    /// What `future` yields, unless it takes longer than `duration`.
    pub async fn within<T>(&self, duration: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut sleep = self.sleep(duration);
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            if let Poll::Ready(outcome) = future.as_mut().poll(context) {
                return Poll::Ready(Some(outcome));
            }
            Pin::new(&mut sleep).poll(context).map(|()| None)
        })
        .await
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.due {
            return Poll::Ready(());
        }
        self.ear.0.timers.borrow_mut().waiting.insert((self.due, self.number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.ear.0.timers.borrow_mut().waiting.remove(&(self.due, self.number));
    }
}
