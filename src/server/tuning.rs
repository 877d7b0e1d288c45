//! What of the configuration a shard can be told while it runs, and is told at its start.

use super::spread::Spread;
use crate::config::{Config, Secret};
use crate::ear::Rhythm;
use crate::engine::shard::Limits;
use crate::http::{HttpSettings, Places};

/// The part of a configuration that a shard can be told of.
pub(super) struct Tuning {
    pub(super) bounds: Bounds,
    pub(super) http: HttpSettings,
    pub(super) places: Places,
    /// What tokens are signed with, where they are asked for.
    pub(super) secret: Option<Secret>,
}

/// What bounds a shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) limits: Limits,
    pub(super) spread: Spread,
}

impl Tuning {
    pub(super) fn of(config: &Config) -> Self {
        Self { bounds: bounds(config), http: http(config), places: places(config), secret: config.auth.secret.clone() }
    }
}

fn bounds(config: &Config) -> Bounds {
    let limits = Limits {
        outbound_bytes_max: config.limits.outbound_bytes_max,
        outbound_total_bytes_max: config.limits.outbound_total_bytes_max / config.cores.len(),
        write_timeout: config.limits.write_timeout,
        event_lifetime: config.limits.event_lifetime,
        client_message_bytes_max: config.limits.client_message_bytes_max,
        topics_per_connection_max: config.limits.topics_per_connection_max,
        client_messages_per_second: config.limits.client_messages_per_second,
        rhythm: Rhythm { ping_interval: config.heartbeat.ping_interval, pong_timeout: config.heartbeat.pong_timeout },
    };
    Bounds { limits, spread: Spread::above(config.spread_above) }
}

fn http(config: &Config) -> HttpSettings {
    HttpSettings {
        allowed_origins: config.allowed_origins.listed().map(<[String]>::to_vec),
        admin_token: config.admin_token.as_ref().map(|token| token.expose().to_owned()),
        publish_prefix: config.workflow_prefix.clone(),
        event_bytes_max: config.limits.event_bytes_max,
        connections_max: config.limits.connections_max,
        overload_after: config.overload_after,
        metrics_are_apart: config.metrics_listen.is_some(),
        trusted_proxies: config.trusted_proxies.as_slice().to_vec(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn places(config: &Config) -> Places {
    Places {
        per_user_max: config.limits.connections_per_user_max,
        per_address_max: config.limits.connections_per_address_max,
    }
}
