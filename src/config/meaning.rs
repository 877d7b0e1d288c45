//! From what was typed to what it means: every value parsed, the rules between them applied.

use super::args::{Arguments, Source};
use super::auth::Auth;
use super::bytes::ByteSize;
use super::cores::{BrokerSeat, CoreList, Ranges, SHARDS_BEYOND_CORES_MAX, Seating};
use super::form::Form;
use super::host::{CONNECTIONS_DERIVED_MAX, Host, descriptors_reserved};
use super::key::Key;
use super::kind::Kind;
use super::log::{Log, is_filter};
use super::networks::Networks;
use super::origins::Origins;
use super::redis::{RedisAddress, is_host};
use super::refusal::{Refusal, Unfit};
use super::secret::Secret;
use super::setting::Setting;
use super::slow::SlowPolicies;
use super::span::Span;
use super::table::SETTINGS;
use super::{BrokerChoice, Config, FileSource, Flux, Heartbeat, Limits, RedisSubscribe};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The port of the flux family's own deployments.
const FLUX_PORT: u16 = 3004;

/// What may wait for all clients where nobody can say how much memory there is, in bytes: a quarter of the 4 GiB that the
/// smallest machines for thousands of clients have.
const OUTBOUND_TOTAL_UNKNOWN: u64 = 1 << 30;

/// Longest path; request heads stop at 16 KiB anyway.
const PATH_BYTES_MAX: usize = 255;

/// The server's own paths: another path may be none of them and lie under none of them.
const OWN_PATHS: [&str; 8] = ["/ws", "/health", "/live", "/ready", "/metrics", "/admin", "/publish", "/console"];

/// A token shorter than this can be guessed over a network in a lifetime; longer than the other does not fit a head.
const TOKEN_BYTES: RangeInclusive<usize> = 16..=512;

/// With a username of 255 bytes behind it a channel name stays within 512 bytes, with a colon and a `*` a pattern within 257.
const PREFIX_BYTES: RangeInclusive<usize> = 1..=255;

/// Parses every value, also those that another one overrules: a mistake never hides.
///
/// # Errors
/// One sentence about the first mistake.
pub(super) fn config(arguments: &Arguments, host: &Host) -> Result<Config, Refusal> {
    let listen = listen(arguments)?;
    let metrics_listen = metrics_listen(arguments, listen)?;
    let broker = broker(arguments)?;
    let broker_listen = arguments.required(Key::BrokerListen, address)?;
    if broker != BrokerChoice::Redis && broker_listen == listen && listen.port() != 0 {
        return Err(Refusal(format!(
            "--listen (LISTEN) and --broker-listen (BROKER_LISTEN) are both {listen}; give them two ports"
        )));
    }
    let (workflow_prefix, flux) = (arguments.required(Key::WorkflowPrefix, prefix)?, flux(arguments)?);
    check_prefixes(&workflow_prefix, &flux.channel_prefix)?;
    let seating = seating(arguments, host)?;
    Ok(Config {
        limits: limits(arguments, host, &seating)?,
        listen,
        metrics_listen,
        cores: seating.shards,
        broker,
        broker_core: seating.broker,
        redis: redis(arguments)?,
        redis_subscribe: arguments.choice(
            Key::RedisSubscribe,
            [RedisSubscribe::Patterns, RedisSubscribe::Channels].map(|choice| (choice.word(), choice)),
        )?,
        redis_linger: span(arguments, Key::RedisLinger)?,
        broker_listen,
        workflow_prefix,
        echo_path: arguments.optional(Key::EchoPath, |text| path(text, &[&flux.base_path]))?,
        flux,
        heartbeat: Heartbeat {
            ping_interval: Some(span(arguments, Key::PingInterval)?).filter(|interval| !interval.is_zero()),
            pong_timeout: span(arguments, Key::PongTimeout)?,
        },
        overload_after: Some(span(arguments, Key::OverloadAfter)?).filter(|span| !span.is_zero()),
        drain_window: span(arguments, Key::DrainWindow)?,
        allowed_origins: arguments.required(Key::AllowedOrigins, |text| {
            Origins::parse(text).map_err(|invalid| Unfit::Because(invalid.to_string()))
        })?,
        trusted_proxies: arguments
            .optional(Key::TrustedProxies, |text| Networks::parse(text).map_err(Unfit::Because))?
            .unwrap_or_default(),
        auth: Auth::of(arguments)?,
        admin_token: arguments.optional(Key::AdminToken, token)?,
        spread_above: size(arguments, Key::SpreadAbove)?,
        spin_before_park: span(arguments, Key::SpinBeforePark)?,
        log: Log {
            filter: arguments.required(Key::LogLevel, |text| fit(text, is_filter))?,
            format: arguments.choice(Key::LogFormat, [("text", Form::Text), ("json", Form::Json)])?,
        },
        file: arguments.file.as_ref().map(|file| FileSource {
            path: file.path.clone(),
            exposes: if file.is_readable_for_others { secrets_in_file(arguments) } else { Vec::new() },
        }),
    })
}

