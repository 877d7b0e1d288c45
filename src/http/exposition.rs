//! `/metrics`: the counters as Prometheus reads them.

mod classic;
mod process;

use super::response::Response;
use super::site::Site;
use crate::metrics::{Drop, Expectation, NodeMetrics, PublishError, Refused, Registry, Slowness, Span};
use crate::wire::close::CloseCode;
use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use std::time::Duration;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the histograms, in microseconds: a turn is tens of them when calm; a client notices from some
/// milliseconds on.
const SPAN_BOUNDS_US: [u64; 12] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000, 1_000_000];

/// One number that every shard counts.
struct Series {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: Value,
}

/// What kind of number it is, and where it comes from.
#[derive(Clone, Copy)]
enum Value {
    Count(fn(&NodeMetrics) -> u64),
    Level(fn(&NodeMetrics) -> u64),
    Signed(fn(&NodeMetrics) -> i64),
    Seconds(fn(&NodeMetrics) -> f64),
}

/// One count that nodes split by what this label says.
struct Breakdown {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    counts: fn(&NodeMetrics) -> Vec<(String, u64)>,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&NodeMetrics) -> u64) -> Series {
    Series { name, help, unit: None, value: Value::Count(value) }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&NodeMetrics) -> u64) -> Series {
    Series { name, help, unit: None, value: Value::Level(value) }
}

/// A counter's name gets `_total` behind it in the text, a unit in front of that.
static PER_SHARD: [Series; 20] = [
    gauge("fanout_connections", "WebSocket connections open now", |node| node.connections.get()),
    gauge("fanout_topics", "Topics followed now", |node| node.topics.get()),
    gauge("fanout_late_connections", "Connections whose socket refuses bytes now", |node| node.late.get()),
    gauge("fanout_frames_queued", "Frames that wait for late clients, counted once a second", |node| {
        node.frames_queued.get()
    }),
    Series {
        name: "fanout_queued",
        help: "Memory of what waits for late clients and could still be dropped; what they share is counted for each",
        unit: Some(Unit::Bytes),
        value: Value::Level(|node| node.bytes_queued.get()),
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
        value: Value::Count(|node| node.bytes_out.get()),
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
    Series {
        name: "fanout_ledger_difference",
        help: "Frames offered less those sent, queued and dropped, counted once a second: 0, or something is wrong",
        unit: None,
        value: Value::Signed(|node| node.ledger_difference.get().cast_signed()),
    },
    Series {
        name: "fanout_behind",
        help: "How long the shard has not been without work: whatever waits has waited for no longer",
        unit: Some(Unit::Seconds),
        value: Value::Seconds(|node| node.entrance.behind().as_secs_f64()),
    },
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

static PER_SHARD_AND_LABEL: [Breakdown; 4] = [
    Breakdown {
        name: "fanout_encodes",
        help: "Frames made from messages: one per message, encoding and shard",
        label: "encoding",
        counts: |node| node.encodings().map(|(name, count)| (name.to_owned(), count)).collect(),
    },
    Breakdown {
        name: "fanout_slow_consumers",
        help: "Connections that were ended because their clients read too slowly, by cause",
        label: "cause",
        counts: |node| Slowness::ALL.map(|cause| (cause.label().to_owned(), node.slow(cause).get())).into(),
    },
    Breakdown {
        name: "fanout_connections_closed",
        help: "WebSocket connections that ended, by close code",
        label: "code",
        counts: |node| CloseCode::ALL.map(|code| (code.label(), node.closed(code).get())).into(),
    },
    Breakdown {
        name: "fanout_refused",
        help: "Clients that were turned away before a WebSocket connection or the private door, by reason",
        label: "reason",
        counts: |node| {
            Refused::ALL.map(|reason| (reason.label().to_owned(), node.entrance.refused(reason).get())).into()
        },
    },
];

/// The broker's node drops and refuses events, too, before they reach a shard.
static PER_NODE_AND_LABEL: [Breakdown; 2] = [
    Breakdown {
        name: "fanout_dropped",
        help: "Events and frames that did not reach a client, by reason",
        label: "reason",
        counts: |node| Drop::ALL.map(|reason| (reason.label().to_owned(), node.dropped(reason).get())).into(),
    },
    Breakdown {
        name: "fanout_unpublished",
        help: "Events of clients that were not published, or perhaps not, as they were told, by reason",
        label: "reason",
        counts: |node| PublishError::ALL.map(|error| (error.label().to_owned(), node.unpublished(error).get())).into(),
    },
];

/// The page.
pub(super) fn page(site: &Site) -> Response {
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(Scrape { registry: site.registry.clone(), version: site.settings.version }));
    let mut body = String::new();
    text::encode(&mut body, &registry).expect("a String takes everything");
    Response::new(200, CONTENT_TYPE, classic::rewrite(&body))
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
        process::encode(&self.registry, &mut encoder)?;
        self.encode_server(&mut encoder)?;
        self.encode_broker(&mut encoder)?;
        self.encode_canary(&mut encoder)?;
        for series in &PER_SHARD {
            self.encode_series(series, &mut encoder)?;
        }
        for breakdown in &PER_SHARD_AND_LABEL {
            encode_breakdown(breakdown, self.shards(), &mut encoder)?;
        }
        for breakdown in &PER_NODE_AND_LABEL {
            encode_breakdown(breakdown, self.nodes(), &mut encoder)?;
        }
        self.encode_turns(&mut encoder)?;
        self.encode_stages(&mut encoder)
    }
}

