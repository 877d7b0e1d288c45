//! What people type: flags, and scenario files with the same names.

use super::agents::AgentArguments;
use super::budget::Budgets;
use super::course::Course;
use super::dialect::{self, Destination, Dialect};
use super::event_size::EventSize;
use super::floor::Floor;
use super::goal::Goal;
use super::plan::{self, Plan, Publish, Source};
use super::plot::PlotArguments;
use super::scenario::{self, SPECIAL_FLAGS, Scenario};
use super::template::Template;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;

/// Receiving threads where nobody says otherwise: more than this keep no single server busy.
const THREADS_DEFAULT_MAX: usize = 4;

/// Publishing connections to Redis for a set rate: several, as coordinators are.
const PUBLISHERS_AT_A_RATE: u32 = 4;

/// Publishing connections over HTTP: each has one request on its way.
const PUBLISHERS_OVER_HTTP: u32 = 16;

const EXAMPLES: &str = "Examples:
  fanout-loadtest fanout                                  1 000 clients on one username, 100 events/s
  fanout-loadtest fanout --clients 10000 --window 4 --server-pid $(pidof fanout)
  fanout-loadtest users --users 5000 --clients 10000 --rate 20000 --slo p99=50ms --json
  fanout-loadtest users --protocol flux --users 5000      a flux channel for each client
  fanout-loadtest users --scenario loadtest/scenarios/users.toml --seconds 60

Exit codes: 0 pass; 1 fail, also when interrupted; 2 usage or no connection; 3 the tester saturated first.";

/// Puts load on a server that hands events to WebSocket clients, and says what it carried at which latency.
#[derive(Debug, Parser)]
#[command(name = "fanout-loadtest", version, after_help = EXAMPLES, max_term_width = 120)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// What was typed; ends the process where that is not understood, or asks for help.
    pub fn from_command_line() -> Self {
        let matches = Self::described().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// All flags, each scenario with its own defaults and without what only others have.
    fn described() -> clap::Command {
        scenario::TABLE.iter().fold(Self::command(), |command, scenario| {
            command.mut_subcommand(scenario.name, |subcommand| {
                let foreign = SPECIAL_FLAGS.iter().filter(|flag| !scenario.flags.contains(flag));
                let subcommand = foreign.fold(subcommand, |subcommand, flag| {
                    subcommand.mut_arg(flag.replace('-', "_"), |argument| argument.hide(true))
                });
                subcommand.after_help(format!("Defaults: {}\n\n{EXAMPLES}", scenario.defaults()))
            })
        })
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One of the scenarios.
    #[command(flatten)]
    Load(Load),
    /// Waits for conductors (`--agents`) and does its share of their tests
    Agent(AgentArguments),
    /// The speed of light: the least a server could do on this kernel, and the real server beside it
    Floor(Box<Floor>),
    /// The budget table: what the server may cost, measured beside the floor
    Budgets(Box<Budgets>),
    /// Draws a plot from recorded runs or from what `--json` printed, as one SVG file
    Plot(PlotArguments),
}

/// The scenarios as subcommands.
#[derive(Debug, Subcommand)]
pub enum Load {
    /// One username, many clients: every event goes to all of them
    Fanout(Box<Run>),
    /// Many usernames with some connections each: every event goes to a random one
    Users(Box<Run>),
    /// How fast clients are let in: on a schedule or as fast as can be
    Connect(Box<Run>),
    /// Connections without events: memory for each, and what pings cost
    Idle(Box<Run>),
    /// All clients drop at once and come back, while bystanders get events
    Storm(Box<Run>),
    /// Some clients stop reading, or read slowly: what happens to the others?
    Slow(Box<Run>),
    /// Hours of events while some clients leave and come: flat memory, nothing lost
    Soak(Box<Run>),
    /// Finds the highest rate that meets --slo and loses nothing
    Capacity(Box<Run>),
}

/// One run and what becomes of its result.
#[derive(Debug, Args)]
#[command(next_line_help = true, after_help = EXAMPLES)]
pub struct Run {
    /// The load.
    #[command(flatten)]
    pub load: LoadArguments,
    /// Reads settings from a TOML file with the names of these flags; flags win
    #[arg(long, value_name = "FILE", help_heading = "Load")]
    pub scenario: Option<PathBuf>,
    /// Runs the test in these agents (`fanout-loadtest agent`) together; storm and slow are for one process
    #[arg(long, value_name = "HOST:PORT,…", help_heading = "This tester", value_delimiter = ',')]
    pub agents: Vec<String>,
    /// What is printed and written.
    #[command(flatten)]
    pub output: Output,
}

/// What is printed and written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Prints one JSON object on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
    /// No progress on standard error
    #[arg(long)]
    pub quiet: bool,
    /// Writes all latencies, in nanoseconds, as an interval log of HDR histograms (V2)
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// Writes one page with figures and plots that opens without a network
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Keeps the run there, as DATE-SCENARIO in three files: .md for people, .json for programs, .html with plots
    #[arg(long, value_name = "DIRECTORY")]
    pub record: Option<PathBuf>,
}