/// The names of the secrets that stand in the file. A URL is one if it holds more than an address.
fn secrets_in_file(arguments: &Arguments) -> Vec<String> {
    let is_there = |setting: &&Setting| {
        let is_bare = |text: &str| setting.kind == Kind::RedisUrl && !text.contains('@');
        let is_secret = setting.kind.is_secret() && !arguments.text(setting.key).is_none_or(is_bare);
        is_secret && matches!(arguments.source(setting.key), Source::File(..))
    };
    SETTINGS.iter().filter(is_there).map(Setting::name).collect()
}

pub(super) fn listen(arguments: &Arguments) -> Result<SocketAddr, Refusal> {
    let mut listen = arguments.required(Key::Listen, address)?;
    let profile_port = arguments.choice(Key::Profile, [("workflow", None), ("flux", Some(FLUX_PORT))])?;
    let port: Option<u16> = optional_number(arguments, Key::Port)?;
    let port = port.filter(|_| arguments.gives_way(Key::Listen, Key::Port));
    if let Some(port) = port.or(profile_port.filter(|_| !arguments.is_set(Key::Listen))) {
        listen.set_port(port);
    }
    Ok(listen)
}

fn metrics_listen(arguments: &Arguments, listen: SocketAddr) -> Result<Option<SocketAddr>, Refusal> {
    let metrics_listen = arguments.optional(Key::MetricsListen, address)?;
    if metrics_listen == Some(listen) && listen.port() != 0 {
        return Err(Refusal(format!(
            "--listen (LISTEN) and --metrics-listen (METRICS_LISTEN) are both {listen}; give them two ports"
        )));
    }
    Ok(metrics_listen)
}

pub(super) fn flux(arguments: &Arguments) -> Result<Flux, Refusal> {
    Ok(Flux {
        base_path: arguments.required(Key::FluxBasePath, |text| path(text, &[]))?,
        channel_prefix: arguments.required(Key::ChannelPrefix, prefix)?,
        broadcast_is_open: arguments.choice(Key::FluxBroadcast, [("allow", true), ("deny", false)])?,
        channels: arguments.required(Key::FluxChannels, |text| {
            let patterns: Vec<String> = text.split(',').map(|pattern| pattern.trim().to_owned()).collect();
            patterns.iter().all(|pattern| is_name(pattern)).then_some(patterns).ok_or(Unfit::Shape)
        })?,
    })
}

/// Names of one family must not begin as those of another: a channel would belong to both, under two names.
fn check_prefixes(workflow: &str, flux: &str) -> Result<(), Refusal> {
    let flux = format!("{flux}:");
    if workflow != flux && (workflow.starts_with(&flux) || flux.starts_with(workflow)) {
        return Err(Refusal(format!(
            "--workflow-prefix (WORKFLOW_PREFIX) {workflow} and the flux channels' {flux} begin alike; change one of them"
        )));
    }
    Ok(())
}

fn broker(arguments: &Arguments) -> Result<BrokerChoice, Refusal> {
    let choices = [BrokerChoice::Undecided, BrokerChoice::Redis, BrokerChoice::Embedded];
    let named = arguments.choice(Key::Broker, choices.map(|choice| (choice.word(), choice)))?;
    if named != BrokerChoice::Undecided {
        return Ok(named);
    }
    let redis = asks_for_redis(arguments);
    match (redis, arguments.is_set(Key::BrokerListen)) {
        (Some(redis), true) => Err(Refusal(format!(
            "{redis} asks for Redis and {} for the embedded broker; choose with --broker redis or --broker embedded",
            arguments.source(Key::BrokerListen)
        ))),
        (Some(_), false) => Ok(BrokerChoice::Redis),
        (None, true) => Ok(BrokerChoice::Embedded),
        (None, false) => Ok(BrokerChoice::Undecided),
    }
}

