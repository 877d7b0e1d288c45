//! The configuration: what was typed or set, what it means in runtime units, what the machine allows.
//!
//! ```text
//! table.rs     the settings, once             subcommands.rs   the subcommands, once
//! command.rs   what was typed                 →  help, completions, manual.rs
//! doctor.rs, token.rs, wish.rs (client.rs)    what is read of what was typed behind subcommands
//! args.rs      what was typed or set, or stands in the file (file.rs)
//! meaning.rs   parsed, checked, put together  →  Config
//! host.rs      what the machine allows        →  check.rs says whether that is enough
//! reload.rs    what a new reading changes while the server runs
//! ```

mod args;
mod auth;
pub(crate) mod bill;
pub mod bytes;
mod cgroup;
pub mod check;
pub mod client;
mod command;
pub mod cores;
pub mod doctor;
mod file;
mod form;
pub mod host;
mod key;
mod kind;
pub mod log;
mod manual;
mod meaning;
pub mod networks;
pub mod origins;
mod printout;
pub mod redis;
mod refusal;
mod reload;
pub mod secret;
mod setting;
mod slow;
pub mod span;
mod subcommands;
mod table;
#[cfg(test)]
mod tests;
mod token;
pub mod url;
pub mod wish;
mod words;

pub use auth::Auth;
pub use bill::{IDLE_SOCKET_BYTES, MemoryBill};
pub use cgroup::Cgroup;
pub use check::{Check, Verdict};
pub use client::ClientOrder;
pub use doctor::DoctorOrder;
pub use form::Form;
pub use host::{Host, IoUringRefusal};
pub use key::Key;
pub use kind::Kind;
pub use log::Log;
pub use networks::Networks;
pub use origins::{InvalidOrigins, Origins};
pub use redis::{InvalidRedisUrl, RedisAddress};
pub use reload::Reload;
pub use secret::Secret;
pub use setting::{Group, Preset, Setting};
pub use slow::{SlowPolicies, SlowPolicy};
pub use table::SETTINGS;
pub use token::TokenOrder;

use args::Arguments;
use command::Typed;
use host::descriptors_reserved;
use refusal::Refusal;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use subcommands::Task;

/// Everything a start needs to know. Each value was checked against its limits; secrets print as `***`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// Where metrics are served; `None` is where clients connect. Port 0 lets the kernel choose.
    pub metrics_listen: Option<SocketAddr>,
    /// The core of each shard; at least one. A core may carry several shards.
    pub cores: Vec<usize>,
    /// Where events come from.
    pub broker: BrokerChoice,
    /// The broker's own core; `None` is beside the first shard.
    pub broker_core: Option<usize>,
    /// Where Redis is, or would be.
    pub redis: RedisAddress,
    /// What is subscribed to there.
    pub redis_subscribe: RedisSubscribe,
    /// How long a channel that nobody follows any more is kept: 100 ms to 24 h.
    pub redis_linger: Duration,
    /// Where the embedded broker listens.
    pub broker_listen: SocketAddr,
    /// What stands before the username in channel names: 1 to 255 bytes, no glob characters.
    pub workflow_prefix: String,
    /// The flux family's channels.
    pub flux: Flux,
    /// Where messages are sent back; `None` is nowhere.
    pub echo_path: Option<String>,
    /// What is too much.
    pub limits: Limits,
    /// How silence is noticed.
    pub heartbeat: Heartbeat,
    /// How long a shard may be behind before new clients are turned away; `None` is for ever.
    pub overload_after: Option<Duration>,
    /// Over how long the goodbyes of a stopping server are spread.
    pub drain_window: Duration,
    /// Which web pages may connect.
    pub allowed_origins: Origins,
    /// Whose word about a client's address is taken.
    pub trusted_proxies: Networks,
    /// Who is asked for a token.
    pub auth: Auth,
    /// Opens the private door; `None` leaves it to direct local requests.
    pub admin_token: Option<Secret>,
    /// Connections of one username on its shard above which further ones are spread; 0 is never.
    pub spread_above: usize,
    /// How long an idle shard looks for work before it sleeps; zero is not at all.
    pub spin_before_park: Duration,
    /// What is logged, and how.
    pub log: Log,
    /// The file that was read, if one is named.
    pub file: Option<FileSource>,
}

impl Config {
    /// What this may cost in memory.
    pub fn memory_bill(&self) -> MemoryBill {
        MemoryBill::of(self)
    }

    /// The cores that shards have, each once, in their order.
    pub fn shard_cores(&self) -> Vec<usize> {
        let mut cores = self.cores.clone();
        cores.sort_unstable();
        cores.dedup();
        cores
    }

    /// Descriptors this needs: one per connection, and what shards and broker keep open.
    pub fn descriptors(&self) -> u64 {
        (self.limits.connections_max as u64).saturating_add(descriptors_reserved(self.cores.len()))
    }
}

/// A configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSource {
    /// Where it is.
    pub path: PathBuf,
    /// The names of the secrets in it, if everybody on this machine may read it.
    pub exposes: Vec<String>,
}

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerChoice {
    /// Redis if one answers at [`Config::redis`], else the embedded one: the start finds out.
    Undecided,
    /// Redis at [`Config::redis`].
    Redis,
    /// The embedded one at [`Config::broker_listen`].
    Embedded,
}