/// What scenario files may say too.
#[derive(Clone, Debug, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LoadArguments {
    /// Where clients connect, as ws://HOST:PORT/PATH; {user} or {channel} is the topic's name
    /// [default: the protocol's, for workflow `ws://127.0.0.1:8084/ws?username={user}`]
    #[arg(long, value_name = "URL", help_heading = "Where")]
    pub url: Option<String>,
    /// Publishes there: Redis or an embedded broker
    /// [default: 127.0.0.1:6379 for workflow and flux; others have their own way]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Where")]
    pub redis: Option<String>,
    /// Publishes by POST instead, such as `http://127.0.0.1:8084/publish/{user}`
    #[arg(long, value_name = "URL", help_heading = "Where", conflicts_with_all = ["redis", "publish_to"])]
    pub publish_http: Option<String>,
    /// Publishes in the protocol's own way, without WebSocket around it: for nats and mqtt
    #[arg(long, value_name = "HOST:PORT", help_heading = "Where", conflicts_with_all = ["redis", "publish_http"])]
    pub publish_tcp: Option<String>,
    /// Publishes as a WebSocket client does: for protocols whose clients do not only listen
    #[arg(long, value_name = "URL", help_heading = "Where",
        conflicts_with_all = ["redis", "publish_http", "publish_tcp"])]
    pub publish_ws: Option<String>,
    /// The channel of events; {user} or {channel} is the topic's name
    /// [default: the protocol's, for workflow `workflow:events:{user}`]
    #[arg(long, value_name = "CHANNEL", help_heading = "Where")]
    pub publish_to: Option<String>,
    /// The family of clients: workflow, flux, nchan, nats, mqtt, ws or socketio [default: workflow]
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub protocol: Option<String>,

    /// Connections [default: the scenario's, or one for each user]
    #[arg(long, value_name = "N", help_heading = "Load", allow_negative_numbers = true)]
    pub clients: Option<u32>,
    /// Usernames; clients are dealt out to them in turn [default: the scenario's]
    #[arg(long, value_name = "N", help_heading = "Load", allow_negative_numbers = true)]
    pub users: Option<u32>,
    /// Open loop: events a second, on a schedule that waits for nobody [default: the scenario's]
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load", allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// Closed loop: events unfinished at once; one is finished when all its clients have it
    #[arg(long, value_name = "N", help_heading = "Load", allow_negative_numbers = true)]
    pub window: Option<u16>,
    /// Bytes of an event, such as 256 or 64KiB [default: the scenario's]
    #[arg(long, value_name = "BYTES", help_heading = "Load")]
    pub size: Option<EventSize>,
    /// Seconds to measure [default: the scenario's]
    #[arg(long, value_name = "S", help_heading = "Load", allow_negative_numbers = true)]
    pub seconds: Option<f64>,
    /// Seconds of load before, not measured; what is lost or doubled in them counts all the same [default: the scenario's]
    #[arg(long, value_name = "S", help_heading = "Load", allow_negative_numbers = true)]
    pub warmup: Option<f64>,
    /// Sizes of events, used in turn, such as 64,1KiB,16KiB
    #[arg(long, value_name = "BYTES", help_heading = "Load", value_delimiter = ',', conflicts_with = "size")]
    pub sizes: Option<Vec<EventSize>>,
    /// Connections begun each second, on a schedule; 0 is as fast as they are let in [default: 0]
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load", allow_negative_numbers = true)]
    pub ramp: Option<f64>,
    /// Clients beside the others who stay connected and get the events [default: 100]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub bystanders: Option<u32>,
    /// How many storms, each after --seconds of calm [default: 3]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub times: Option<u32>,
    /// Seconds that clients spread their coming back over; 0 is all at once [default: 0]
    #[arg(long, value_name = "S", help_heading = "Load", allow_negative_numbers = true)]
    pub stagger: Option<f64>,
    /// The part of the clients that is slow after a calm beginning, such as 5% or 0.05 [default: 5%]
    #[arg(long, value_name = "SHARE", help_heading = "Load")]
    pub slow_share: Option<String>,
    /// Bytes that each slow client reads in a second; 0 is none [default: 0]
    #[arg(long, value_name = "BYTES_PER_SECOND", help_heading = "Load")]
    pub slow_read: Option<u32>,
    /// How often the highest rate is searched for [default: 3]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub searches: Option<u32>,
    /// Connections that leave and come back each second [default: 10]
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load", allow_negative_numbers = true)]
    pub churn: Option<f64>,

    /// A latency to keep, such as p99=50ms, p99.9=200ms or max=1s; several allowed
    #[arg(long, value_name = "GOAL", help_heading = "Judgement", value_delimiter = ',')]
    pub slo: Option<Vec<Goal>>,
    /// Seconds that a missing event is waited for before it is lost [default: 5]
    #[arg(long, value_name = "S", help_heading = "Judgement", allow_negative_numbers = true)]
    pub patience: Option<f64>,
    /// The server's process on this machine: its processor time and memory are read
    #[arg(long, value_name = "PID", help_heading = "Judgement")]
    pub server_pid: Option<u32>,

    /// Threads that receive [default: the cores this process may use, 4 at most]
    #[arg(long, value_name = "N", help_heading = "This tester", allow_negative_numbers = true)]
    pub threads: Option<u32>,
    /// Connections that publish [default: 4 at a rate, 1 for a window, 16 over HTTP; never more than users]
    #[arg(long, value_name = "N", help_heading = "This tester", allow_negative_numbers = true)]
    pub publishers: Option<u32>,
    /// Where connections come from: auto (127.0.0.x to this machine), system, or addresses [default: auto]
    #[arg(long, value_name = "ADDRESSES", help_heading = "This tester")]
    pub source: Option<String>,
}

