//! `/metrics`: the counters as `OpenMetrics` text, which Prometheus reads.

mod entrance;

use super::response::Response;
use super::site::Site;
use crate::metrics::{Drop, Expectation, NodeMetrics, Registry, Slowness};
use crate::wire::close::CloseCode;
use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use std::time::Duration;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the turn histogram, in microseconds: a turn is tens of them when calm; a client notices from
/// some milliseconds on.
const TURN_BOUNDS_US: [u64; 12] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000, 1_000_000];

/// One number that every shard counts.
struct Series {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    value: fn(&NodeMetrics) -> u64,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&NodeMetrics) -> u64) -> Series {
    Series { name, help, unit: None, kind: MetricType::Counter, value }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&NodeMetrics) -> u64) -> Series {
    Series { name, help, unit: None, kind: MetricType::Gauge, value }
}

/// A counter's name gets `_total` behind it in the text, a unit in front of that.
static PER_SHARD: [Series; 14] = [
    gauge("fanout_connections", "WebSocket connections open now", |node| node.connections.get()),
    gauge("fanout_topics", "Topics followed now", |node| node.topics.get()),
    gauge("fanout_late_connections", "Connections whose socket refuses bytes now", |node| node.late.get()),
    gauge("fanout_frames_queued", "Frames that wait for late clients, counted once a second", |node| {
        node.frames_queued.get()
    }),
    Series {
        name: "fanout_queued",
        help: "Bytes that wait for late clients and could still be dropped; what they share is counted for each",
        unit: Some(Unit::Bytes),
        kind: MetricType::Gauge,
        value: |node| node.bytes_queued.get(),
    },
    counter("fanout_messages", "Messages taken from the mesh", |node| node.messages_in.get()),
    counter("fanout_frames_offered", "Frames that were for a client: sent, queued or dropped", |node| {
        node.frames_offered.get()
    }),
    counter("fanout_frames_sent", "Frames handed to the kernel in full", |node| node.frames_out.get()),
    Series {
        name: "fanout_sent",
        help: "Bytes handed to the kernel",
        unit: Some(Unit::Bytes),
        kind: MetricType::Counter,
        value: |node| node.bytes_out.get(),
    },
    counter("fanout_kernel_sends", "Calls to the kernel that sent or tried to", |node| node.kernel_sends.get()),
    counter("fanout_client_messages", "Messages from clients that were taken", |node| node.client_messages.get()),
    counter("fanout_client_messages_refused", "Messages from clients that came too fast", |node| {
        node.client_messages_refused.get()
    }),
    counter("fanout_http_requests", "HTTP requests answered, upgrades included", |node| node.http_requests.get()),
    counter("fanout_http_timeouts", "HTTP connections closed for want of a whole request in time", |node| {
        node.http_timeouts.get()
    }),
];

/// The page.
pub(super) fn page(site: &Site) -> Response {
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(Scrape { registry: site.registry.clone(), version: site.settings.version }));
    let mut body = String::new();
    text::encode(&mut body, &registry).expect("a String takes everything");
    Response::new(200, CONTENT_TYPE, body)
}

/// The counters as they stand when somebody asks.
struct Scrape {
    registry: Registry,
    version: &'static str,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scrape").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_process(&mut encoder)?;
        self.encode_broker(&mut encoder)?;
        self.encode_canary(&mut encoder)?;
        for series in &PER_SHARD {
            self.encode_series(series, &mut encoder)?;
        }
        self.encode_encodes(&mut encoder)?;
        self.encode_ledger(&mut encoder)?;
        self.encode_dropped(&mut encoder)?;
        self.encode_slow(&mut encoder)?;
        self.encode_closed(&mut encoder)?;
        self.encode_entrance(&mut encoder)?;
        self.encode_turns(&mut encoder)
    }
}

impl Scrape {
    fn encode_process(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        encoder
            .encode_descriptor("fanout_build", "What is running", None, MetricType::Info)?
            .encode_info(&[("version", self.version), ("broker", self.registry.broker.kind)])?;
        encoder
            .encode_descriptor("fanout_uptime", "Time since the start", Some(&Unit::Seconds), MetricType::Gauge)?
            .encode_gauge(&self.registry.started.elapsed().as_secs_f64())?;
        encoder
            .encode_descriptor("fanout_ready", "Whether /ready says 200", None, MetricType::Gauge)?
            .encode_gauge(&u64::from(self.registry.is_ready()))
    }

    fn encode_broker(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let (broker, node) = (&self.registry.broker, &self.registry.broker_node);
        encoder
            .encode_descriptor("fanout_broker_connected", "Whether events arrive", None, MetricType::Gauge)?
            .encode_gauge(&u64::from(broker.is_connected()))?;
        let help = "Connections to the broker lost and established again";
        let reconnects = encoder.encode_descriptor("fanout_broker_reconnects", help, None, MetricType::Counter)?;
        encode_count(reconnects, broker.reconnects())?;
        let help = "Events read from the broker";
        let messages = encoder.encode_descriptor("fanout_broker_messages", help, None, MetricType::Counter)?;
        encode_count(messages, node.messages_in.get())?;
        let help = "Different topics followed by anybody";
        encoder
            .encode_descriptor("fanout_broker_topics", help, None, MetricType::Gauge)?
            .encode_gauge(&node.topics.get())?;
        let help = "How often everything was subscribed to: between two lies a gap";
        encoder
            .encode_descriptor("fanout_broker_epoch", help, None, MetricType::Gauge)?
            .encode_gauge(&broker.epoch.get())
    }

