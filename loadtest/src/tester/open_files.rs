//! How many files this process may have open: every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides connections: standard streams, epoll sets, `/proc` while it is read.
const RESERVE: u64 = 64;

/// Raises the limit to the highest that is allowed and gives it; `u64::MAX` for none.
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current == limit.maximum || setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum.unwrap_or(u64::MAX)
    } else {
        limit.current.unwrap_or(u64::MAX)
    }
}

/// Whether so many connections fit.
///
/// # Errors
/// One sentence, where they do not.
pub(crate) fn check(clients: u32, publishers: u32) -> Result<(), String> {
    let allowed = raise();
    let wanted = u64::from(clients) + u64::from(publishers) + RESERVE;
    if wanted <= allowed {
        return Ok(());
    }
    let most = allowed.saturating_sub(RESERVE + u64::from(publishers));
    Err(format!(
        "--clients {clients} needs {wanted} open files and this process may have {allowed} (ulimit -Hn): \
         {most} clients fit, more with another tester process"
    ))
}
