//! Processor time and memory of processes and threads, read from `/proc` (proc(5), Documentation/scheduler/sched-stats).

use super::clock::nanoseconds;
use super::outcome::ServerCost;
use std::fs;
use std::io;
use std::time::Instant;

/// A process as it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// User and system time of all its threads, in nanoseconds.
    pub(crate) busy: u64,
    /// Resident memory, in bytes.
    pub(crate) resident_bytes: u64,
    /// Its anonymous part, which no file is behind, in bytes.
    pub(crate) anonymous_bytes: Option<u64>,
    /// Of the whole machine.
    pub(crate) kernel: Option<Kernel>,
    at: Instant,
}

/// What the kernel keeps for connections, of the whole machine, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    /// Pages of TCP buffers (`mem` in `/proc/net/sockstat`).
    pub(crate) buffers: u64,
    /// All slabs: sockets, their inodes and files, and whatever else the machine does.
    pub(crate) slabs: u64,
    /// Those of them that cannot be given back under pressure.
    pub(crate) unreclaimable: u64,
}

impl Reading {
    /// Reads all of it. Walks the page tables of the process: not for the middle of a measurement.
    pub(crate) fn whole(pid: u32) -> io::Result<Self> {
        let coarse = resident_bytes(pid)?;
        let rollup = |name| kibibytes(&format!("/proc/{pid}/smaps_rollup"), name);
        Ok(Self {
            busy: processor_time(pid)?,
            resident_bytes: rollup("Rss:").unwrap_or(coarse),
            anonymous_bytes: rollup("Anonymous:").ok(),
            kernel: Kernel::read().ok(),
            at: Instant::now(),
        })
    }

    /// Reads what needs none of the process' locks.
    pub(crate) fn quick(pid: u32) -> io::Result<Self> {
        let (busy, resident_bytes) = (processor_time(pid)?, resident_bytes(pid)?);
        Ok(Self { busy, resident_bytes, anonymous_bytes: None, kernel: None, at: Instant::now() })
    }

    /// What was spent until `end` for so many deliveries.
    pub(crate) fn cost(&self, end: &Self, deliveries: u64) -> ServerCost {
        let busy = end.busy.saturating_sub(self.busy) as f64;
        let elapsed = nanoseconds(end.at.duration_since(self.at)).max(1) as f64;
        ServerCost {
            // Where nothing was delivered, nothing was spent on it.
            cpu_ns_per_delivery: if deliveries == 0 { f64::NAN } else { busy / deliveries as f64 },
            cores: busy / elapsed,
            rss_bytes: end.resident_bytes,
            ..ServerCost::default()
        }
    }
}

/// A server at the turning points of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readings {
    /// Before clients came.
    pub(crate) before: Option<Reading>,
    /// When the last was in.
    pub(crate) connected: Option<Reading>,
    /// With clients at rest.
    pub(crate) with_clients: Option<Reading>,
    /// When the measurement began.
    pub(crate) began: Option<Reading>,
    /// At its end, with the deliveries from then to then.
    pub(crate) ended: Option<(Reading, u64)>,
}

impl Readings {
    /// What so many connections cost, and what they were sent; nothing where a reading is missing.
    pub(crate) fn cost(&self, connections: u64) -> Option<ServerCost> {
        let (began, (ended, deliveries)) = (self.began?, self.ended?);
        let (before, with_clients) = (self.before?, self.with_clients?);
        let connections = connections.max(1) as f64;
        let handshakes = self.connected.map_or(0, |reading| reading.busy.saturating_sub(before.busy));
        let growth = |later: u64, earlier: u64| (later as f64 - earlier as f64) / connections;
        let both = |of: fn(&Reading) -> Option<u64>| Some(growth(of(&with_clients)?, of(&before)?));
        let kernel = |of: fn(Kernel) -> u64| Some(growth(of(with_clients.kernel?), of(before.kernel?)));
        Some(ServerCost {
            rss_bytes_per_connection: growth(with_clients.resident_bytes, before.resident_bytes),
            anonymous_bytes_per_connection: both(|reading| reading.anonymous_bytes),
            kernel_bytes_per_connection: kernel(|kernel| kernel.buffers + kernel.slabs),
            kernel_buffers_per_connection: kernel(|kernel| kernel.buffers),
            kernel_slabs_per_connection: kernel(|kernel| kernel.slabs),
            kernel_unreclaimable_slabs_per_connection: kernel(|kernel| kernel.unreclaimable),
            cpu_ns_per_handshake: handshakes as f64 / connections,
            ..began.cost(&ended, deliveries)
        })
    }
}

/// User and system time of all threads of a process, in nanoseconds.
pub(crate) fn processor_time(pid: u32) -> io::Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the list and the look.
        total += numbers(&thread?.path().join("schedstat").to_string_lossy()).map_or(0, |[running, _]| running);
    }
    Ok(total)
}

/// Nanoseconds that a thread of this process ran, and waited for a core.
pub(crate) fn thread_times(thread: i32) -> io::Result<[u64; 2]> {
    numbers(&format!("/proc/self/task/{thread}/schedstat"))
}

/// Resident memory of a process, in bytes: cheap, and up to some dozen pages per thread behind.
///
/// # Errors
/// For a process that ended too: nobody may have asked for its exit code yet, but it has no memory any more.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    match numbers(&format!("/proc/{pid}/statm"))? {
        [_, 0] => Err(io::Error::other(format!("process {pid} has ended"))),
        [_, pages] => Ok(pages * rustix::param::page_size() as u64),
    }
}

/// The kernel's buffers of all TCP sockets of this machine, in bytes.
pub(crate) fn kernel_buffers() -> io::Result<u64> {
    let sockets = fs::read_to_string("/proc/net/sockstat")?;
    let words = sockets.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or_default();
    let mut words = words.split_whitespace().skip_while(|word| *word != "mem");
    let pages: u64 = words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Ok(pages * rustix::param::page_size() as u64)
}

impl Kernel {
    fn read() -> io::Result<Self> {
        Ok(Self {
            buffers: kernel_buffers()?,
            slabs: kibibytes("/proc/meminfo", "Slab:")?,
            unreclaimable: kibibytes("/proc/meminfo", "SUnreclaim:")?,
        })
    }
}

fn kibibytes(file: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok());
    value.map(|kibibytes| kibibytes * 1024).ok_or_else(|| io::Error::other(format!("no {name} in {file}")))
}

/// The first two numbers of a file.
fn numbers(file: &str) -> io::Result<[u64; 2]> {
    let text = fs::read_to_string(file)?;
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err(io::Error::other(format!("no two numbers in {file}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_spends_time() {
        let before = Reading::whole(std::process::id()).unwrap();
        assert!(before.resident_bytes > 100_000, "{before:?}");
        let mut spent = 0_u64;
        while processor_time(std::process::id()).unwrap() <= before.busy {
            spent = std::hint::black_box(spent + 1);
        }
        let cost = before.cost(&Reading::whole(std::process::id()).unwrap(), 10);
        assert!(cost.cpu_ns_per_delivery > 0.0 && cost.cores > 0.0, "{cost:?}");
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Reading::whole(u32::MAX).is_err());
    }
}
