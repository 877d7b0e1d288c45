//! Pages in JSON: is it alive, is it ready, what has it done.

use super::refusal::Refusal;
use super::response::Response;
use super::site::Site;
use crate::metrics::{
    BrokerStatus, Counter, Drop, Expectation, NodeMetrics, Refused, Registry, Slowness, milliseconds,
};
use crate::wire::close::CloseCode;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;

/// `/health` and `/live`: who answers is alive.
pub fn health(_site: &Site) -> Response {
    Response::json(200, &json!({ "status": "ok" }))
}

/// `/ready`: whether a load balancer should send clients here.
pub fn ready(site: &Site) -> Response {
    if site.registry.is_ready() {
        return Response::json(200, &json!({ "status": "ready" }));
    }
    let (error, hint) = if site.registry.draining.load(Ordering::Acquire) {
        ("not ready: the server is shutting down", "send clients to another instance")
    } else if site.registry.broker.is_subscribed() {
        ("not ready: what is published to the broker does not come back", "the server's log says since when")
    } else {
        ("not ready: the subscription at the broker is not confirmed", "the server's log says what it is waiting for")
    };
    Response::from(Refusal::new(503, error, hint)).with("Retry-After", "1")
}

/// `/admin/stats`: the counters.
pub(super) fn stats(site: &Site) -> Response {
    Response::json(200, &statistics(&site.registry, site.settings.version))
}

/// The counters, shard by shard and in total.
pub fn statistics(registry: &Registry, version: &str) -> Value {
    let shards: Vec<&NodeMetrics> = registry.shards.iter().map(AsRef::as_ref).collect();
    let nodes: Vec<&NodeMetrics> = registry.nodes().collect();
    let uptime_ms = milliseconds(registry.started.elapsed());
    json!({
        "version": version,
        "uptime_ms": uptime_ms,
        "ready": registry.is_ready(),
        "draining": registry.draining.load(Ordering::Acquire),
        "broker": {
            "kind": registry.broker.kind,
            "connected": registry.broker.is_connected(),
            "reconnects": registry.broker.reconnects(),
            "epoch": registry.broker.epoch.get(),
            "canary": canary(&registry.broker),
            "events_in": registry.broker_node.messages_in.get(),
            "events_unfollowed": registry.broker_node.unfollowed.get(),
        },
        "total": counts(&shards, &nodes),
        "shards": shards.iter().map(|&shard| counts(&[shard], &[shard])).collect::<Vec<_>>(),
    })
}

/// The proof that events arrive; `null` for a source that needs none.
fn canary(broker: &BrokerStatus) -> Value {
    let canary = &broker.canary;
    let state = match canary.expectation() {
        Expectation::None => return Value::Null,
        Expectation::Denied => "denied",
        Expectation::Expected if canary.is_well() => "heard",
        Expectation::Expected => "missing",
    };
    json!({
        "state": state,
        "age_ms": canary.age().map(|age| age.as_secs_f64() * 1e3),
        "round_trip_ms": canary.round_trip().map(|time| time.as_secs_f64() * 1e3),
        "sent": canary.sent.get(),
        "lost": canary.lost.get(),
    })
}

/// Sums of what `shards` did with connections, and of what any of `nodes` dropped or closed.
///
/// The broker's node drops events before they reach a shard; everything else it counts is about the source.
fn counts(shards: &[&NodeMetrics], nodes: &[&NodeMetrics]) -> Value {
    let sum = |value: fn(&NodeMetrics) -> u64| shards.iter().map(|node| value(node)).sum::<u64>();
    json!({
        "connections": sum(|node| node.connections.get()),
        "topics": sum(|node| node.topics.get()),
        "messages_in": sum(|node| node.messages_in.get()),
        "frames_offered": sum(|node| node.frames_offered.get()),
        "frames_out": sum(|node| node.frames_out.get()),
        "bytes_out": sum(|node| node.bytes_out.get()),
        "behind_ms": shards.iter().map(|node| milliseconds(node.entrance.behind())).max().unwrap_or(0),
        "kernel_sends": sum(|node| node.kernel_sends.get()),
        "late": sum(|node| node.late.get()),
        "frames_queued": sum(|node| node.frames_queued.get()),
        "bytes_queued": sum(|node| node.bytes_queued.get()),
        "ledger_difference": shards.iter().map(|node| node.ledger_difference.get().cast_signed()).sum::<i64>(),
        "slow": sums(nodes, Slowness::ALL, Slowness::label, NodeMetrics::slow),
        "dropped": sums(nodes, Drop::ALL, Drop::label, NodeMetrics::dropped),
        "refused": sums(shards, Refused::ALL, Refused::label, |shard, reason| shard.entrance.refused(reason)),
        "closed": sums(nodes, CloseCode::ALL, CloseCode::label, NodeMetrics::closed),
    })
}

/// What `nodes` count for each of `all`, under its label.
fn sums<T: Copy, L: Into<String>, const N: usize>(
    nodes: &[&NodeMetrics],
    all: [T; N],
    label: fn(T) -> L,
    counter: fn(&NodeMetrics, T) -> &Counter,
) -> Map<String, Value> {
    let sum = |of| nodes.iter().map(|node| counter(node, of).get()).sum::<u64>();
    all.into_iter().map(|of| (label(of).into(), sum(of).into())).collect()
}
