//! The effective configuration, as `--print-config` shows it.

use super::Config;
use super::args::{Arguments, Source};
use super::bytes::ByteSize;
use super::cores::Ranges;
use super::form::Form;
use super::key::Key;
use super::kind::Kind;
use super::meaning::asks_for_redis;
use super::redis::RedisAddress;
use super::secret::{HIDDEN, Secret};
use super::setting::{Group, Preset, Setting};
use super::span::Span;
use super::table::SETTINGS;
use std::fmt::Write as _;
use std::time::Duration;

/// Where comments begin, in columns.
const COMMENT_COLUMN: usize = 52;

/// One line per setting under the headings of the help: name, effective value, where it came from. Secrets are `***`.
pub(super) fn printout(arguments: &Arguments, config: &Config) -> String {
    let mut text = String::new();
    let mut group: Option<Group> = None;
    for setting in SETTINGS.iter().filter(|setting| setting.kind != Kind::Switch) {
        if group != Some(setting.group) {
            let gap = if group.is_some() { "\n" } else { "" };
            writeln!(text, "{gap}# {}", setting.group.heading()).expect("a String takes all");
            group = Some(setting.group);
        }
        let line = format!("{} = {}", setting.name(), value(setting.key, arguments, config));
        writeln!(text, "{line:COMMENT_COLUMN$} # {}", origin(setting, arguments)).expect("a String takes all");
    }
    text
}

fn origin(setting: &Setting, arguments: &Arguments) -> String {
    let overruled_by = match setting.key {
        Key::Port => Some(Key::Listen),
        Key::RedisHost | Key::RedisPort | Key::RedisUser | Key::RedisPassword => Some(Key::RedisUrl),
        _ => None,
    };
    let overrules = |key: &Key| arguments.is_set(*key) && !arguments.gives_way(*key, setting.key);
    let overruling = overruled_by.filter(overrules).map(|key| arguments.source(key));
    let own = match (arguments.source(setting.key), setting.preset) {
        (Source::Default, Preset::Derived(words)) => format!("default: {words}"),
        (source, _) => source.to_string(),
    };
    match (overruling, setting.key) {
        (Some(winner), _) if arguments.is_set(setting.key) => format!("{winner}, which wins over {own}"),
        (Some(winner), _) => winner.to_string(),
        (None, Key::Listen) if arguments.is_set(Key::Port) && arguments.gives_way(Key::Listen, Key::Port) => {
            format!("{own}, with the port of {}", arguments.source(Key::Port))
        }
        (None, Key::Listen) if arguments.is_set(Key::Profile) && !arguments.is_set(Key::Listen) => {
            format!("default of {}", arguments.source(Key::Profile))
        }
        (None, Key::Broker) if arguments.source(Key::Broker) == Source::Default => {
            let embedded =
                Some(Key::BrokerListen).filter(|key| arguments.is_set(*key)).map(|key| arguments.source(key));
            let chosen_by = asks_for_redis(arguments).or(embedded);
            chosen_by.map_or(own, |source| format!("default: chosen by {source}"))
        }
        (None, _) => own,
    }
}

