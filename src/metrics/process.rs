//! What the kernel counts about this process.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::time::Duration;

/// As it stands at a look, which costs a few calls to the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Processor time of all threads so far, the kernel's work for them included.
    pub cpu: Duration,
    /// Memory in use, in bytes; `None` where /proc cannot be read.
    pub resident_bytes: Option<u64>,
    /// Files that are open, sockets included; `None` before Linux 6.2, which makes one go through them all to say it.
    pub open_files: Option<u64>,
    /// Files that may be open; `None` is any number.
    pub open_files_max: Option<u64>,
}

impl Process {
    /// Looks.
    pub fn look() -> Self {
        Self {
            cpu: getrusage(UsageWho::RUSAGE_SELF)
                .map_or(Duration::ZERO, |usage| span(usage.user_time()) + span(usage.system_time())),
            resident_bytes: fs::read_to_string("/proc/self/statm").ok().and_then(|text| resident_bytes(&text)),
            open_files: fs::metadata("/proc/self/fd").ok().map(|directory| directory.len()).filter(|&files| files > 0),
            open_files_max: getrlimit(Resource::Nofile).current,
        }
    }
}

fn span(time: TimeVal) -> Duration {
    let (seconds, micros) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
    Duration::from_secs(seconds.unwrap_or_default()) + Duration::from_micros(micros.unwrap_or_default())
}

/// The second number of statm (proc(5)) counts pages.
fn resident_bytes(statm: &str) -> Option<u64> {
    statm.split(' ').nth(1)?.parse::<u64>().ok()?.checked_mul(page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        let before = Process::look();
        let held = fs::File::open("/proc/self/statm").expect("a file of this process");
        let now = Process::look();
        assert!(now.resident_bytes.is_some_and(|bytes| bytes > 100_000), "{now:?}");
        assert!(now.cpu >= before.cpu && now.cpu > Duration::ZERO, "{now:?}");
        assert!(now.open_files.zip(now.open_files_max).is_none_or(|(open, max)| 3 < open && open < max), "{now:?}");
        drop(held);
    }

    #[test]
    fn pages_become_bytes_and_nonsense_nothing() {
        let page = page_size() as u64;
        for (text, expected) in [("9 3 1 1 0 1 0\n", Some(3 * page)), ("9", None), ("", None), ("9 x 1", None)] {
            assert_eq!(resident_bytes(text), expected, "{text:?}");
        }
    }
}
