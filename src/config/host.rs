//! What this machine allows the process: descriptors, locked memory, `io_uring`, cores, memory.

use super::cgroup::Cgroup;
use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};
use std::fs::{File, read_to_string};
use std::io;

/// Descriptors that belong to no connection: standard streams, listeners, links to the broker, the log, and room for
/// requests that are being turned away.
const DESCRIPTORS_OF_PROCESS: u64 = 64;

/// Descriptors of an executor: seven for three rings, a ring for batched sends, two epoll sets and a doorbell, and up to
/// eight listeners.
const DESCRIPTORS_PER_EXECUTOR: u64 = 16;

/// Connections a start allows by itself, however many files it may open: the kernel's table of that many descriptors
/// takes 8 MiB, and containers often set a limit of a thousand times as much, which nobody meant.
pub(super) const CONNECTIONS_DERIVED_MAX: u64 = 1 << 20;

/// Descriptors the kernel's table is grown to ahead: 8 MiB of kernel memory.
const DESCRIPTORS_AHEAD_MAX: u64 = 1 << 20;

/// The kernel's operations the executor asks for that came last (Linux 5.6); with them the older ones are there.
const OPERATIONS: [u8; 8] = [
    opcode::Fallocate::CODE,
    opcode::OpenAt::CODE,
    opcode::Close::CODE,
    opcode::Statx::CODE,
    opcode::Read::CODE,
    opcode::Write::CODE,
    opcode::Send::CODE,
    opcode::Recv::CODE,
];

/// What this machine allows the process.
#[derive(Clone, Debug)]
pub struct Host {
    /// Files that may be open at a time; `u64::MAX` where there is no limit.
    pub open_files: u64,
    /// What the limit on open files was before it was raised, where it was.
    pub open_files_before: Option<u64>,
    /// Bytes that may be locked; `None` is any number.
    pub memlock_bytes: Option<u64>,
    /// Whether rings can be made.
    pub io_uring: Result<(), IoUringRefusal>,
    /// Cores this thread may run on, ascending; at least one.
    pub allowed_cores: Vec<usize>,
    /// Memory of the machine or of the container or unit, whichever is less; `None` where neither can be read.
    pub memory_bytes: Option<u64>,
    /// The limits of the container or unit.
    pub cgroup: Cgroup,
    /// Connections that may wait to be accepted (`net.core.somaxconn`).
    pub backlog_max: Option<u64>,
}

impl Host {
    /// Looks, and raises the soft limits on open files and locked memory to the hard ones, which needs no rights.
    ///
    /// Call it on the main thread before it is pinned: the cores are those of the calling thread.
    pub fn look() -> Self {
        let open_files_before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let open_files = raised(Resource::Nofile).unwrap_or(u64::MAX);
        let cgroup = Cgroup::look();
        Self {
            open_files,
            open_files_before: (open_files != open_files_before).then_some(open_files_before),
            memlock_bytes: raised(Resource::Memlock),
            io_uring: probe_io_uring(),
            allowed_cores: allowed_cores(),
            memory_bytes: memory_bytes(cgroup),
            cgroup,
            backlog_max: number_in("/proc/sys/net/core/somaxconn"),
        }
    }

    /// Makes the kernel's table of descriptors as large as the limit on open files, or as 1 048 576 of them, at once.
    ///
    /// Grown step by step while several threads run, each step waits for all of them: accepts fall from 31 000 a second
    /// and core to 3 000 to 4 000. Call it once, before any thread starts. Where the kernel refuses, a warning is logged
    /// and the server serves all the same, slower in a storm of connections.
    pub fn grow_descriptor_table(&self) {
        if let Err(error) = grow_table(self.open_files.min(DESCRIPTORS_AHEAD_MAX)) {
            tracing::warn!(%error, "the descriptor table cannot be grown ahead: storms of connections are accepted slowly");
        }
    }
}

/// Why no ring can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoUringRefusal {
    /// The machine's switch `kernel.io_uring_disabled` is at this value.
    Disabled(u64),
    /// A filter of system calls says no: a container's seccomp profile, most often.
    Forbidden,
    /// The kernel or the sandbox does not know it.
    Missing,
    /// The kernel's is older than what the executor needs.
    TooOld,
    /// Anything else, in the kernel's words.
    Other(String),
}

/// Descriptors that are not for connections, with so many shards.
pub fn descriptors_reserved(shards: usize) -> u64 {
    DESCRIPTORS_OF_PROCESS + DESCRIPTORS_PER_EXECUTOR * (shards as u64 + 1)
}

