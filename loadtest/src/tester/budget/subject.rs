//! What is loaded, started anew for every run: the real server, or the floor in one of its modes.

use super::load::Load;
use super::rig::Rig;
use crate::tester::dialect::{self, Dialect};
use crate::tester::floor::{FloorProcess, Mode, Serve};
use crate::{Launch, Redis, Server};
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Where this server listens unless it is told otherwise: part of its families' URLs.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8084";

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject {
    /// The real server with its own broker.
    Fanout(Options),
    /// The least a server could do.
    Floor(Mode),
}

/// How the real server is started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Shards, each on a core of its own from the server's core on.
    pub shards: usize,
    /// Other options and their values.
    pub others: &'static [(&'static str, &'static str)],
    /// The family of its clients, by its name in [`dialect::TABLE`].
    pub family: &'static str,
}

/// The real server on one core, as most rows want it.
pub const FANOUT: Subject = Subject::Fanout(Options::USUAL);

/// The same with clients of the other family.
pub const FLUX: Subject = Subject::Fanout(Options { family: "flux", ..Options::USUAL });

/// What most clients of this server speak, and what the floor understands.
const WORKFLOW: &str = "workflow";

/// A subject that runs. Ends with this value.
#[derive(Debug)]
pub enum Running {
    /// The real server, and the family of its clients.
    Fanout(Server, &'static str),
    /// The floor.
    Floor(FloorProcess),
}

impl Subject {
    /// Starts it, ready for this load.
    pub fn start(self, rig: &Rig, load: Load) -> io::Result<Running> {
        match self {
            Self::Fanout(options) => {
                Ok(Running::Fanout(options.apply(Launch::embedded(), rig).start()?, options.family))
            }
            Self::Floor(mode) => {
                let core = Some(rig.server_core);
                let serve = Serve { mode, clients: load.clients, publishers: load.publishers(), core };
                Ok(Running::Floor(FloorProcess::start(&serve)?))
            }
        }
    }

    /// How many cores it runs on.
    pub fn cores(self) -> usize {
        match self {
            Self::Fanout(options) => options.shards,
            Self::Floor(_) => 1,
        }
    }
}

impl Options {
    /// On one core, for workflow clients.
    pub const USUAL: Self = Self { shards: 1, others: &[], family: WORKFLOW };

    /// Starts the real server beside a Redis.
    pub fn start_with_redis(self, rig: &Rig, redis: &Redis) -> io::Result<Running> {
        Ok(Running::Fanout(self.apply(Launch::with_redis(redis), rig).start()?, self.family))
    }

    fn apply(self, launch: Launch, rig: &Rig) -> Launch {
        let cores: Vec<String> = rig.server_cores(self.shards).iter().map(ToString::to_string).collect();
        let launch = launch
            .program(&rig.server_binary)
            .through(&["taskset", "-c", &cores.join(",")])
            .option("--shards", &self.shards.to_string())
            .option("--log-level", "warn");
        self.others.iter().fold(launch, |launch, (flag, value)| launch.option(flag, value))
    }
}

impl Running {
    /// What its clients speak.
    ///
    /// # Panics
    /// For a family that is not in the table.
    pub fn dialect(&self) -> &'static dyn Dialect {
        let name = match self {
            Self::Fanout(_, family) => family,
            Self::Floor(_) => WORKFLOW,
        };
        dialect::find(name).expect("a family of the table")
    }

    /// `--url`: the family's own, at this address.
    pub fn url(&self) -> String {
        let address = match self {
            Self::Fanout(server, _) => server.address,
            Self::Floor(floor) => floor.address,
        };
        self.dialect().url().replacen(DEFAULT_ADDRESS, &address.to_string(), 1)
    }

    /// Where events are published.
    pub fn publish(&self) -> SocketAddr {
        match self {
            Self::Fanout(server, _) => server.broker,
            Self::Floor(floor) => floor.publish,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        match self {
            Self::Fanout(server, _) => server.pid(),
            Self::Floor(floor) => floor.pid(),
        }
    }

    /// Whether it is gone, or only waits to be reaped (proc(5)).
    pub fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
    }

    /// What it has to say for itself, where something went wrong.
    pub fn log(&self) -> String {
        match self {
            Self::Fanout(server, _) => server.log(),
            Self::Floor(_) => String::new(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fanout(Options { shards: 1, family: WORKFLOW, .. }) => formatter.write_str("fanout"),
            Self::Fanout(Options { shards: 1, family, .. }) => write!(formatter, "fanout {family}"),
            Self::Fanout(Options { shards, .. }) => write!(formatter, "fanout {shards} shards"),
            Self::Floor(mode) => mode.fmt(formatter),
        }
    }
}
