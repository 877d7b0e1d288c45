//! A new reading of the configuration: what of it changes while the server runs, and what waits for a restart.

use super::args::Arguments;
use super::auth::Auth;
use super::key::Key;
use super::printout::value;
use super::setting::Setting;
use super::table::SETTINGS;
use super::{Config, Limits, Log};

/// What follows from a new reading.
#[derive(Debug)]
pub struct Reload {
    /// What is in force from now on.
    pub config: Config,
    /// What has changed, such as `max-channels 128 → 7`; secrets as `***`.
    pub changed: Vec<String>,
    /// What was meant to change and cannot, such as `port: needs a restart, stays 8084`.
    pub kept: Vec<String>,
}

impl Reload {
    pub(super) fn of(arguments: &Arguments, in_force: &Config, wanted: &Config) -> Self {
        let config = merged(in_force, wanted);
        let shown = |setting: &Setting, config| value(setting.key, arguments, config);
        let differing = |one, other| SETTINGS.iter().filter(move |setting| differ(setting.key, arguments, one, other));
        let changed = differing(in_force, &config)
            .map(|setting| format!("{} {} → {}", setting.name(), shown(setting, in_force), shown(setting, &config)));
        let kept = differing(&config, wanted)
            .map(|setting| format!("{}: needs a restart, stays {}", setting.name(), shown(setting, &config)));
        Self { changed: changed.collect(), kept: kept.collect(), config }
    }
}

/// What can change, from `wanted`, and all else as it is in force. [`Key::is_live`] says the same of each setting.
fn merged(in_force: &Config, wanted: &Config) -> Config {
    // Where the other ways of checking tokens stay, the secret may be the only one left.
    let has_same_ways = in_force.auth.is_required == wanted.auth.is_required && in_force.auth.keys == wanted.auth.keys;
    let secret = if has_same_ways { &wanted.auth.secret } else { &in_force.auth.secret };
    Config {
        limits: Limits {
            slow_policies: in_force.limits.slow_policies,
            event_bytes_max: in_force.limits.event_bytes_max,
            ..wanted.limits
        },
        overload_after: wanted.overload_after,
        drain_window: wanted.drain_window,
        allowed_origins: wanted.allowed_origins.clone(),
        trusted_proxies: wanted.trusted_proxies.clone(),
        auth: Auth { secret: secret.clone(), ..in_force.auth.clone() },
        admin_token: wanted.admin_token.clone(),
        spread_above: wanted.spread_above,
        log: Log { filter: wanted.log.filter.clone(), format: in_force.log.format },
        ..in_force.clone()
    }
}

/// Whether two configurations differ in a setting. What only stands for others is not compared, they are.
fn differ(key: Key, arguments: &Arguments, one: &Config, other: &Config) -> bool {
    match key {
        Key::Profile | Key::RedisUrl | Key::Config | Key::PrintConfig => false,
        Key::Listen => one.listen.ip() != other.listen.ip(),
        Key::RedisUser => one.redis.username != other.redis.username,
        Key::RedisPassword => one.redis.password != other.redis.password,
        Key::JwtHs256Secret => one.auth.secret != other.auth.secret,
        Key::AdminToken => one.admin_token != other.admin_token,
        key => value(key, arguments, one) != value(key, arguments, other),
    }
}