impl Load {
    /// The scenario and its settings.
    pub(super) fn parts(&self) -> (&'static Scenario, &Run) {
        match self {
            Self::Fanout(run) => (&scenario::FANOUT, run),
            Self::Users(run) => (&scenario::USERS, run),
            Self::Connect(run) => (&scenario::CONNECT, run),
            Self::Idle(run) => (&scenario::IDLE, run),
            Self::Storm(run) => (&scenario::STORM, run),
            Self::Slow(run) => (&scenario::SLOW, run),
            Self::Soak(run) => (&scenario::SOAK, run),
            Self::Capacity(run) => (&scenario::CAPACITY, run),
        }
    }
}

impl Run {
    /// The plan of what was typed.
    ///
    /// # Errors
    /// One sentence, for a file that cannot be read and for the first value that does not fit.
    pub fn plan(&self, scenario: &Scenario) -> Result<Plan, String> {
        let arguments = match &self.scenario {
            Some(file) => self.load.over(file)?,
            None => self.load.clone(),
        };
        let plan = arguments.plan(scenario)?;
        // Agents have open files of their own.
        if self.agents.is_empty() { plan.check() } else { plan.check_settings() }?;
        Ok(plan)
    }
}

impl LoadArguments {
    /// These flags, and what the file says where there are none.
    fn over(&self, file: &Path) -> Result<Self, String> {
        let unfit = |reason: &dyn std::fmt::Display| format!("--scenario {}: {reason}", file.display());
        let text = fs::read_to_string(file).map_err(|error| unfit(&error))?;
        let mut table: toml::Table = toml::from_str(&text).map_err(|error| unfit(&error))?;
        let flags = toml::Table::try_from(self).map_err(|error| unfit(&error))?;
        if self.rate.is_some() || self.window.is_some() {
            table.remove("rate");
            table.remove("window");
        }
        if self.size.is_some() || self.sizes.is_some() {
            table.remove("size");
            table.remove("sizes");
        }
        if self.publish_to.is_some() {
            table.remove("publish-http");
        }
        if self.destination().is_some() {
            for name in ["redis", "publish-http", "publish-tcp", "publish-ws"] {
                table.remove(name);
            }
        }
        table.extend(flags);
        table.try_into().map_err(|error: toml::de::Error| unfit(&error))
    }

