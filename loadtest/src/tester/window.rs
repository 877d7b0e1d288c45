//! The window of a closed loop: so many events unfinished at once, each with a place that counts down.
//!
//! An event is finished when every connection of its topic has it. Each receiving thread counts its own connections
//! down without sharing; the last of them takes one off the place's count, which only threads share.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

/// Shared by the publishing and the receiving threads.
#[derive(Debug)]
pub(crate) struct Window {
    /// Threads that still lack the event of this place; 0 is free.
    places: Box<[AtomicU32]>,
    /// Events that were finished.
    finished: AtomicU64,
    /// Wakes the publishing thread.
    doorbell: OwnedFd,
    is_asleep: AtomicBool,
}

impl Window {
    /// With so many places; none for an open loop.
    pub(crate) fn new(places: u16) -> io::Result<Self> {
        Ok(Self {
            places: (0..places).map(|_| AtomicU32::new(0)).collect(),
            finished: AtomicU64::new(0),
            doorbell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            is_asleep: AtomicBool::new(false),
        })
    }

    /// How many events it holds.
    pub(crate) fn len(&self) -> u16 {
        u16::try_from(self.places.len()).unwrap_or(u16::MAX)
    }

    /// Events that were finished so far.
    pub(crate) fn finished(&self) -> u64 {
        self.finished.load(SeqCst)
    }

    /// Gives the next free place from `from` on to an event that so many threads wait for. There must be one.
    pub(crate) fn take(&self, from: u16, threads: u32) -> Option<u16> {
        let places = (from..self.len()).chain(0..from);
        let free = places.into_iter().find(|&place| self.places[usize::from(place)].load(SeqCst) == 0)?;
        self.places[usize::from(free)].store(threads, SeqCst);
        Some(free)
    }

    /// One thread's connections have the event of this place; whether it was the last thread.
    pub(crate) fn finish(&self, place: u16) -> bool {
        // A server that makes up events may finish what is free.
        let before = self.places[usize::from(place)].fetch_update(SeqCst, SeqCst, |threads| threads.checked_sub(1));
        let is_finished = before == Ok(1);
        if is_finished {
            self.finished.fetch_add(1, SeqCst);
        }
        is_finished
    }

    /// Wakes the publishing thread if it sleeps.
    pub(crate) fn ring(&self) {
        if self.is_asleep.swap(false, SeqCst) {
            // Full is impossible with one ring for each sleep.
            let _ = rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes());
        }
    }

    /// From now on [`Window::ring`] wakes. Look for free places once more before sleeping.
    pub(crate) fn fall_asleep(&self) {
        self.is_asleep.store(true, SeqCst);
    }

    /// Ends the sleep, rung for or not.
    pub(crate) fn wake_up(&self) {
        self.is_asleep.store(false, SeqCst);
        let _ = rustix::io::read(&self.doorbell, &mut [0; 8]);
    }

    /// Readable once rung.
    pub(crate) fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }
}

/// One thread's share of the window.
#[derive(Debug)]
pub(crate) struct Countdown {
    /// For each place, the thread's connections that still lack its event; 0 before the first has it.
    remaining: Box<[u32]>,
    /// For each topic, the thread's connections.
    listeners: Box<[u32]>,
    is_finished: bool,
}

impl Countdown {
    /// For a window of so many places and so many topics.
    pub(crate) fn new(places: u16, topics: usize) -> Self {
        Self { remaining: vec![0; usize::from(places)].into(), listeners: vec![0; topics].into(), is_finished: false }
    }

    /// One more connection listens to a topic; how many do now.
    pub(crate) fn listen(&mut self, topic: u32) -> u32 {
        let listeners = &mut self.listeners[topic as usize];
        *listeners += 1;
        *listeners
    }

    /// A connection has the event of this place.
    pub(crate) fn count(&mut self, place: u16, topic: u32, window: &Window) {
        let Some(remaining) = self.remaining.get_mut(usize::from(place)) else { return };
        if *remaining == 0 {
            *remaining = self.listeners[topic as usize];
        }
        *remaining -= 1;
        if *remaining == 0 {
            self.is_finished |= window.finish(place);
        }
    }

    /// Tells the publishing thread what was finished since the last time.
    pub(crate) fn settle(&mut self, window: &Window) {
        if std::mem::take(&mut self.is_finished) {
            window.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_finished_when_every_connection_of_every_thread_has_it() {
        let window = Window::new(2).unwrap();
        let mut threads = [Countdown::new(2, 1), Countdown::new(2, 1)];
        for _ in 0..3 {
            assert_eq!(threads.each_mut().map(|thread| thread.listen(0)).len(), 2);
        }
        for round in 1..=3 {
            let place = window.take(1, 2).expect("a free place");
            for delivery in 0..6 {
                assert_eq!(window.finished(), round - 1, "after {delivery} deliveries");
                threads[delivery % 2].count(place, 0, &window);
            }
            assert_eq!(window.finished(), round);
        }
    }

    #[test]
    fn a_place_is_given_away_once() {
        let window = Window::new(3).unwrap();
        assert_eq!([window.take(2, 1), window.take(2, 1), window.take(2, 1)], [Some(2), Some(0), Some(1)]);
        assert_eq!(window.take(0, 1), None);
        assert!(window.finish(1));
        assert_eq!(window.take(0, 1), Some(1));
    }

    #[test]
    fn a_ring_wakes_who_sleeps_and_only_then() {
        let window = Window::new(1).unwrap();
        window.ring();
        assert!(rustix::io::read(window.doorbell(), &mut [0; 8]).is_err(), "nobody slept");
        window.fall_asleep();
        window.ring();
        assert!(rustix::io::read(window.doorbell(), &mut [0; 8]).is_ok());
    }
}
