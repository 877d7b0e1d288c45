//! What the kernel is and how it is set, beside what a start looks at.

use crate::config::{Check, Config, IDLE_SOCKET_BYTES};
use std::fs::read_to_string;

/// Older kernels have no `io_uring` that the executor could use.
const KERNEL_MIN: (u32, u32) = (5, 8);

/// Older kernels do not take many sends with one call the way a shard makes them (`IORING_SETUP_DEFER_TASKRUN`).
const KERNEL_FOR_BATCHES: (u32, u32) = (6, 1);

/// Clocks that a program reads without a call to the kernel.
const QUICK_CLOCKS: [&str; 6] =
    ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "timebase", "tod"];

/// What there is in a file of `/proc` or `/sys`; nothing where it cannot be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// `uname -r`.
    release: Option<String>,
    /// As in `always [madvise] never`.
    huge_pages: Option<String>,
    /// Whether this process has them switched off for itself.
    has_small_pages: bool,
    /// What the clock is read from.
    clock: Option<String>,
    /// Pages of sockets' memory: few, many, most.
    tcp_memory: Option<String>,
    page_bytes: u64,
    /// Connections that a firewall keeps in mind; nothing where none does.
    tracked_max: Option<String>,
}

impl Machine {
    pub(super) fn look() -> Self {
        Self {
            release: word_in("/proc/sys/kernel/osrelease"),
            huge_pages: word_in("/sys/kernel/mm/transparent_hugepage/enabled"),
            has_small_pages: rustix::thread::transparent_huge_pages_are_disabled().unwrap_or(false),
            clock: word_in("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            tcp_memory: word_in("/proc/sys/net/ipv4/tcp_mem"),
            page_bytes: rustix::param::page_size() as u64,
            tracked_max: word_in("/proc/sys/net/netfilter/nf_conntrack_max"),
        }
    }

    pub(super) fn report(&self, config: &Config) -> Vec<Check> {
        let connections = config.limits.connections_max as u64;
        let checks = [
            self.release.as_deref().map(kernel),
            self.huge_pages.as_deref().map(|pages| self.huge_pages(pages)),
            self.clock.as_deref().map(clock),
            self.tcp_memory(connections),
            self.tracked(connections),
        ];
        checks.into_iter().flatten().collect()
    }

    fn huge_pages(&self, pages: &str) -> Check {
        let what = "huge pages";
        match (pages.contains("[always]"), self.has_small_pages) {
            (false, _) => Check::fine(what, "only for who asks"),
            (true, true) => Check::fine(what, "for everybody; the server switches them off for itself"),
            // Once a heap lies in huge pages, what a client has freed is not given back.
            (true, false) => Check::warning(
                what,
                "for everybody, and this process may not switch them off: memory grows by 2MiB at a time",
                "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
            ),
        }
    }

    /// Beyond the third number the kernel takes memory from sockets: their windows shrink, and packets are dropped.
    fn tcp_memory(&self, connections: u64) -> Option<Check> {
        let pages: Vec<u64> = self.tcp_memory.as_deref()?.split_whitespace().flat_map(str::parse).collect();
        let [few, many, most] = pages[..] else { return None };
        let (what, needed) = ("socket memory", connections.saturating_mul(IDLE_SOCKET_BYTES) / self.page_bytes.max(1));
        let detail = format!("{most} pages at most, {needed} needed for {connections} clients that read");
        Some(if most >= needed {
            Check::fine(what, detail)
        } else {
            let cure =
                format!("sysctl -w net.ipv4.tcp_mem=\"{few} {} {}\"", many.max(needed), needed.saturating_mul(2));
            Check::warning(what, detail, cure)
        })
    }

    /// A firewall that keeps each connection in mind drops new ones once its table is full.
    fn tracked(&self, connections: u64) -> Option<Check> {
        let max: u64 = self.tracked_max.as_deref()?.parse().ok()?;
        let (what, detail) =
            ("tracked", format!("the firewall keeps {max} connections in mind, {connections} may come"));
        Some(if max > connections {
            Check::fine(what, detail)
        } else {
            let cure = format!("sysctl -w net.netfilter.nf_conntrack_max={}", connections.saturating_mul(2));
            Check::warning(what, detail, cure)
        })
    }
}

fn kernel(release: &str) -> Check {
    let (what, detail) = ("kernel", format!("Linux {release}"));
    let mut numbers = release.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    let Some(version) = numbers.next().zip(numbers.next()) else { return Check::fine(what, detail) };
    if version < KERNEL_MIN {
        Check::failure(what, detail, "run on Linux 5.8 or newer: older ones have no io_uring that would do")
    } else if version < KERNEL_FOR_BATCHES {
        Check::warning(what, detail, "run on Linux 6.1 or newer: before that, events are sent one call at a time")
    } else {
        Check::fine(what, detail)
    }
}

fn clock(source: &str) -> Check {
    let (what, detail) = ("clock", source);
    if QUICK_CLOCKS.contains(&source) {
        return Check::fine(what, detail);
    }
    Check::warning(
        what,
        format!("{detail}: each look at the time is a call to the kernel"),
        "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
    )
}

fn word_in(path: &str) -> Option<String> {
    read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Verdict, host::Host};
    use crate::doctor::tests::config;