impl Scrape {
    fn encode_server(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        encoder
            .encode_descriptor("fanout_build", "What is running", None, MetricType::Info)?
            .encode_info(&[("version", self.version), ("broker", self.registry.broker.kind)])?;
        encoder
            .encode_descriptor("fanout_uptime", "Time since the start", Some(&Unit::Seconds), MetricType::Gauge)?
            .encode_gauge(&self.registry.started.elapsed().as_secs_f64())?;
        encode_level("fanout_ready", "Whether /ready says 200", u64::from(self.registry.is_ready()), encoder)
    }

    fn encode_broker(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let (broker, node) = (&self.registry.broker, &self.registry.broker_node);
        let epoch_help = "How often everything was subscribed to: between two lies a gap";
        encode_level("fanout_broker_connected", "Whether events arrive", u64::from(broker.is_connected()), encoder)?;
        encode_level("fanout_broker_topics", "Different topics followed by anybody", node.topics.get(), encoder)?;
        encode_level("fanout_broker_epoch", epoch_help, broker.epoch.get(), encoder)?;
        let reconnects_help = "Connections to the broker lost and established again";
        encode_total("fanout_broker_reconnects", reconnects_help, broker.reconnects(), encoder)?;
        encode_total("fanout_broker_messages", "Events read from the broker", node.messages_in.get(), encoder)?;
        encode_total("fanout_broker_unfollowed", "Events read that nobody here follows", node.unfollowed.get(), encoder)
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
        let (sent, lost) = (canary.sent.get(), canary.lost.get());
        encode_total("fanout_broker_canaries", "Stamps published to prove that events arrive", sent, encoder)?;
        encode_total("fanout_broker_canaries_lost", "Stamps that did not come back in time", lost, encoder)?;
        let help = "Whether Redis' ACL forbids the canary, so that nothing is proven";
        encode_level("fanout_broker_canary_denied", help, u64::from(expectation == Expectation::Denied), encoder)
    }

    fn encode_series(&self, series: &Series, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let kind = if let Value::Count(_) = series.value { MetricType::Counter } else { MetricType::Gauge };
        let mut family = encoder.encode_descriptor(series.name, series.help, series.unit.as_ref(), kind)?;
        for (name, node) in self.shards() {
            let labels = [("shard", name)];
            let mut metric = family.encode_family(&labels)?;
            match series.value {
                Value::Count(count) => encode_count(metric, count(node))?,
                Value::Level(level) => metric.encode_gauge(&level(node))?,
                Value::Signed(level) => metric.encode_gauge(&level(node))?,
                Value::Seconds(time) => metric.encode_gauge(&time(node))?,
            }
        }
        Ok(())
    }

    fn encode_turns(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let (help, unit) = ("Length of a shard's turns", Some(&Unit::Seconds));
        let mut family = encoder.encode_descriptor("fanout_turn", help, unit, MetricType::Histogram)?;
        for (name, node) in self.nodes() {
            let labels = [("shard", name)];
            encode_spans(family.encode_family(&labels)?, &node.spans(Span::Turn))?;
        }
        Ok(())
    }

    fn encode_stages(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Way of the first event of each turn: from the broker to the shard, and from there to the kernel";
        let mut family =
            encoder.encode_descriptor("fanout_stage", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (name, node) in self.shards() {
            for stage in [Span::ToShard, Span::ToKernel] {
                let labels = [("shard", name.as_str()), ("stage", stage.label())];
                encode_spans(family.encode_family(&labels)?, &node.spans(stage))?;
            }
        }
        Ok(())
    }

    fn shards(&self) -> impl Iterator<Item = (String, &NodeMetrics)> {
        self.nodes().take(self.registry.shards.len())
    }

    /// Shards by number, and the broker's node.
    fn nodes(&self) -> impl Iterator<Item = (String, &NodeMetrics)> {
        let shards = self.registry.shards.len();
        let name = move |index| if index < shards { format!("{index}") } else { "broker".to_owned() };
        self.registry.nodes().enumerate().map(move |(index, node)| (name(index), node))
    }
}

fn encode_breakdown<'a>(
    breakdown: &Breakdown,
    nodes: impl Iterator<Item = (String, &'a NodeMetrics)>,
    encoder: &mut DescriptorEncoder,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(breakdown.name, breakdown.help, None, MetricType::Counter)?;
    for (name, node) in nodes {
        for (value, count) in (breakdown.counts)(node) {
            let labels = [("shard", name.as_str()), (breakdown.label, value.as_str())];
            encode_count(family.encode_family(&labels)?, count)?;
        }
    }
    Ok(())
}

fn encode_level(name: &str, help: &str, level: u64, encoder: &mut DescriptorEncoder) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&level)
}

fn encode_total(name: &str, help: &str, count: u64, encoder: &mut DescriptorEncoder) -> fmt::Result {
    encode_count(encoder.encode_descriptor(name, help, None, MetricType::Counter)?, count)
}

fn encode_count(mut metric: MetricEncoder<'_>, count: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

/// Pours the fine buckets of the recording into the coarse ones of the text.
fn encode_spans(mut metric: MetricEncoder<'_>, spans: &Histogram<u64>) -> fmt::Result {
    let mut counts = [0; SPAN_BOUNDS_US.len() + 1];
    let mut sum_us: u64 = 0;
    for recorded in spans.iter_recorded() {
        let (value, count) = (recorded.value_iterated_to(), recorded.count_since_last_iteration());
        counts[SPAN_BOUNDS_US.partition_point(|&bound| bound < value)] += count;
        sum_us = sum_us.saturating_add(value.saturating_mul(count));
    }
    let bounds = SPAN_BOUNDS_US.iter().map(|&bound| seconds(bound)).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
    metric.encode_histogram::<NoLabelSet>(seconds(sum_us), spans.len(), &buckets, None)
}

fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}