/// What asks for Redis without naming a broker.
pub(super) fn asks_for_redis(arguments: &Arguments) -> Option<Source> {
    let keys = [Key::RedisUrl, Key::RedisHost, Key::RedisPort, Key::RedisPassword];
    keys.into_iter().find(|key| arguments.is_set(*key)).map(|key| arguments.source(key))
}

fn redis(arguments: &Arguments) -> Result<RedisAddress, Refusal> {
    let url = arguments.optional(Key::RedisUrl, |text| {
        RedisAddress::parse_url(text).map_err(|invalid| Unfit::Because(invalid.to_string()))
    })?;
    let parts = RedisAddress {
        host: arguments.required(Key::RedisHost, |text| fit(text, is_host))?,
        port: number(arguments, Key::RedisPort)?,
        username: arguments.optional(Key::RedisUser, |text| fit(text, is_name))?,
        password: arguments
            .optional(Key::RedisPassword, |text| Ok(text.to_owned()))?
            .filter(|text| !text.is_empty())
            .map(Secret::new),
    };
    let Some(url) = url else { return Ok(parts) };
    let wins = |part| arguments.gives_way(Key::RedisUrl, part);
    Ok(RedisAddress {
        host: if wins(Key::RedisHost) { parts.host } else { url.host },
        port: if wins(Key::RedisPort) { parts.port } else { url.port },
        username: if wins(Key::RedisUser) { parts.username } else { url.username },
        password: if wins(Key::RedisPassword) { parts.password } else { url.password },
    })
}

fn seating(arguments: &Arguments, host: &Host) -> Result<Seating, Refusal> {
    let allowed = &host.allowed_cores;
    let outside = |core: &usize| !allowed.contains(core);
    let foreign = |core| Unfit::Because(format!("this process may not use core {core}, only {}", Ranges(allowed)));
    let cores = arguments.optional(Key::Cores, |text| {
        let list = CoreList::parse(text).ok_or(Unfit::Shape)?;
        match list.as_slice().iter().find(|core| outside(core)) {
            Some(core) => Err(foreign(*core)),
            None => Ok(list),
        }
    })?;
    let cores = cores.as_ref().map_or(allowed.as_slice(), CoreList::as_slice);
    let seat = arguments.required(Key::BrokerCore, |text| match BrokerSeat::parse(text) {
        Some(BrokerSeat::Core(core)) if outside(&core) => Err(foreign(core)),
        Some(seat) => Ok(seat),
        None => Err(Unfit::Shape),
    })?;
    let shards_max = cores.len().max(SHARDS_BEYOND_CORES_MAX);
    let shards = arguments.optional(Key::Shards, |text| match in_range(text, Key::Shards.setting().kind) {
        Some(count) if count > shards_max as u64 => {
            Err(Unfit::Because(format!("on {} cores there may be {shards_max} shards at most", cores.len())))
        }
        count => count.and_then(|count| usize::try_from(count).ok()).ok_or(Unfit::Shape),
    })?;
    Ok(Seating::of(cores, shards, seat))
}

fn limits(arguments: &Arguments, host: &Host, seating: &Seating) -> Result<Limits, Refusal> {
    let connections_max = optional_number(arguments, Key::MaxConnections)?;
    Ok(Limits {
        connections_max: connections_max.unwrap_or(connections_derived(host, seating.shards.len())),
        connections_per_user_max: number(arguments, Key::MaxConnectionsPerUser)?,
        connections_per_address_max: number(arguments, Key::MaxConnectionsPerAddress)?,
        topics_per_connection_max: size(arguments, Key::MaxChannels)?,
        client_messages_per_second: number(arguments, Key::ClientMessagesPerSecond)?,
        client_message_bytes_max: size(arguments, Key::MaxClientFrame)?,
        outbound_bytes_max: size(arguments, Key::OutboundMax)?,
        outbound_total_bytes_max: outbound_total(arguments, host)?,
        slow_policies: arguments.required(Key::SlowPolicy, |text| SlowPolicies::parse(text).ok_or(Unfit::Shape))?,
        write_timeout: span(arguments, Key::WriteTimeout)?,
        event_lifetime: Some(span(arguments, Key::EventTtl)?).filter(|lifetime| !lifetime.is_zero()),
        event_bytes_max: size(arguments, Key::MaxEvent)?,
    })
}

