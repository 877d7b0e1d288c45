//! Time passes on a sleeping node too.

use crate::engine::mesh::Doorbell;
use crate::engine::timers::TICK;
use crate::readiness::readable;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::os::fd::AsFd;
use std::sync::Arc;

/// Rings at a node every [`TICK`], for ever.
///
/// The clock is a descriptor and this a task of its own, so that the executor hears it whatever other tasks do: it bounds
/// the time for which an executor that missed something can sleep.
pub(super) async fn ring_every_tick(doorbell: Arc<Doorbell>) {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let clock = timerfd_create(TimerfdClockId::Monotonic, flags).expect("a process that starts has descriptors left");
    let tick = Timespec::try_from(TICK).expect("a tick is short");
    let every_tick = Itimerspec { it_interval: tick, it_value: tick };
    timerfd_settime(&clock, TimerfdTimerFlags::empty(), &every_tick).expect("a valid time");
    loop {
        readable(clock.as_fd()).await;
        // Fails only where there was no tick: see `readable`.
        let _ = rustix::io::read(&clock, &mut [0; 8]);
        doorbell.ring();
    }
}
