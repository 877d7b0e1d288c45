//! How long anything is waited for.

use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for anything that should happen: far above what a loaded machine with two cores needs, so that only
/// what never happens runs into it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks: short against anything a test waits for, long against the cost of a look.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds something.
///
/// # Panics
/// After [`PATIENCE`], naming what was waited for.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}
