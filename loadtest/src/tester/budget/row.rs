//! The rows of the budget table, and the curves beside them: one line each.

use super::rig::Rig;
use super::rows::{allocations, connecting, costs, curves, handshakes, idle, latency, shards, spread};
use super::section::Section;
use std::io;

/// One thing to measure.
pub struct Row {
    /// Its name for `--only`.
    pub name: &'static str,
    /// Measures it.
    pub measure: fn(&Rig) -> io::Result<Section>,
}

/// Rows with a budget.
pub static BUDGETS: &[Row] = &[
    Row { name: "window-1", measure: costs::window_1 },
    Row { name: "window-16", measure: costs::window_16 },
    Row { name: "flux", measure: costs::flux },
    Row { name: "clients", measure: costs::clients },
    Row { name: "users", measure: costs::users },
    Row { name: "idle", measure: idle::measure },
    Row { name: "allocations", measure: allocations::measure },
    Row { name: "handshakes", measure: handshakes::measure },
    Row { name: "connecting", measure: connecting::measure },
    Row { name: "latency", measure: latency::measure },
    Row { name: "shards", measure: shards::measure },
    Row { name: "spread", measure: spread::measure },
];

/// Rows that only show.
pub static CURVES: &[Row] = &[
    Row { name: "curve-clients", measure: curves::clients },
    Row { name: "curve-sizes", measure: curves::sizes },
    Row { name: "curve-windows", measure: curves::windows },
    Row { name: "curve-memory", measure: curves::memory },
];
