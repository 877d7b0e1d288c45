//! What monitors of the flux family ask for over HTTP.

use crate::ear::wall_clock_ms;
use crate::http::{self, Page, Response, Site};
use crate::metrics::milliseconds;
use serde_json::json;

/// The pages below a base path.
pub(super) fn under(base: &str) -> Vec<(String, Page)> {
    let about = |base: &str| -> Page {
        let base = base.to_owned();
        Box::new(move |site| about(site, &base))
    };
    vec![
        (base.to_owned(), about(base)),
        (format!("{base}/"), about(base)),
        (format!("{base}/health"), Box::new(health)),
        (format!("{base}/ready"), Box::new(http::ready)),
        (format!("{base}/live"), Box::new(http::health)),
        (format!("{base}/console"), Box::new(http::lead_to_console)),
    ]
}

fn about(site: &Site, base: &str) -> Response {
    Response::json(200, &json!({ "name": "fanout", "version": site.settings.version, "basePath": base }))
}

/// Numbers of the whole process: all its connections, and all different topics they follow.
fn health(site: &Site) -> Response {
    let registry = &site.registry;
    let uptime = milliseconds(registry.started.elapsed());
    let connections: u64 = registry.shards.iter().map(|shard| shard.connections.get()).sum();
    Response::json(
        200,
        &json!({
            "status": "ok",
            "timestamp": wall_clock_ms(),
            "uptime": uptime,
            "connections": { "total": connections, "channels": registry.broker_node.topics.get() },
            "redis": { "connected": registry.broker.is_connected() },
        }),
    )
}