    fn said(machine: &Machine, words: &str) -> Vec<(&'static str, Verdict, String)> {
        let checks = machine.report(&config(&Host::pretend(2), words));
        checks.into_iter().map(|check| (check.what, check.verdict, check.cure)).collect()
    }

    fn check(machine: &Machine, words: &str, what: &'static str, verdict: Verdict, cure: &str) {
        let said = said(machine, words);
        assert_eq!(said.len(), 1, "{machine:?}");
        let (name, found, cures) = &said[0];
        assert_eq!((*name, *found), (what, verdict), "{machine:?}");
        assert!(cures.contains(cure), "{machine:?}: {cures}");
    }

    #[test]
    fn a_kernel_is_judged_by_its_version() {
        for (release, verdict, cure) in [
            ("6.18.44-fc-v669", Verdict::Fine, ""),
            ("6.1.0-13-amd64", Verdict::Fine, ""),
            ("10.0", Verdict::Fine, ""),
            ("6.0.19", Verdict::Warning, "Linux 6.1"),
            ("5.15.0-1051-aws", Verdict::Warning, "Linux 6.1"),
            ("5.4.0", Verdict::Failure, "Linux 5.8"),
            ("4.4.0", Verdict::Failure, "Linux 5.8"),
            ("unknown", Verdict::Fine, ""),
        ] {
            let machine = Machine { release: Some(release.to_owned()), ..Machine::default() };
            check(&machine, "", "kernel", verdict, cure);
        }
    }

    #[test]
    fn huge_pages_are_a_warning_only_where_they_cannot_be_switched_off() {
        for (pages, has_small_pages, verdict) in [
            ("always [madvise] never", false, Verdict::Fine),
            ("[always] madvise never", true, Verdict::Fine),
            ("[always] madvise never", false, Verdict::Warning),
        ] {
            let machine = Machine { huge_pages: Some(pages.to_owned()), has_small_pages, ..Machine::default() };
            check(&machine, "", "huge pages", verdict, "");
        }
    }

    #[test]
    fn a_clock_that_costs_a_call_is_a_warning() {
        for (source, verdict) in [
            ("tsc", Verdict::Fine),
            ("kvm-clock", Verdict::Fine),
            ("hpet", Verdict::Warning),
            ("acpi_pm", Verdict::Warning),
        ] {
            check(&Machine { clock: Some(source.to_owned()), ..Machine::default() }, "", "clock", verdict, "");
        }
    }

    #[test]
    fn limits_of_the_kernel_are_held_against_the_clients() {
        let machine =
            |text: &str| Machine { tcp_memory: Some(text.to_owned()), page_bytes: 4096, ..Machine::default() };
        check(&machine("1 2 1000"), "--max-connections 1000", "socket memory", Verdict::Fine, "");
        check(&machine("1 2 999"), "--max-connections 1000", "socket memory", Verdict::Warning, "\"1 1000 2000\"");
        let machine = |text: &str| Machine { tracked_max: Some(text.to_owned()), ..Machine::default() };
        check(&machine("1001"), "--max-connections 1000", "tracked", Verdict::Fine, "");
        check(&machine("1000"), "--max-connections 1000", "tracked", Verdict::Warning, "nf_conntrack_max=2000");
    }

    #[test]
    fn what_cannot_be_read_is_not_judged() {
        assert_eq!(said(&Machine::default(), ""), []);
        assert_eq!(said(&Machine { tcp_memory: Some("1 2".to_owned()), ..Machine::default() }, ""), []);
        assert!(Machine::look().release.is_some());
    }
}
