//! What happens at the entrance, for `/metrics`: who was turned away and why, pauses, and how far shards are behind.

use super::{Scrape, Series, counter, encode_count};
use crate::metrics::Refused;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;

static SERIES: [Series; 4] = [
    counter("fanout_accept_pauses", "Times that accepting paused for want of descriptors or memory", |node| {
        node.entrance.pauses.get()
    }),
    counter("fanout_accepts_broken", "Connections that broke before they were accepted", |node| {
        node.entrance.broken.get()
    }),
    counter("fanout_http_evicted", "HTTP connections that said nothing, closed for want of descriptors", |node| {
        node.entrance.evicted.get()
    }),
    counter(
        "fanout_key_reloads_failed",
        "Times that the file of --jwt-keys had changed and could not be used",
        |node| node.entrance.key_reloads_failed.get(),
    ),
];

impl Scrape {
    pub(super) fn encode_entrance(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        self.encode_refused(encoder)?;
        let behind = "How long the shard has not been without work: whatever waits has waited for no longer";
        let unit = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor("fanout_behind", behind, unit, MetricType::Gauge)?;
        for (index, shard) in self.registry.shards.iter().enumerate() {
            let labels = [("shard", index.to_string())];
            family.encode_family(&labels)?.encode_gauge(&shard.entrance.behind().as_secs_f64())?;
        }
        SERIES.iter().try_for_each(|series| self.encode_series(series, encoder))
    }

    fn encode_refused(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Clients that were turned away before a WebSocket connection or the private door, by reason";
        let mut family = encoder.encode_descriptor("fanout_refused", help, None, MetricType::Counter)?;
        for (index, shard) in self.registry.shards.iter().enumerate() {
            for reason in Refused::ALL {
                let labels = [("shard", index.to_string()), ("reason", reason.label().to_owned())];
                encode_count(family.encode_family(&labels)?, shard.entrance.refused(reason).get())?;
            }
        }
        Ok(())
    }
}
