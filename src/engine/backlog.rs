//! Who is late: the connections of a shard whose sockets refuse bytes, what waits for each, and since when.
//!
//! Between two turns every frame that waits in the shard waits for one of these. The memory of what they wait for is
//! counted in full for each, though they share it: where they do, real memory is less.

use super::connection::ConnectionId;
use crate::ear::Tick;
use slotmap::SparseSecondaryMap;
use std::cmp::Reverse;
use std::time::Duration;

/// The late connections of a shard.
#[derive(Debug, Default)]
pub struct Backlog {
    late: SparseSecondaryMap<ConnectionId, Late>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Late {
    bytes: usize,
    /// When its socket took bytes for the last time, or refused them for the first.
    progress: Tick,
}

impl Backlog {
    /// A socket refuses bytes, or has taken some but not all.
    pub fn progress(&mut self, id: ConnectionId, now: Tick) {
        let late = self.late.entry(id).expect("a late connection has its seat");
        late.or_insert(Late { bytes: 0, progress: now }).progress = now;
    }

    /// So many bytes wait for a connection now, if it is late.
    pub fn waits(&mut self, id: ConnectionId, bytes: usize) {
        if let Some(late) = self.late.get_mut(id) {
            self.bytes = self.bytes - late.bytes + bytes;
            late.bytes = bytes;
        }
    }

    /// A connection is late no longer, or no longer there.
    pub fn forget(&mut self, id: ConnectionId) {
        self.waits(id, 0);
        self.late.remove(id);
    }

    /// Bytes that wait for all of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who they are, in no particular order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = ConnectionId> {
        self.late.keys()
    }

    /// When a late one's socket took bytes for the last time, or refused them for the first.
    pub fn since(&self, id: ConnectionId) -> Option<Tick> {
        self.late.get(id).map(|late| late.progress)
    }

    /// Those whose sockets have taken nothing for longer than `patience`.
    pub fn stalled(&self, now: Tick, patience: Duration) -> Vec<ConnectionId> {
        self.late.iter().filter(|(_, late)| now > late.progress.after(patience)).map(|(id, _)| id).collect()
    }

    /// The largest: so many that what the others wait for is at most seven eighths of `bytes_max`. That way the next
    /// search is an eighth of the budget away.
    pub fn largest_beyond(&self, bytes_max: usize) -> Vec<ConnectionId> {
        let mut sizes: Vec<(usize, ConnectionId)> = self.late.iter().map(|(id, late)| (late.bytes, id)).collect();
        sizes.sort_unstable_by_key(|size| Reverse(size.0));
        let mut left = self.bytes;
        let is_too_much = |(bytes, _): &(usize, ConnectionId)| {
            let goes = left > bytes_max / 8 * 7;
            left -= bytes;
            goes
        };
        sizes.into_iter().take_while(is_too_much).map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    #[test]
    fn the_sum_agrees_with_a_plain_model_and_the_largest_go_first() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut ids = SlotMap::<ConnectionId, ()>::with_key();
        let ids: Vec<ConnectionId> = (0..30).map(|_| ids.insert(())).collect();
        let mut backlog = Backlog::default();
        let mut model = std::collections::BTreeMap::new();
        for _ in 0..10_000 {
            let id = ids[random.usize(..ids.len())];
            if random.u8(..4) == 0 {
                backlog.forget(id);
                model.remove(&id);
            } else {
                let bytes = random.usize(..1_000);
                backlog.progress(id, Tick::default());
                backlog.waits(id, bytes);
                model.insert(id, bytes);
            }
            assert_eq!((backlog.bytes(), backlog.ids().len()), (model.values().sum(), model.len()));
            let gone = backlog.largest_beyond(8_000);
            let smallest_gone = gone.iter().map(|id| model[id]).min().unwrap_or(usize::MAX);
            let stay: Vec<usize> = model.iter().filter(|(id, _)| !gone.contains(id)).map(|(_, bytes)| *bytes).collect();
            assert!(stay.iter().sum::<usize>() <= 7_000);
            assert!(stay.iter().all(|&bytes| bytes <= smallest_gone));
            assert_eq!(gone.is_empty(), backlog.bytes() <= 7_000);
        }
    }

    #[test]
    fn who_takes_nothing_is_stalled_once_its_time_is_up() {
        let mut ids = SlotMap::<ConnectionId, ()>::with_key();
        let (one, other) = (ids.insert(()), ids.insert(()));
        let at = |seconds| Tick::at(Duration::from_secs(seconds));
        let mut backlog = Backlog::default();
        backlog.progress(one, at(0));
        backlog.progress(other, at(0));
        backlog.progress(other, at(5));
        let patience = Duration::from_secs(10);
        assert!(backlog.stalled(at(10), patience).is_empty());
        assert_eq!(backlog.stalled(at(11), patience), [one]);
        backlog.forget(one);
        assert_eq!(backlog.stalled(at(16), patience), [other]);
    }
}
