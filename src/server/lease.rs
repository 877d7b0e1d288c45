//! How long connections may live: who came with a token goes when it expires, and is warned shortly before.

use crate::ear::{TICK, Tick, Wheel};
use crate::engine::connection::ConnectionId;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// How long before its end a connection is warned: enough to get a new token and to connect again. Of a short life it is
/// a tenth.
const WARNING_MAX: Duration = Duration::from_secs(30);

/// The leases of a shard's connections.
#[derive(Clone)]
pub(super) struct Leases(Rc<RefCell<Wheel<Running>>>);

/// One that runs, under the moment of what comes next.
#[derive(Clone, Copy, Debug)]
struct Running {
    id: ConnectionId,
    ends: Tick,
}

/// A lease whose connection has no seat yet.
pub(super) struct Lease {
    leases: Leases,
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

    /// A lease that ends so long from now, and runs whether or not its connection has its seat.
    pub(super) fn grant(&self, lifetime: Duration, now: Tick) -> Lease {
        let calm = lifetime.saturating_sub(WARNING_MAX.min(lifetime / 10));
        Lease { leases: self.clone(), warns: now.after(calm), ends: now.after(lifetime) }
    }

    /// What has fallen due; most moments bring nothing.
    pub(super) fn fell_due(&self, now: Tick) -> Vec<Due> {
        let mut fallen = Vec::new();
        let mut wheel = self.0.borrow_mut();
        wheel.advance(now, &mut fallen);
        let next = fallen.into_iter().map(|running: Running| {
            if now >= running.ends {
                return Due::End(running.id);
            }
            wheel.insert(running.ends, running);
            let left = TICK.saturating_mul(running.ends.ticks_since(now));
            Due::Warning(running.id, u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        });
        next.collect()
    }
}

impl Lease {
    /// The connection has its seat, under this name.
    pub(super) fn run(self, id: ConnectionId) {
        self.leases.0.borrow_mut().insert(self.warns, Running { id, ends: self.ends });
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
        let mut lease = Some(leases.grant(Duration::from_secs(lifetime), at(0)));
        let mut found = Vec::new();
        for second in 0..lifetime + seat + 3 {
            if second == seat {
                lease.take().expect("it is granted once").run(id);
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
}
