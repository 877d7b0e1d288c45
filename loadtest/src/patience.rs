//! How long anything is waited for.

use std::io::{self, ErrorKind};
use std::process::{Child, ExitStatus, Output};
use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for anything that should happen: far above what a loaded machine with two cores needs, so that only
/// what never happens runs into it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks: short against anything a test waits for, long against the cost of a look.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Looks again and again until `look` finds something; nothing where it does not within `patience`.
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Looks again and again until `look` finds something.
///
/// # Panics
/// After [`PATIENCE`], naming what was waited for.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Waits for a process' end.
///
/// # Errors
/// Where it still runs after `patience`.
pub fn ended(process: &mut Child, patience: Duration) -> io::Result<ExitStatus> {
    within(patience, || process.try_wait().transpose()).unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))
}

/// What a process has said, once it has ended; it may say no more than a pipe holds.
///
/// # Panics
/// Where it still runs after [`PATIENCE`]; then it is killed.
pub fn outcome(mut process: Child) -> Output {
    if ended(&mut process, PATIENCE).is_err() {
        drop(process.kill());
        panic!("it hangs: {:?}", process.wait_with_output());
    }
    process.wait_with_output().expect("its pipes can be read")
}
