//! What is decided before the first thread starts: addresses, the broker, and what to say about them.

use super::listener::{self, Listener};
use crate::auth::{BadKeys, Keyring};
use crate::brokers::Broker;
use crate::brokers::embedded::Embedded;
use crate::brokers::redis::{Redis, Subscribing};
use crate::config::host::Host;
use crate::config::{Auth, BrokerChoice, Config, Form, RedisAddress, RedisSubscribe, Secret};
use crate::metrics::Registry;
use crate::protocols;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long the start waits for a Redis on this machine to answer: a thousand times what it needs.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// What may wait for a RESP subscriber of the embedded broker, another instance for example: Redis' own hard limit.
const RESP_OUTBOUND_BYTES_MAX: usize = 32 << 20;

/// Why the server did not start, in one sentence that names the cure.
#[derive(Debug)]
pub enum StartError {
    /// The address for clients cannot be bound.
    Listen(SocketAddr, io::Error),
    /// The address for those who watch this server cannot be bound.
    MetricsListen(SocketAddr, io::Error),
    /// The address of the embedded broker cannot be bound.
    BrokerListen(SocketAddr, io::Error),
    /// The file with the keys of tokens cannot be used.
    Keys(PathBuf, BadKeys),
    /// Signals cannot be received.
    Signals(io::Error),
    /// An executor did not start or ended early.
    Executor(glommio::GlommioError<()>),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => {
                let cure = "choose another with --listen or --port";
                write!(formatter, "cannot listen on {address} for clients ({}): {cure}", plain(error))
            }
            Self::MetricsListen(address, error) => {
                let cure = "choose another with --metrics-listen";
                write!(formatter, "cannot listen on {address} for metrics ({}): {cure}", plain(error))
            }
            Self::BrokerListen(address, error) => {
                let cure = "choose another with --broker-listen, or point --redis-url at the Redis that is to be used";
                write!(formatter, "cannot listen on {address} as broker ({}): {cure}", plain(error))
            }
            Self::Keys(path, bad) => {
                let cure = "point --jwt-keys at a JWKS with a key for HS256, RS256 or ES256";
                write!(formatter, "cannot use the keys in {}: {bad}; {cure}", path.display())
            }
            Self::Signals(error) => write!(formatter, "cannot receive signals: {error}"),
            Self::Executor(error) => write!(formatter, "an executor failed: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Why an address cannot be bound, in plain words.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    }
}

/// What the start has found and bound.
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) listeners: Vec<Listener>,
    /// For those who watch this server, where they have an address of their own.
    pub(super) metrics: Option<(SocketAddr, Listener)>,
    pub(super) broker: BrokerPlan,
    /// What tokens are checked with, where they are asked for.
    pub(super) keyring: Option<Keyring>,
}

/// Where events will come from.
#[derive(Debug)]
pub(super) enum BrokerPlan {
    /// A Redis elsewhere.
    Redis(RedisAddress),
    /// This process, listening here.
    Embedded(TcpListener, SocketAddr),
}

/// Binds what is to be bound and looks for a Redis where none is named.
pub(super) fn plan(config: &Config) -> Result<Plan, StartError> {
    let keyring = keyring(&config.auth)?;
    let broker = match config.broker {
        BrokerChoice::Redis => BrokerPlan::Redis(config.redis.clone()),
        BrokerChoice::Undecided if redis_answers(&config.redis.host, config.redis.port) => {
            BrokerPlan::Redis(config.redis.clone())
        }
        BrokerChoice::Embedded | BrokerChoice::Undecided => embedded(config.broker_listen)?,
    };
    let shards = config.cores.len();
    let backlogs = listener::backlogs(config.limits.connections_max, shards);
    let bound = listener::bind(config.listen, shards, backlogs);
    let (address, listeners) = bound.map_err(|error| StartError::Listen(config.listen, error))?;
    let metrics = config.metrics_listen.map(metrics).transpose()?;
    Ok(Plan { address, listeners, metrics, broker, keyring })
}

/// One listener: scrapers and probes are few.
fn metrics(address: SocketAddr) -> Result<(SocketAddr, Listener), StartError> {
    let bound = listener::bind(address, 1, 1);
    let (address, mut listeners) = bound.map_err(|error| StartError::MetricsListen(address, error))?;
    Ok((address, listeners.pop().expect("one was asked for")))
}

/// Reads the keys of tokens, where tokens are asked for.
fn keyring(auth: &Auth) -> Result<Option<Keyring>, StartError> {
    if !auth.is_required {
        return Ok(None);
    }
    let opened = Keyring::open(auth.secret.as_ref().map(Secret::expose), auth.keys.as_deref());
    opened.map(Some).map_err(|bad| StartError::Keys(auth.keys.clone().unwrap_or_default(), bad))
}

fn embedded(address: SocketAddr) -> Result<BrokerPlan, StartError> {
    let listener = TcpListener::bind(address).map_err(|error| StartError::BrokerListen(address, error))?;
    let address = listener.local_addr().map_err(|error| StartError::BrokerListen(address, error))?;
    Ok(BrokerPlan::Embedded(listener, address))
}

/// Whether something that speaks RESP answers there: any reply counts, a demand for a password too.
pub(crate) fn redis_answers(host: &str, port: u16) -> bool {
    let Ok(addresses) = (host, port).to_socket_addrs() else { return false };
    addresses.into_iter().any(|address| {
        let answer = || -> io::Result<u8> {
            let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
            stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
            stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
            let mut first = [0];
            stream.read_exact(&mut first)?;
            Ok(first[0])
        };
        matches!(answer(), Ok(b'+' | b'-'))
    })
}