/// The effective value of a setting, as one would type it.
pub(super) fn value(key: Key, arguments: &Arguments, config: &Config) -> String {
    let Config { redis, limits, heartbeat, log, .. } = config;
    let hidden = |secret: &Option<Secret>| if secret.is_some() { HIDDEN } else { "none" }.to_owned();
    match key {
        Key::Profile => arguments.required(Key::Profile, |text| Ok(text.to_owned())).unwrap_or_default(),
        Key::Listen => config.listen.to_string(),
        Key::Port => config.listen.port().to_string(),
        Key::MetricsListen => config.metrics_listen.map_or("none".to_owned(), |address| address.to_string()),
        Key::Broker => config.broker.word().to_owned(),
        Key::RedisUrl if arguments.is_set(Key::RedisUrl) => redis.to_string(),
        Key::RedisUrl => "none".to_owned(),
        Key::RedisHost => redis.host.clone(),
        Key::RedisPort => redis.port.to_string(),
        Key::RedisUser => redis_user(redis),
        Key::RedisPassword => hidden(&redis.password),
        Key::RedisSubscribe => config.redis_subscribe.word().to_owned(),
        Key::RedisLinger => span(config.redis_linger),
        Key::BrokerListen => config.broker_listen.to_string(),
        Key::WorkflowPrefix => config.workflow_prefix.clone(),
        Key::ChannelPrefix => config.flux.channel_prefix.clone(),
        Key::FluxBasePath => config.flux.base_path.clone(),
        Key::FluxBroadcast => if config.flux.broadcast_is_open { "allow" } else { "deny" }.to_owned(),
        Key::FluxChannels => config.flux.channels.join(","),
        Key::Shards => config.cores.len().to_string(),
        Key::Cores => cores(config),
        Key::BrokerCore => config.broker_core.map_or("none".to_owned(), |core| core.to_string()),
        Key::SpreadAbove => config.spread_above.to_string(),
        Key::SpinBeforePark => span(config.spin_before_park),
        Key::PingInterval => span(heartbeat.ping_interval.unwrap_or(Duration::ZERO)),
        Key::PongTimeout => span(heartbeat.pong_timeout),
        Key::OverloadAfter => span(config.overload_after.unwrap_or(Duration::ZERO)),
        Key::DrainWindow => span(config.drain_window),
        Key::AllowedOrigins => config.allowed_origins.to_string(),
        Key::TrustedProxies => config.trusted_proxies.to_string(),
        Key::Auth => if config.auth.is_required { "token" } else { "none" }.to_owned(),
        Key::JwtHs256Secret => hidden(&config.auth.secret),
        Key::JwtKeys => config.auth.keys.as_ref().map_or("none".to_owned(), |path| path.display().to_string()),
        Key::AdminToken => hidden(&config.admin_token),
        Key::LogLevel => log.filter.clone(),
        Key::LogFormat => if log.format == Form::Json { "json" } else { "text" }.to_owned(),
        Key::EchoPath => config.echo_path.clone().unwrap_or_else(|| "off".to_owned()),
        Key::Config => config.file.as_ref().map_or("none".to_owned(), |file| file.path.display().to_string()),
        Key::PrintConfig => String::new(),
        Key::ClientMessagesPerSecond => limits.client_messages_per_second.to_string(),
        Key::MaxClientFrame => bytes(limits.client_message_bytes_max),
        Key::OutboundMax => bytes(limits.outbound_bytes_max),
        Key::OutboundTotalMax => bytes(limits.outbound_total_bytes_max),
        Key::SlowPolicy => limits.slow_policies.to_string(),
        Key::MaxEvent => bytes(limits.event_bytes_max),
        Key::MaxConnections => limits.connections_max.to_string(),
        Key::MaxConnectionsPerUser => limits.connections_per_user_max.to_string(),
        Key::MaxConnectionsPerAddress => limits.connections_per_address_max.to_string(),
        Key::MaxChannels => limits.topics_per_connection_max.to_string(),
        Key::WriteTimeout => span(limits.write_timeout),
        Key::EventTtl => span(limits.event_lifetime.unwrap_or(Duration::ZERO)),
    }
}

fn redis_user(redis: &RedisAddress) -> String {
    match (&redis.username, &redis.password) {
        (None, _) => "none".to_owned(),
        // Some write the password where a URL has the user.
        (Some(_), None) => HIDDEN.to_owned(),
        (Some(username), Some(_)) => username.clone(),
    }
}

/// The shards' and the broker's.
fn cores(config: &Config) -> String {
    let mut cores: Vec<usize> = config.cores.iter().copied().chain(config.broker_core).collect();
    cores.sort_unstable();
    cores.dedup();
    Ranges(&cores).to_string()
}

fn bytes(size: usize) -> String {
    ByteSize(size as u64).to_string()
}

fn span(duration: Duration) -> String {
    Span(duration).to_string()
}