/// Makes room for `descriptors` of them by naming the highest once.
fn grow_table(descriptors: u64) -> io::Result<()> {
    let highest = i32::try_from(descriptors.max(1) - 1).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // Any descriptor will do; the root directory is always there. Both are closed again, the table stays.
    let file = File::open("/")?;
    rustix::io::fcntl_dupfd_cloexec(&file, highest)?;
    Ok(())
}

/// Raises the soft limit to the hard one and says what it is now; `None` is no limit.
fn raised(resource: Resource) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(resource);
    if current == maximum || current.is_none() {
        return current;
    }
    match setrlimit(resource, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

fn probe_io_uring() -> Result<(), IoUringRefusal> {
    let ring = IoUring::new(2).map_err(|error| refusal(&error))?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|_| IoUringRefusal::TooOld)?;
    let knows_all = OPERATIONS.iter().all(|operation| probe.is_supported(*operation));
    knows_all.then_some(()).ok_or(IoUringRefusal::TooOld)
}

fn refusal(error: &io::Error) -> IoUringRefusal {
    let switch = number_in("/proc/sys/kernel/io_uring_disabled").unwrap_or(0);
    match Errno::from_io_error(error) {
        Some(Errno::PERM) if switch != 0 => IoUringRefusal::Disabled(switch),
        Some(Errno::PERM | Errno::ACCESS) => IoUringRefusal::Forbidden,
        Some(Errno::NOSYS) => IoUringRefusal::Missing,
        _ => IoUringRefusal::Other(error.to_string()),
    }
}

fn allowed_cores() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    // A kernel with more cores than the set can hold refuses the question; core 0 is a guess that start will prove.
    if cores.is_empty() { vec![0] } else { cores }
}

fn memory_bytes(cgroup: Cgroup) -> Option<u64> {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| meminfo_total(&text));
    [machine, cgroup.memory_bytes].into_iter().flatten().min()
}

/// `MemTotal` in bytes (`proc_meminfo(5)`: its `kB` are KiB).
fn meminfo_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn number_in(path: &str) -> Option<u64> {
    read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
impl Host {
    /// A machine with nothing in the way.
    pub(crate) fn pretend(cores: usize) -> Self {
        Self {
            open_files: 20_000,
            open_files_before: None,
            memlock_bytes: None,
            io_uring: Ok(()),
            allowed_cores: (0..cores).collect(),
            memory_bytes: Some(8 << 30),
            cgroup: Cgroup::default(),
            backlog_max: Some(4096),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cgroup, Host, IoUringRefusal, grow_table, meminfo_total, memory_bytes, refusal};
    use rustix::io::Errno;

    #[test]
    fn this_machine_can_be_looked_at() {
        let host = Host::look();
        assert!(!host.allowed_cores.is_empty());
        assert!(host.allowed_cores.is_sorted());
        assert!(host.open_files > 3);
        assert!(host.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        let unit = Cgroup { memory_bytes: Some(4096), ..Cgroup::default() };
        assert_eq!(memory_bytes(unit), Some(4096), "a unit has no more than it is allowed");
        grow_table(host.open_files.min(4096)).expect("within the limit");
        assert_eq!(Host::look().open_files_before, None, "a raised limit stays raised");
    }

    #[test]
    fn a_table_above_every_limit_is_an_error() {
        assert!(grow_table(u64::MAX).is_err());
        assert!(grow_table(1 << 31).is_err());
    }

    #[test]
    fn the_kernels_no_is_told_apart() {
        let table = [
            (Errno::NOSYS, IoUringRefusal::Missing),
            (Errno::ACCESS, IoUringRefusal::Forbidden),
            (Errno::NOMEM, IoUringRefusal::Other(std::io::Error::from(Errno::NOMEM).to_string())),
        ];
        for (errno, expected) in table {
            assert_eq!(refusal(&errno.into()), expected, "{errno:?}");
        }
        let refused = refusal(&Errno::PERM.into());
        assert!(matches!(refused, IoUringRefusal::Forbidden | IoUringRefusal::Disabled(1..)), "{refused:?}");
    }

    #[test]
    fn the_total_is_found_in_meminfo() {
        let table = [
            ("MemTotal:       24683520 kB\nMemFree: 1 kB\n", Some(24_683_520 * 1024)),
            ("MemFree: 1 kB\n", None),
            ("MemTotal: x kB", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(meminfo_total(text), expected, "{text}");
        }
    }
}