impl BrokerChoice {
    /// As it is typed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Undecided => "auto",
            Self::Redis => "redis",
            Self::Embedded => "embedded",
        }
    }
}

/// The flux family's channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flux {
    /// What its paths begin with; no slash at the end.
    pub base_path: String,
    /// What stands, with a colon behind it, before a channel's name at the broker.
    pub channel_prefix: String,
    /// Whether clients may broadcast.
    pub broadcast_is_open: bool,
    /// Patterns of the channels clients may name; at least one.
    pub channels: Vec<String>,
}

/// What is subscribed to at a Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisSubscribe {
    /// Every channel of every family, by patterns.
    Patterns,
    /// Each channel that somebody here follows.
    Channels,
}

impl RedisSubscribe {
    /// As it is typed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Patterns => "patterns",
            Self::Channels => "channels",
        }
    }
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, of all shards together.
    pub connections_max: usize,
    /// Connections of one username; 0 is any number.
    pub connections_per_user_max: u32,
    /// Connections of one client address; 0 is any number.
    pub connections_per_address_max: u32,
    /// Topics one connection may follow.
    pub topics_per_connection_max: usize,
    /// Messages a client may send per second; 0 is any number.
    pub client_messages_per_second: u32,
    /// Longest frame and longest fragmented message of a client, bytes of payload.
    pub client_message_bytes_max: usize,
    /// Bytes that may wait for one client.
    pub outbound_bytes_max: usize,
    /// Bytes that may wait for all late clients together.
    pub outbound_total_bytes_max: usize,
    /// What becomes of events for clients that read too slowly.
    pub slow_policies: SlowPolicies,
    /// How long a socket may take nothing of what waits for it.
    pub write_timeout: Duration,
    /// How old an event may grow in a queue; `None` is as old as it likes.
    pub event_lifetime: Option<Duration>,
    /// Longest event, bytes of payload.
    pub event_bytes_max: usize,
}

/// How silence is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Between two pings; `None` sends none.
    pub ping_interval: Option<Duration>,
    /// How long a client may stay silent after a ping.
    pub pong_timeout: Duration,
}

/// What the process was asked to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve.
    Serve(Box<Config>),
    /// Print this text and end.
    Print(String),
    /// Say what the machine allows and what stands in the way, and end.
    Doctor(Box<Config>, Box<DoctorOrder>),
    /// Ask the server that runs with this, and end.
    Health(Box<Config>),
    /// Print a token for tests and end.
    Token(TokenOrder),
    /// Be a client of a running server.
    Client(Box<ClientOrder>),
}

/// Reads the process's own arguments and environment. Ends the process with one sentence about the first mistake (exit
/// code 2), or with the help or version that was asked for (exit code 0).
pub fn from_process(host: &Host) -> Command {
    let settings = SETTINGS.iter().filter_map(|setting| setting.environment);
    let mut names = settings.chain([client::TOKEN_VARIABLE]);
    let unreadable = |name: &&str| std::env::var_os(name).is_some_and(|text| text.to_str().is_none());
    let outcome = match names.find(unreadable) {
        Some(name) => Err(Refusal(format!("{name} is not UTF-8; values are UTF-8 text")).into()),
        None => from(std::env::args_os(), |name| std::env::var(name).ok(), host),
    };
    outcome.unwrap_or_else(|error| error.exit())
}

/// Reads the process's own arguments, environment and file again; nothing is in force yet.
///
/// # Errors
/// One sentence about the first mistake, or about what this machine does not allow.
pub fn again(in_force: &Config, host: &Host) -> Result<Reload, String> {
    let typed = Typed::read(std::env::args_os()).expect("it was read once");
    reload(&typed, |name| std::env::var(name).ok(), in_force, host)
}

fn reload(
    typed: &Typed,
    environment: impl Fn(&str) -> Option<String>,
    in_force: &Config,
    host: &Host,
) -> Result<Reload, String> {
    let arguments = Arguments::gather(|flag| typed.value(flag), environment).map_err(|refusal| refusal.0)?;
    let mut wanted = meaning::config(&arguments, host).map_err(|refusal| refusal.0)?;
    if !arguments.is_set(Key::MaxConnections) {
        // The shards stay as many as they are.
        wanted.limits.connections_max = meaning::connections_derived(host, in_force.cores.len());
    }
    let reload = Reload::of(&arguments, in_force, &wanted);
    host.refuse(&reload.config).map_or(Ok(reload), Err)
}

/// The same from anywhere: `arguments` begin with the program's name, `environment` looks a variable up.
///
/// # Errors
/// One sentence about the first mistake, or the help or version that was asked for; both know their exit code.
pub fn from(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
    host: &Host,
) -> Result<Command, clap::Error> {
    let typed = Typed::read(arguments)?;
    let words = typed.words();
    if let Task::Print(text) = typed.task {
        return Ok(Command::Print(text(words, &mut command::command())));
    }
    let arguments = Arguments::gather(|flag| typed.value(flag), &environment)?;
    if let Task::Client(wish) = typed.task {
        let order = ClientOrder::of(wish(words)?, words, &arguments, environment)?;
        return Ok(Command::Client(Box::new(order)));
    }
    let config = Box::new(meaning::config(&arguments, host)?);
    match typed.task {
        Task::Server(command) if !typed.has("print-config") => Ok(command(config, words)?),
        _ => Ok(Command::Print(printout::printout(&arguments, &config))),
    }
}