impl BrokerPlan {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Redis(_) => "redis",
            Self::Embedded(..) => "embedded",
        }
    }

    pub(super) fn into_source(self, config: &Config, registry: &Registry) -> Box<dyn Broker + Send> {
        let status = Arc::clone(&registry.broker);
        let event_bytes_max = config.limits.event_bytes_max;
        match self {
            Self::Redis(settings) => Box::new(Redis::new(settings, subscribing(config), event_bytes_max, status)),
            Self::Embedded(listener, _) => {
                Box::new(Embedded::new(listener, event_bytes_max, RESP_OUTBOUND_BYTES_MAX, status))
            }
        }
    }
}

fn subscribing(config: &Config) -> Subscribing {
    match config.redis_subscribe {
        RedisSubscribe::Patterns => Subscribing::Patterns(redis_patterns(config)),
        RedisSubscribe::Channels => Subscribing::Channels { linger: config.redis_linger },
    }
}

/// What the families follow, as Redis matches it.
pub(crate) fn redis_patterns(config: &Config) -> Vec<String> {
    protocols::patterns(&super::protocol_settings(config))
}

/// Says in a few lines what runs, what bounds it, and what to type next.
pub(super) fn announce(config: &Config, host: &Host, plan: &Plan) {
    if config.auth.leaves_open(plan.address) {
        tracing::warn!(
            address = %plan.address,
            "NOBODY IS ASKED WHO HE IS: whoever reaches this address may listen as anybody; --auth token asks for a \
             token, a --listen address of this machine only keeps strangers out"
        );
    }
    if let Some(file) = config.file.as_ref().filter(|file| !file.exposes.is_empty()) {
        tracing::warn!(
            file = %file.path.display(),
            "EVERYBODY ON THIS MACHINE MAY READ THE SECRETS in the configuration file ({}): chmod o-r keeps them",
            file.exposes.join(", ")
        );
    }
    match config.log.format {
        Form::Text => {
            // Whoever closed the output does not want to read it.
            let _ = writeln!(io::stdout(), "{}", lines(config, host, plan).join("\n"));
        }
        Form::Json => {
            for line in lines(config, host, plan) {
                tracing::info!("{}", line.trim());
            }
        }
    }
}

fn lines(config: &Config, host: &Host, plan: &Plan) -> Vec<String> {
    let address = plan.address;
    let cores: Vec<String> = config.cores.iter().map(ToString::to_string).collect();
    let (broker, publish) = match &plan.broker {
        BrokerPlan::Redis(redis) => (
            format!("Redis at {}:{}", redis.host, redis.port),
            format!("redis-cli -h {} -p {}", redis.host, redis.port),
        ),
        BrokerPlan::Embedded(_, at) => {
            (format!("embedded, speaks RESP on {at}"), format!("redis-cli -h {} -p {}", at.ip(), at.port()))
        }
    };
    let origins = match config.allowed_origins.listed() {
        None => "pages of any origin may connect (--allowed-origins limits them)".to_owned(),
        Some(origins) => format!("pages of {} may connect", origins.join(", ")),
    };
    let flux = &config.flux;
    let channels = if flux.channels == ["*"] { "any channel".to_owned() } else { flux.channels.join(", ") };
    let who = if config.auth.is_required { "whoever has a token" } else { "anybody" };
    let broadcasts =
        if flux.broadcast_is_open { "may broadcast (--flux-broadcast deny forbids it)" } else { "may not broadcast" };
    let file = config.file.as_ref().map(|file| format!("  config   {}, read again on SIGHUP", file.path.display()));
    let lines = [
        format!("fanout {} on http://{address}", env!("CARGO_PKG_VERSION")),
        format!("  shards   {} on cores {}", cores.len(), cores.join(", ")),
        format!("  broker   {broker}"),
        format!("  limits   {} connections: {} open files allowed", config.limits.connections_max, host.open_files),
        format!("  memory   {}", config.memory_bill()),
        format!("  origins  {origins}"),
        format!("  auth     {}", access(config)),
        format!("  flux     at {}/ws; {who} may follow {channels} and {broadcasts}", flux.base_path),
        format!("  console  http://{address}/ in a browser"),
        format!("  metrics  http://{}/metrics", plan.metrics.as_ref().map_or(address, |(address, _)| *address)),
        format!("  listen   fanout listen alice --url http://{address}"),
        format!("  publish  {publish} PUBLISH {}alice '{{\"type\":\"test\"}}'", config.workflow_prefix),
    ];
    let build = cfg!(debug_assertions).then(|| {
        "  build    one to look around with; `cargo run --release` makes one to serve and to measure with".to_owned()
    });
    lines.into_iter().chain(file).chain(build).collect()
}

/// Who may connect, and as whom.
fn access(config: &Config) -> String {
    let Auth { is_required, secret, keys } = &config.auth;
    let from = match (secret, keys) {
        (_, None) => "JWT_HS256_SECRET".to_owned(),
        (None, Some(path)) => path.display().to_string(),
        (Some(_), Some(path)) => format!("JWT_HS256_SECRET and {}", path.display()),
    };
    match (is_required, secret.is_some() || keys.is_some()) {
        (true, _) => format!("clients need a token that is checked with {from}"),
        (false, false) => "none: anybody may listen as anybody (--auth token asks for a token)".to_owned(),
        (false, true) => format!("none: anybody may listen as anybody, and {from} is not used (--auth token)"),
    }
}
