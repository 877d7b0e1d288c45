//! One client's place in a run.

use super::ledger::Standing;

/// One client's place in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    /// Its number among all.
    pub(crate) connection: u32,
    pub(crate) topic: u32,
    pub(crate) standing: Standing,
    /// Where the thread keeps it, once it was connected.
    pub(crate) place: Option<usize>,
    /// When it is to begin, on the run's clock; 0 where there is no schedule: whenever it can.
    pub(crate) due: u64,
}

impl Seat {
    /// Of somebody who is no client of a run.
    pub(crate) fn alone() -> Self {
        Self { connection: 0, topic: 0, standing: Standing::Steady, place: None, due: 0 }
    }
}
