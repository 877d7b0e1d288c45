//! Whether what the machine allows is enough for what is configured.

use super::Config;
use super::bill::rounded;
use super::bytes::ByteSize;
use super::cores::Ranges;
use super::host::{Host, IoUringRefusal};
use std::fmt;

/// Locked memory the executor demands before it starts, whatever it then locks (glommio 0.9, `Reactor::new`).
const MEMLOCK_BYTES_MIN: u64 = 512 << 10;

/// Connections below which a server of events is hardly meant.
const CONNECTIONS_FEW: usize = 10_000;

/// A shorter backlog turns clients away when all of them reconnect at once.
const BACKLOG_MIN: u64 = 1024;

/// One line of the check list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty where nothing needs doing.
    pub cure: String,
}

/// How a check stands; the worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// It works, worse than it could.
    Warning,
    /// It cannot work.
    Failure,
}

impl Verdict {
    /// As it is printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

impl fmt::Display for Check {
    /// `io_uring: forbidden by …; allow it …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.detail)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "; {}", self.cure) }
    }
}

impl Check {
    /// Nothing needs doing.
    pub fn fine(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fine, detail: detail.into(), cure: String::new() }
    }

    /// It would be better with this cure.
    pub fn warning(what: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Warning, detail: detail.into(), cure: cure.into() }
    }

    /// It cannot work without this cure.
    pub fn failure(what: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Failure, detail: detail.into(), cure: cure.into() }
    }
}

impl Host {
    /// What is found and how it stands, for the lines of a start and for `fanout doctor`.
    pub fn report(&self, config: &Config) -> Vec<Check> {
        let backlog = self.backlog_max.map(backlog);
        let memory = self.memory_bytes.map(|bytes| memory(bytes, config));
        let always = [self.rings(), self.locked_memory(), self.files(config), self.cores(config)];
        always.into_iter().chain(memory).chain(backlog).collect()
    }

    /// Why a start would fail, in one sentence that names the cure; `None` where it would not.
    pub fn refuse(&self, config: &Config) -> Option<String> {
        let checks = self.report(config);
        checks.iter().find(|check| check.verdict == Verdict::Failure).map(ToString::to_string)
    }

    fn rings(&self) -> Check {
        let what = "io_uring";
        match &self.io_uring {
            Ok(()) => Check::fine(what, "allowed".to_owned()),
            Err(IoUringRefusal::Disabled(value)) => Check::failure(
                what,
                format!("switched off on this machine (kernel.io_uring_disabled is {value})"),
                "switch it on with `sysctl -w kernel.io_uring_disabled=0`",
            ),
            Err(IoUringRefusal::Forbidden) => Check::failure(
                what,
                "forbidden to this process, most often by a container's seccomp profile".to_owned(),
                "start the container with a seccomp profile that allows io_uring_setup, io_uring_enter and \
                 io_uring_register, such as `--security-opt seccomp=deploy/seccomp.json`",
            ),
            Err(IoUringRefusal::Missing) => Check::failure(
                what,
                "unknown to this kernel or sandbox".to_owned(),
                "run on Linux 5.8 or newer, with a seccomp profile that allows it and not inside gVisor",
            ),
            Err(IoUringRefusal::TooOld) => {
                Check::failure(what, "too old in this kernel".to_owned(), "run on Linux 5.8 or newer")
            }
            Err(IoUringRefusal::Other(reason)) => Check::failure(
                what,
                format!("no ring can be made ({reason})"),
                "raise the limit on locked memory (`ulimit -l`, LimitMEMLOCK= in systemd) and see the kernel's log",
            ),
        }
    }

    fn locked_memory(&self) -> Check {
        let what = "locked memory";
        match self.memlock_bytes {
            None => Check::fine(what, "no limit".to_owned()),
            Some(bytes) if bytes >= MEMLOCK_BYTES_MIN => Check::fine(what, format!("{} allowed", ByteSize(bytes))),
            Some(bytes) => Check::failure(
                what,
                format!("{} allowed, {} needed", ByteSize(bytes), ByteSize(MEMLOCK_BYTES_MIN)),
                "raise it with `ulimit -l 512`, LimitMEMLOCK=512K in systemd or `--ulimit memlock=524288` for a container",
            ),
        }
    }

    fn files(&self, config: &Config) -> Check {
        let (what, needed, connections) = ("open files", config.descriptors(), config.limits.connections_max);
        let raised = self.open_files_before.map(|before| format!(", raised from {before}")).unwrap_or_default();
        let allowed =
            if self.open_files == u64::MAX { "no limit".to_owned() } else { format!("{} allowed", self.open_files) };
        let detail = format!("{allowed}{raised}, {needed} needed for {connections} connections");
        let cure = "raise the hard limit (`ulimit -Hn`, LimitNOFILE= in systemd, `--ulimit nofile=` for a container)";
        if needed > self.open_files {
            Check::failure(what, detail, format!("{cure} or lower --max-connections"))
        } else if connections < CONNECTIONS_FEW && self.open_files < CONNECTIONS_FEW as u64 {
            Check::warning(what, detail, cure)
        } else {
            Check::fine(what, detail)
        }
    }

    fn cores(&self, config: &Config) -> Check {
        let (what, shards) = ("cores", config.cores.len());
        let used = config.shard_cores();
        let broker = match config.broker_core {
            Some(core) if used.contains(&core) => format!("the broker shares core {core}"),
            Some(core) => format!("the broker on core {core}"),
            None => "the broker beside the first".to_owned(),
        };
        let counted = if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") };
        let detail = format!("{counted} on {}, {broker}; allowed are {}", Ranges(&used), Ranges(&self.allowed_cores));
        if shards > used.len() {
            Check::warning(what, detail, "take no more shards than cores (--shards): they only wait for each other")
        } else {
            Check::fine(what, detail)
        }
    }
}

fn memory(bytes: u64, config: &Config) -> Check {
    let bill = config.memory_bill();
    let needed = bill.idle_total_bytes();
    let detail = format!("{} there, {} for {} idle connections", rounded(bytes), rounded(needed), bill.connections_max);
    if needed > bytes {
        Check::warning("memory", detail, "lower --max-connections or add memory")
    } else {
        Check::fine("memory", detail)
    }
}

fn backlog(connections: u64) -> Check {
    let detail = format!("{connections} connections may wait to be accepted");
    if connections < BACKLOG_MIN {
        Check::warning("backlog", detail, "raise it with `sysctl -w net.core.somaxconn=4096`")
    } else {
        Check::fine("backlog", detail)
    }
}
