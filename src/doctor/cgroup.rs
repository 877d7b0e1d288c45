//! The limits of the container or unit that this process runs in (`cgroup(7)`), those of its parents included.

use crate::config::bytes::ByteSize;
use crate::config::{Check, Config};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Where the kernel shows groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Version 1 writes no limit as the largest number of whole pages.
const UNLIMITED_BYTES_MIN: u64 = 1 << 60;

/// The tightest limits on the way to the root.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cgroup {
    /// Thousandths of a core's time.
    millicores: Option<u64>,
    memory_bytes: Option<u64>,
}

impl Cgroup {
    pub(super) fn look() -> Self {
        let own = read_to_string("/proc/self/cgroup").ok().and_then(|text| own_path(&text)).unwrap_or_default();
        let read = |directory: &Path, file: &str| read_to_string(directory.join(file)).ok();
        let mut limits = Self::default();
        for directory in own.ancestors() {
            let directory = Path::new(ROOT).join(directory);
            limits.tighten(read(&directory, "cpu.max").as_deref(), read(&directory, "memory.max").as_deref());
        }
        // Version 1 has a tree for each resource, of which a container sees its own part.
        let [quota, period] = ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"].map(|file| read(Path::new(ROOT), file));
        let quota = quota.zip(period).map(|(quota, period)| format!("{} {}", quota.trim(), period.trim()));
        let memory = read(Path::new(ROOT), "memory/memory.limit_in_bytes");
        limits.tighten(quota.as_deref(), memory.as_deref());
        limits
    }

    fn tighten(&mut self, cpu: Option<&str>, memory: Option<&str>) {
        let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        self.millicores = least(self.millicores, cpu.and_then(millicores));
        let memory = memory.and_then(|text| text.trim().parse().ok()).filter(|bytes| *bytes < UNLIMITED_BYTES_MIN);
        self.memory_bytes = least(self.memory_bytes, memory);
    }

    pub(super) fn report(self, config: &Config) -> Vec<Check> {
        let cores = self.millicores.map(|millicores| cores(millicores, config));
        let memory = self.memory_bytes.map(|bytes| memory(bytes, config));
        cores.into_iter().chain(memory).collect()
    }
}

/// A thread that has used up the group's share stands still until the next period, and its clients with it.
fn cores(millicores: u64, config: &Config) -> Check {
    let mut used: Vec<usize> = config.cores.iter().copied().chain(config.broker_core).collect();
    used.sort_unstable();
    used.dedup();
    let (what, threads) = ("core quota", used.len() as u64);
    let detail = format!("{}.{} cores' time for shards on {threads}", millicores / 1000, millicores % 1000 / 100);
    if millicores >= threads * 1000 {
        return Check::fine(what, detail);
    }
    let cure = match millicores / 1000 {
        0 => "give the group one core at least, `--cpus 1` for a container, CPUQuota=100% in systemd".to_owned(),
        whole => format!("start with `--shards {whole}`, or give the group {threads} cores (`--cpus`, CPUQuota=)"),
    };
    Check::warning(what, format!("{detail}: who has used up the share stands still until the next period"), cure)
}

fn memory(bytes: u64, config: &Config) -> Check {
    let bill = config.memory_bill();
    let (idle, worst) = (bill.idle_total_bytes(), bill.idle_total_bytes().saturating_add(bill.outbound_bytes));
    let (what, [allowed, least, most]) = ("memory limit", [bytes, idle, worst].map(mebibytes));
    let detail = format!("{allowed} allowed; {least} for idle connections, {most} if nobody reads");
    if worst <= bytes {
        Check::fine(what, detail)
    } else if idle <= bytes {
        Check::warning(what, detail, "lower --outbound-total-max, or raise the limit: beyond it the kernel kills")
    } else {
        Check::warning(what, detail, "lower --max-connections, or raise the limit: beyond it the kernel kills")
    }
}

/// Whole mebibytes, rounded up.
fn mebibytes(bytes: u64) -> ByteSize {
    ByteSize(bytes.div_ceil(1 << 20).saturating_mul(1 << 20))
}

/// The group of version 2, without the slash in front: `0::/system.slice/fanout.service`.
fn own_path(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // A parent's path may be hidden from within: `/../..`.
    (!path.contains("..")).then(|| PathBuf::from(path))
}

/// `50000 100000` is half a core; `max 100000` and `-1 100000` are no limit.
fn millicores(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    quota.checked_mul(1000)?.checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Verdict, host::Host};
    use crate::doctor::tests::config;

    fn check(limits: Cgroup, words: &str, verdict: Verdict, cure: &str) {
        let checks = limits.report(&config(&Host::pretend(4), words));
        assert_eq!(checks.len(), 1, "{limits:?}");
        assert_eq!(checks[0].verdict, verdict, "{limits:?} {words}: {checks:?}");
        assert!(checks[0].cure.contains(cure), "{limits:?} {words}: {checks:?}");
    }

    #[test]
    fn a_quota_below_the_pinned_threads_is_a_warning() {
        let quota = |millicores| Cgroup { millicores: Some(millicores), ..Cgroup::default() };
        check(quota(4000), "", Verdict::Fine, "");
        check(quota(3999), "", Verdict::Warning, "--shards 3");
        check(quota(2000), "--shards 2 --broker-core none", Verdict::Fine, "");
        check(quota(500), "--shards 1 --broker-core none", Verdict::Warning, "--cpus 1");
    }

    #[test]
    fn a_memory_limit_is_held_against_the_bill() {
        let limit = |mebibytes: u64| Cgroup { memory_bytes: Some(mebibytes << 20), ..Cgroup::default() };
        let words = "--max-connections 1000 --outbound-total-max 64MiB --shards 1";
        check(limit(200), words, Verdict::Fine, "");
        check(limit(50), words, Verdict::Warning, "--outbound-total-max");
        check(limit(10), words, Verdict::Warning, "--max-connections");
    }

    #[test]
    fn the_tightest_limit_counts() {
        let mut limits = Cgroup::default();
        for (cpu, memory) in
            [("200000 100000", "max"), ("max 100000", "1000\n"), ("150000 100000", "9223372036854771712")]
        {
            limits.tighten(Some(cpu), Some(memory));
        }
        limits.tighten(None, None);
        assert_eq!((limits.millicores, limits.memory_bytes), (Some(1500), Some(1000)));
    }

    #[test]
    fn groups_and_quotas_are_read_as_the_kernel_writes_them() {
        for (text, expected) in [
            ("0::/system.slice/fanout.service\n", Some("system.slice/fanout.service")),
            ("12:cpu:/a\n0::/\n", Some("")),
            ("0::/../..\n", None),
            ("12:cpu:/a\n", None),
        ] {
            assert_eq!(own_path(text), expected.map(PathBuf::from), "{text}");
        }
        for (text, expected) in
            [("50000 100000", Some(500)), ("max 100000", None), ("-1 100000", None), ("1 0", None), ("", None)]
        {
            assert_eq!(millicores(text), expected, "{text}");
        }
        Cgroup::look();
    }
}
