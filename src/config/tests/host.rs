//! A machine held against a configuration: what cannot work, what could be better, what it may cost.

use super::super::check::Verdict;
use super::super::host::IoUringRefusal;
use super::{Host, config_on};

#[test]
fn a_host_that_cannot_serve_says_the_cure() {
    let fine = Host::pretend(2);
    let table: &[(&str, Host, &str, &str)] = &[
        ("", fine.clone(), "", ""),
        (
            "",
            Host { io_uring: Err(IoUringRefusal::Disabled(2)), ..fine.clone() },
            "io_uring",
            "kernel.io_uring_disabled=0",
        ),
        ("", Host { io_uring: Err(IoUringRefusal::Forbidden), ..fine.clone() }, "io_uring", "seccomp"),
        ("", Host { io_uring: Err(IoUringRefusal::Missing), ..fine.clone() }, "io_uring", "Linux 5.8"),
        ("", Host { memlock_bytes: Some(524_287), ..fine.clone() }, "locked memory", "ulimit -l 512"),
        ("", Host { memlock_bytes: Some(524_288), ..fine.clone() }, "", ""),
        ("", Host { open_files: 100, ..fine.clone() }, "open files", "LimitNOFILE="),
        ("--max-connections 20000", fine.clone(), "open files", "lower --max-connections"),
        ("--max-connections 19888", fine.clone(), "", ""),
    ];
    for (arguments, host, what, cure) in table {
        let config = config_on(host, arguments, "");
        match host.refuse(&config) {
            None => assert_eq!(*what, "", "{arguments} {host:?}"),
            Some(sentence) => {
                assert!(!what.is_empty() && sentence.starts_with(what) && sentence.contains(cure), "{sentence}");
                assert!(!sentence.contains('\n'), "{sentence}");
            }
        }
    }
}

#[test]
fn the_check_list_tells_what_could_be_better() {
    let host = Host { open_files: 1024, backlog_max: Some(128), memory_bytes: Some(1 << 20), ..Host::pretend(2) };
    let checks = host.report(&config_on(&host, "--shards 3", ""));
    let verdicts: Vec<_> = checks.iter().map(|check| (check.what, check.verdict)).collect();
    let expected = [
        ("io_uring", Verdict::Fine),
        ("locked memory", Verdict::Fine),
        ("open files", Verdict::Warning),
        ("cores", Verdict::Warning),
        ("memory", Verdict::Warning),
        ("backlog", Verdict::Warning),
    ];
    assert_eq!(verdicts, expected);
    assert!(checks.iter().all(|check| (check.verdict == Verdict::Fine) == check.cure.is_empty()), "{checks:?}");
}

#[test]
fn the_bill_counts_every_connection() {
    let config = config_on(&Host::pretend(2), "--max-connections 1000 --outbound-max 1MiB", "");
    let bill = config.memory_bill();
    assert_eq!(bill.outbound_bytes, 1000 << 20);
    assert_eq!(bill.idle_bytes, 1_250_000);
    assert_eq!(bill.fixed_bytes, 3 * (8 << 20));
    assert_eq!(
        bill.to_string(),
        "24MiB, 1221KiB more with 1000 idle connections (4000KiB in the kernel); at worst 1000MiB more if nobody reads, \
         63MiB if everybody holds back an unfinished message"
    );
    let budgeted = config_on(&Host::pretend(2), "--max-connections 1000 --outbound-total-max 64MiB", "");
    assert_eq!(budgeted.memory_bill().outbound_bytes, 64 << 20, "no more than waits for all together");
}
