//! How long connections may live: who came with a token goes when it expires, and is warned shortly before.

use crate::ear::{TICK, Tick, Wheel};
use crate::engine::connection::ConnectionId;
use crate::metrics::milliseconds;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

/// How long before its end a connection is warned: enough to get a new token and to connect again. Of a short life it is
/// a tenth.
const WARNING_MAX: Duration = Duration::from_secs(30);

/// How often a connection is looked for that lives longer: tokens may be good for months, and who comes and goes with
/// one leaves nothing behind for longer than this.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The leases of a shard's connections.
#[derive(Clone)]
pub(super) struct Leases(Rc<RefCell<Wheel<Running>>>);

/// One that runs, under the moment when it is looked at next.
struct Running {
    id: ConnectionId,
    lease: Weak<Lease>,
}

/// Held by its connection, and gone with it.
pub(super) struct Lease {
    leases: Leases,
    looked_at: Tick,
    warns: Tick,
    ends: Tick,
}

/// What a moment brings for a connection, which may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has so many milliseconds left.
    Warning(ConnectionId, u64),
    /// Its time is over.
    End(ConnectionId),
}

impl Leases {
    pub(super) fn new(now: Tick) -> Self {
        Self(Rc::new(RefCell::new(Wheel::new(now))))
    }

    /// A lease that ends so long from now, whenever its connection gets its seat.
    pub(super) fn grant(&self, lifetime: Duration, now: Tick) -> Rc<Lease> {
        let calm = lifetime.saturating_sub(WARNING_MAX.min(lifetime / 10));
        let (warns, ends) = (now.after(calm), now.after(lifetime));
        Rc::new(Lease { leases: self.clone(), looked_at: warns.min(now.after(LOOK_AGAIN)), warns, ends })
    }

    /// What has fallen due; most moments bring nothing.
    pub(super) fn fell_due(&self, now: Tick) -> Vec<Due> {
        let mut fallen = Vec::new();
        let mut wheel = self.0.borrow_mut();
        wheel.advance(now, &mut fallen);
        let next = fallen.into_iter().filter_map(|running: Running| {
            let (id, lease) = (running.id, running.lease.upgrade()?);
            if now >= lease.ends {
                return Some(Due::End(id));
            }
            if now < lease.warns {
                wheel.insert(lease.warns.min(now.after(LOOK_AGAIN)), running);
                return None;
            }
            wheel.insert(lease.ends, running);
            let left = TICK.saturating_mul(lease.ends.ticks_since(now));
            Some(Due::Warning(id, milliseconds(left)))
        });
        next.collect()
    }
}

impl Lease {
    /// The connection has its seat, under this name.
    pub(super) fn run(self: &Rc<Self>, id: ConnectionId) {
        self.leases.0.borrow_mut().insert(self.looked_at, Running { id, lease: Rc::downgrade(self) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    /// What falls due, second by second; `seat` is when the connection gets its seat.
    fn check(lifetime: u64, seat: u64, expected: &[(u64, Option<u64>)]) {
        let at = |second| Tick::at(Duration::from_secs(second));
        let id = SlotMap::<ConnectionId, ()>::with_key().insert(());
        let leases = Leases::new(at(0));
        let lease = leases.grant(Duration::from_secs(lifetime), at(0));
        let mut found = Vec::new();
        for second in 0..lifetime + seat + 3 {
            if second == seat {
                lease.run(id);
            }
            found.extend(leases.fell_due(at(second)).into_iter().map(|due| match due {
                Due::Warning(warned, left_ms) if warned == id => (second, Some(left_ms)),
                Due::End(ended) if ended == id => (second, None),
                other => panic!("{other:?} is about nobody here"),
            }));
        }
        assert_eq!(found, expected, "{lifetime} s, seated after {seat} s");
    }

    #[test]
    fn a_lease_warns_a_tenth_or_half_a_minute_before_it_ends() {
        check(20, 0, &[(18, Some(2_000)), (20, None)]);
        check(300, 0, &[(270, Some(30_000)), (300, None)]);
        check(7_200, 0, &[(7_170, Some(30_000)), (7_200, None)]);
    }

    #[test]
    fn a_lease_runs_while_its_connection_waits_for_a_seat() {
        check(20, 19, &[(19, Some(1_000)), (20, None)]);
        check(20, 25, &[(25, None)]);
    }

    #[test]
    fn who_comes_and_goes_with_a_token_of_a_month_is_forgotten_within_a_minute() {
        let at = |second| Tick::at(Duration::from_secs(second));
        let mut ids = SlotMap::<ConnectionId, ()>::with_key();
        let leases = Leases::new(at(0));
        let month = Duration::from_secs(30 * 86_400);
        let stays = leases.grant(month, at(0));
        stays.run(ids.insert(()));
        for _ in 0..1_000 {
            leases.grant(month, at(0)).run(ids.insert(()));
        }
        assert!(leases.fell_due(at(61)).is_empty());
        let mut left = Vec::new();
        leases.0.borrow_mut().advance(at(200), &mut left);
        assert_eq!(left.len(), 1);
    }
}
