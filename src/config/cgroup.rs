//! The limits of the container or unit that this process runs in (`cgroup(7)`), those of its parents included.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Where the kernel shows groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Version 1 writes no limit as the largest number of whole pages.
const UNLIMITED_BYTES_MIN: u64 = 1 << 60;

/// The tightest limits on the way to the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// Thousandths of a core's time; `None` is no limit.
    pub millicores: Option<u64>,
    /// Beyond it the kernel kills; `None` is no limit.
    pub memory_bytes: Option<u64>,
}

impl Cgroup {
    pub(super) fn look() -> Self {
        let own = read_to_string("/proc/self/cgroup").ok().and_then(|text| own_path(&text)).unwrap_or_default();
        Self::of(Path::new(ROOT), &own)
    }

    /// The limits on the way from this group to the root.
    fn of(root: &Path, own: &Path) -> Self {
        let read = |directory: &Path, file: &str| read_to_string(directory.join(file)).ok();
        let mut limits = Self::default();
        for directory in own.ancestors() {
            let directory = root.join(directory);
            limits.tighten(read(&directory, "cpu.max").as_deref(), read(&directory, "memory.max").as_deref());
        }
        // Version 1 has a tree for each resource, of which a container sees its own part.
        let [quota, period] = ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"].map(|file| read(root, file));
        let quota = quota.zip(period).map(|(quota, period)| format!("{} {}", quota.trim(), period.trim()));
        let memory = read(root, "memory/memory.limit_in_bytes");
        limits.tighten(quota.as_deref(), memory.as_deref());
        limits
    }

    fn tighten(&mut self, cpu: Option<&str>, memory: Option<&str>) {
        let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        self.millicores = least(self.millicores, cpu.and_then(millicores));
        let memory = memory.and_then(|text| text.trim().parse().ok()).filter(|bytes| *bytes < UNLIMITED_BYTES_MIN);
        self.memory_bytes = least(self.memory_bytes, memory);
    }
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
    use std::fs;

    #[test]
    fn a_limit_of_the_unit_or_of_a_parent_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let (root, own) = (directory.path(), Path::new("system.slice/fanout.service"));
        fs::create_dir_all(root.join(own)).expect("a directory");
        fs::write(root.join(own).join("memory.max"), "1000\n").expect("a file");
        fs::write(root.join("system.slice/cpu.max"), "150000 100000\n").expect("a file");
        let limits = Cgroup::of(root, own);
        assert_eq!(limits, Cgroup { millicores: Some(1500), memory_bytes: Some(1000) });
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