    fn plan(self, scenario: &Scenario) -> Result<Plan, String> {
        let protocol = self.protocol.clone().unwrap_or_else(|| "workflow".to_owned());
        let dialect = dialect::find(&protocol);
        let (clients, users) = self.crowd(scenario);
        self.check_flags(scenario)?;
        let load = match (self.rate, self.window, scenario.load) {
            (Some(_), Some(_), _) => {
                return Err("--rate is an open loop and --window a closed one: give one".to_owned());
            }
            (None, None, load) => load,
            (_, _, plan::Load::Silence) => return Err(format!("{} publishes no events", scenario.name)),
            (_, Some(places), _) => plan::Load::Window(places),
            (Some(rate), _, _) => plan::Load::Rate(rate),
        };
        let preset_url = dialect.map_or("", |dialect| dialect.url());
        let publish = self.publish(dialect);
        let course = Course {
            ramp: self.ramp.unwrap_or_default(),
            sizes: self.sizes.clone().unwrap_or_default(),
            ..Course::default()
        };
        let mut plan = Plan {
            scenario: scenario.name.to_owned(),
            publishers: self.publishers.unwrap_or_else(|| publishers_for(load, &publish).min(users).max(1)),
            publish,
            protocol,
            url: Template(self.url.clone().unwrap_or_else(|| preset_url.to_owned())),
            clients,
            users,
            load,
            size: self.size.unwrap_or(EventSize(scenario.size)),
            seconds: self.seconds.unwrap_or(scenario.seconds),
            warmup: self.warmup.unwrap_or(scenario.warmup),
            patience: self.patience.unwrap_or(5.0),
            threads: self.threads.unwrap_or_else(threads),
            slo: self.slo.clone().unwrap_or_default(),
            server_pid: self.server_pid,
            source: source(self.source.as_deref())?,
            course,
        };
        (scenario.shape)(&self, &mut plan)?;
        Ok(plan)
    }

    /// Refuses what only other scenarios have.
    fn check_flags(&self, scenario: &Scenario) -> Result<(), String> {
        let given = toml::Table::try_from(self).map_err(|error| error.to_string())?;
        let foreign = SPECIAL_FLAGS.iter().find(|flag| given.contains_key(**flag) && !scenario.flags.contains(flag));
        foreign.map_or(Ok(()), |flag| Err(format!("--{flag} is no setting of {}", scenario.name)))
    }

    /// Clients and users, each from the other where only one is given.
    fn crowd(&self, scenario: &Scenario) -> (u32, u32) {
        match (self.clients, self.users) {
            (Some(clients), Some(users)) => (clients, users),
            (Some(clients), None) => (clients, scenario.users.min(clients)),
            (None, Some(users)) => (scenario.clients.max(users), users),
            (None, None) => (scenario.clients, scenario.users.min(scenario.clients)),
        }
    }

    /// Where these flags say that events are published.
    fn destination(&self) -> Option<Destination<'_>> {
        let redis = self.redis.as_deref().map(Destination::Redis);
        let http = || self.publish_http.as_deref().map(Destination::Http);
        let tcp = || self.publish_tcp.as_deref().map(Destination::Tcp);
        let websocket = || self.publish_ws.as_deref().map(Destination::WebSocket);
        redis.or_else(http).or_else(tcp).or_else(websocket)
    }

    fn publish(&self, dialect: Option<&dyn Dialect>) -> Publish {
        let preset = dialect.map_or(Destination::Redis(""), Dialect::publish_at);
        let destination = self.destination().unwrap_or(preset);
        let itself = dialect.and_then(Dialect::publishing);
        let preset = match (destination, itself) {
            (Destination::Tcp(_) | Destination::WebSocket(_), Some(client)) => client.publish_as(),
            _ => dialect.map_or("", |dialect| dialect.publish_to()),
        };
        let name = Template(self.publish_to.clone().unwrap_or_else(|| preset.to_owned()));
        match destination {
            Destination::Redis(address) => Publish::Redis { address: address.to_owned(), channel: name },
            Destination::Http(url) => Publish::Http { url: Template(url.to_owned()) },
            Destination::Tcp(address) => Publish::Tcp { address: address.to_owned(), name },
            Destination::WebSocket(url) => Publish::WebSocket { url: Template(url.to_owned()), name },
        }
    }
}

fn publishers_for(load: plan::Load, publish: &Publish) -> u32 {
    match load {
        _ if matches!(publish, Publish::Http { .. }) => PUBLISHERS_OVER_HTTP,
        plan::Load::Rate(_) => PUBLISHERS_AT_A_RATE,
        plan::Load::Window(_) | plan::Load::Silence => 1,
    }
}

/// As many as there are cores, in reason.
fn threads() -> u32 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.min(THREADS_DEFAULT_MAX)).unwrap_or(1)
}

fn source(text: Option<&str>) -> Result<Source, String> {
    match text {
        None | Some("auto") => Ok(Source::Auto),
        Some("system") => Ok(Source::System),
        Some(list) => {
            let addresses: Result<Vec<IpAddr>, _> = list.split(',').map(str::parse).collect();
            addresses
                .map(Source::Addresses)
                .map_err(|_| format!("--source {list} is none of auto, system and a comma list of IP addresses"))
        }
    }
}

#[cfg(test)]
mod tests;
