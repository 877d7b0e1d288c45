//! `fanout doctor`: what this machine allows, what stands in the way, and what to type about it.
//!
//! A group of checks is a file. Each looks first, then judges: looking asks the machine, judging is a pure function of
//! what was found, and what it says is what a start would refuse or regret. Nothing here changes anything.
//!
//! | file | looks at |
//! |---|---|
//! | [`Host::report`] | `io_uring`, locked memory, open files, cores, memory, backlog: what a start looks at, too |
//! | `machine` | the kernel, huge pages, the clock, memory of sockets, tracked connections |
//! | `cgroup` | the limits of the container or unit |
//! | `access` | who may read secrets, and who may connect |
//! | `ports` | whether the addresses are free, and who has them |
//! | `redis` | whether it is there, lets us in, and keeps enough for who is behind |
//! | `proxy` | where one is named: whether clients come through it, and stay |
//! | `capacity` | where it is asked for: what a send costs, and so many clients will |

mod access;
mod capacity;
mod cgroup;
mod countdown;
mod machine;
mod owner;
mod ports;
mod proxy;
mod redis;
mod report;
mod version;

use crate::config::doctor::Strictness;
use crate::config::host::Host;
use crate::config::{BrokerChoice, Check, Config, DoctorOrder, Form, Verdict};
use crate::server::redis_answers;
use capacity::Capacity;
use report::Report;
use std::process::ExitCode;

/// Examines and prints. The exit code is 1 where something cannot work, and with [`Strictness::Warnings`] also where
/// something could be better.
pub fn examine(config: &Config, host: &Host, order: &DoctorOrder) -> ExitCode {
    let mut checks = checks(config, host);
    if let Some(through) = &order.through {
        checks.extend(proxy::report(config, through));
    }
    let capacity = order.capacity.as_ref().map(|load| Capacity::find(config, host, load));
    let (measured, figures) = capacity.map_or((Vec::new(), None), |found| (found.checks, Some(found.figures)));
    checks.extend(measured);
    let report = Report { checks, figures };
    match order.form {
        Form::Text => anstream::print!("{}", report.text()),
        Form::Json => anstream::println!("{:#}", report.json()),
    }
    let unbearable = match order.strictness {
        Strictness::Failures => Verdict::Failure,
        Strictness::Warnings => Verdict::Warning,
    };
    if report.verdict() >= unbearable { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// In the order of the report: the machine, its limits, who may do what, who is where.
fn checks(config: &Config, host: &Host) -> Vec<Check> {
    let mut checks = machine::Machine::look().report(config);
    checks.extend(host.report(config));
    checks.extend(cgroup::report(host.cgroup, config));
    checks.extend(access::report(config));
    checks.extend(ports::report(config));
    checks.extend(broker(config));
    checks
}

/// Whoever the server would have as its broker, were it started now.
fn broker(config: &Config) -> Vec<Check> {
    let redis = &config.redis;
    match config.broker {
        BrokerChoice::Embedded => vec![ports::broker(config)],
        BrokerChoice::Undecided if !redis_answers(&redis.host, redis.port) => {
            let detail = format!("none at {}:{}: this server is its own broker", redis.host, redis.port);
            vec![Check::fine("redis", detail), ports::broker(config)]
        }
        BrokerChoice::Redis | BrokerChoice::Undecided => redis::report(config),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{self, Check, Command, Config, Verdict, host::Host};
    use std::ffi::OsString;

    /// What a check is to say, and a cure with it where something is wrong.
    pub(super) fn expect(check: &Check, verdict: Verdict, words: &[&str]) {
        assert_eq!((check.verdict, check.cure.is_empty()), (verdict, verdict == Verdict::Fine), "{check}");
        for word in words {
            assert!(check.to_string().contains(word), "no {word:?} in {check}");
        }
    }

    /// What these words mean on this machine.
    pub(super) fn config(host: &Host, words: &str) -> Config {
        let words = ["fanout", "doctor"].into_iter().chain(words.split_whitespace()).map(OsString::from);
        match config::from(words, |_| None, host) {
            Ok(Command::Doctor(config, _)) => *config,
            other => panic!("{other:?}"),
        }
    }
}