    /// Nothing where there is none; no age and no round trip before one was heard.
    fn encode_canary(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let canary = &self.registry.broker.canary;
        let expectation = canary.expectation();
        if expectation == Expectation::None {
            return Ok(());
        }
        let times = [
            ("fanout_broker_canary_age", "Since a stamp last came back on this connection", canary.age()),
            ("fanout_broker_canary_round_trip", "From publishing the last stamp to hearing it", canary.round_trip()),
        ];
        for (name, help, time) in times {
            if let Some(time) = time {
                let unit = Some(&Unit::Seconds);
                let mut gauge = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
                gauge.encode_gauge(&time.as_secs_f64())?;
            }
        }
        let counts = [
            ("fanout_broker_canaries", "Stamps published to prove that events arrive", &canary.sent),
            ("fanout_broker_canaries_lost", "Stamps that did not come back in time", &canary.lost),
        ];
        for (name, help, count) in counts {
            encode_count(encoder.encode_descriptor(name, help, None, MetricType::Counter)?, count.get())?;
        }
        let help = "Whether Redis' ACL forbids the canary, so that nothing is proven";
        encoder
            .encode_descriptor("fanout_broker_canary_denied", help, None, MetricType::Gauge)?
            .encode_gauge(&u64::from(expectation == Expectation::Denied))
    }

    fn encode_series(&self, series: &Series, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = encoder.encode_descriptor(series.name, series.help, series.unit.as_ref(), series.kind)?;
        for (index, node) in self.registry.shards.iter().enumerate() {
            let labels = [("shard", index.to_string())];
            let mut metric = family.encode_family(&labels)?;
            match series.kind {
                MetricType::Gauge => metric.encode_gauge(&(series.value)(node))?,
                _ => encode_count(metric, (series.value)(node))?,
            }
        }
        Ok(())
    }

    fn encode_encodes(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Frames made from messages: one per message, encoding and shard";
        let mut family = encoder.encode_descriptor("fanout_encodes", help, None, MetricType::Counter)?;
        for (index, node) in self.registry.shards.iter().enumerate() {
            for (encoding, count) in node.encodings() {
                let labels = [("shard", index.to_string()), ("encoding", encoding.to_owned())];
                encode_count(family.encode_family(&labels)?, count)?;
            }
        }
        Ok(())
    }

    fn encode_ledger(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help =
            "Frames offered less those sent, queued and dropped, counted once a second: 0, or something is wrong";
        let mut family = encoder.encode_descriptor("fanout_ledger_difference", help, None, MetricType::Gauge)?;
        for (index, node) in self.registry.shards.iter().enumerate() {
            let labels = [("shard", index.to_string())];
            family.encode_family(&labels)?.encode_gauge(&node.ledger_difference.get().cast_signed())?;
        }
        Ok(())
    }

    fn encode_slow(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Connections that were ended because their clients read too slowly, by cause";
        let mut family = encoder.encode_descriptor("fanout_slow_consumers", help, None, MetricType::Counter)?;
        for (index, node) in self.registry.shards.iter().enumerate() {
            for cause in Slowness::ALL {
                let labels = [("shard", index.to_string()), ("cause", cause.label().to_owned())];
                encode_count(family.encode_family(&labels)?, node.slow(cause).get())?;
            }
        }
        Ok(())
    }

    fn encode_dropped(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Events and frames that did not reach a client, by reason";
        let mut family = encoder.encode_descriptor("fanout_dropped", help, None, MetricType::Counter)?;
        for (name, node) in self.named_nodes() {
            for reason in Drop::ALL {
                let labels = [("shard", name.as_str()), ("reason", reason.label())];
                encode_count(family.encode_family(&labels)?, node.dropped(reason).get())?;
            }
        }
        Ok(())
    }

    fn encode_closed(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "WebSocket connections that ended, by close code";
        let mut family = encoder.encode_descriptor("fanout_connections_closed", help, None, MetricType::Counter)?;
        for (index, node) in self.registry.shards.iter().enumerate() {
            for code in CloseCode::ALL {
                let labels = [("shard", index.to_string()), ("code", code.label())];
                encode_count(family.encode_family(&labels)?, node.closed(code).get())?;
            }
        }
        Ok(())
    }

    fn encode_turns(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let (help, unit) = ("Length of a shard's turns", Some(&Unit::Seconds));
        let mut family = encoder.encode_descriptor("fanout_turn", help, unit, MetricType::Histogram)?;
        for (name, node) in self.named_nodes() {
            let labels = [("shard", name)];
            encode_turn(family.encode_family(&labels)?, &node.turns())?;
        }
        Ok(())
    }

    /// Shards by number, and the broker's node.
    fn named_nodes(&self) -> impl Iterator<Item = (String, &NodeMetrics)> {
        let shards = self.registry.shards.len();
        let name = move |index| if index < shards { format!("{index}") } else { "broker".to_owned() };
        self.registry.nodes().enumerate().map(move |(index, node)| (name(index), node))
    }
}

fn encode_count(mut metric: MetricEncoder<'_>, count: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

/// Pours the fine buckets of the recording into the coarse ones of the text.
fn encode_turn(mut metric: MetricEncoder<'_>, turns: &Histogram<u64>) -> fmt::Result {
    let mut counts = [0; TURN_BOUNDS_US.len() + 1];
    let mut sum_us: u64 = 0;
    for recorded in turns.iter_recorded() {
        let (value, count) = (recorded.value_iterated_to(), recorded.count_since_last_iteration());
        counts[TURN_BOUNDS_US.partition_point(|&bound| bound < value)] += count;
        sum_us = sum_us.saturating_add(value.saturating_mul(count));
    }
    let bounds = TURN_BOUNDS_US.iter().map(|&bound| seconds(bound)).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
    metric.encode_histogram::<NoLabelSet>(seconds(sum_us), turns.len(), &buckets, None)
}

fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}