/// As many connections as there are open files for beside what so many shards need.
pub(super) fn connections_derived(host: &Host, shards: usize) -> usize {
    let derived = host.open_files.saturating_sub(descriptors_reserved(shards)).clamp(1, CONNECTIONS_DERIVED_MAX);
    usize::try_from(derived).unwrap_or(usize::MAX)
}

/// A quarter of the memory there is, unless it is said.
fn outbound_total(arguments: &Arguments, host: &Host) -> Result<usize, Refusal> {
    let derived = host.memory_bytes.map_or(OUTBOUND_TOTAL_UNKNOWN, |bytes| bytes / 4);
    let said = arguments.optional(Key::OutboundTotalMax, |text| {
        in_range(text, Key::OutboundTotalMax.setting().kind).ok_or(Unfit::Shape)
    })?;
    Ok(usize::try_from(said.unwrap_or(derived)).unwrap_or(usize::MAX))
}

fn address(text: &str) -> Result<SocketAddr, Unfit> {
    text.parse().map_err(|_| Unfit::Shape)
}

pub(super) fn prefix(text: &str) -> Result<String, Unfit> {
    fit(text, |text| {
        let is_plain = |letter: char| !letter.is_control() && !matches!(letter, '*' | '?' | '[' | ']' | '\\');
        PREFIX_BYTES.contains(&text.len()) && text.chars().all(is_plain)
    })
}

/// A path that nobody else serves.
fn path(text: &str, taken: &[&str]) -> Result<String, Unfit> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~');
    if !text.starts_with('/')
        || text.ends_with('/')
        || !(2..=PATH_BYTES_MAX).contains(&text.len())
        || !text.bytes().all(letter)
    {
        return Err(Unfit::Shape);
    }
    let lies_in = |own: &str| text.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match OWN_PATHS.iter().chain(taken).find(|own| lies_in(own)) {
        Some(own) => Err(Unfit::Because(format!("{own} is taken"))),
        None => Ok(text.to_owned()),
    }
}

pub(super) fn token(text: &str) -> Result<Secret, Unfit> {
    let is_token = TOKEN_BYTES.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| Secret::new(text)).ok_or(Unfit::Shape)
}

fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn fit(text: &str, is_fit: impl FnOnce(&str) -> bool) -> Result<String, Unfit> {
    is_fit(text).then(|| text.to_owned()).ok_or(Unfit::Shape)
}

fn number<T: TryFrom<u64>>(arguments: &Arguments, key: Key) -> Result<T, Refusal> {
    optional_number(arguments, key).map(|number| number.expect("the table gives a number by default"))
}

fn optional_number<T: TryFrom<u64>>(arguments: &Arguments, key: Key) -> Result<Option<T>, Refusal> {
    arguments.optional(key, |text| {
        in_range(text, key.setting().kind).and_then(|number| T::try_from(number).ok()).ok_or(Unfit::Shape)
    })
}

fn size(arguments: &Arguments, key: Key) -> Result<usize, Refusal> {
    arguments.required(key, |text| {
        in_range(text, key.setting().kind).and_then(|size| usize::try_from(size).ok()).ok_or(Unfit::Shape)
    })
}

fn span(arguments: &Arguments, key: Key) -> Result<Duration, Refusal> {
    arguments.required(key, |text| in_range(text, key.setting().kind).map(Duration::from_micros).ok_or(Unfit::Shape))
}

/// A number, a size in bytes or a span in microseconds, if it lies within the limits of its kind.
fn in_range(text: &str, kind: Kind) -> Option<u64> {
    let (value, min, max, zero) = match kind {
        Kind::Number { min, max, zero } => {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            (text.parse().ok().filter(|_| is_number)?, min, max, zero)
        }
        Kind::Bytes { min, max } => (ByteSize::parse(text)?.0, min, max, None),
        Kind::Span { min_micros, max_micros, zero } => {
            (u64::try_from(Span::parse(text)?.0.as_micros()).ok()?, min_micros, max_micros, zero)
        }
        _ => unreachable!("only kinds with limits are asked for a range"),
    };
    ((min..=max).contains(&value) || value == 0 && zero.is_some()).then_some(value)
}
