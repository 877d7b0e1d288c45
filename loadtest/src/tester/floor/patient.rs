//! Calls that a signal may cut short, made again.

use std::io::{self, ErrorKind};

/// Calls until it is not interrupted.
pub(super) fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
