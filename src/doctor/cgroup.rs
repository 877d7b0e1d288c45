//! Whether the limits of the container or unit are enough.

use crate::config::bill::rounded;
use crate::config::{Cgroup, Check, Config};

pub(super) fn report(limits: Cgroup, config: &Config) -> Vec<Check> {
    let cores = limits.millicores.map(|millicores| cores(millicores, config));
    let memory = limits.memory_bytes.map(|bytes| memory(bytes, config));
    cores.into_iter().chain(memory).collect()
}

/// A thread that has used up the group's share stands still until the next period, and its clients with it.
fn cores(millicores: u64, config: &Config) -> Check {
    let mut used = config.shard_cores();
    used.extend(config.broker_core.filter(|core| !config.cores.contains(core)));
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
    let (what, [allowed, least, most]) = ("memory limit", [bytes, idle, worst].map(rounded));
    let detail = format!("{allowed} allowed; {least} for idle connections, {most} if nobody reads");
    if worst <= bytes {
        Check::fine(what, detail)
    } else if idle <= bytes {
        Check::warning(what, detail, "lower --outbound-total-max, or raise the limit: beyond it the kernel kills")
    } else {
        Check::warning(what, detail, "lower --max-connections, or raise the limit: beyond it the kernel kills")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Verdict, host::Host};
    use crate::doctor::tests::config;

    fn check(limits: Cgroup, words: &str, verdict: Verdict, cure: &str) {
        let checks = report(limits, &config(&Host::pretend(4), words));
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
}
