//! What a run found out: the one object behind `--json`, the table, the report and the exit code.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The result of one run. The names of the first group are a contract: other programs read them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Events published, warm-up excluded.
    pub published: u64,
    /// Events that reached clients, once each, in their order or out of it.
    pub delivered: u64,
    /// Events that a connected client should have had and did not get.
    pub lost: u64,
    /// Events that a client got more than once.
    pub duplicated: u64,
    /// Events that came after a later one of the same topic.
    pub reordered: u64,
    /// Events of other topics, and messages that are no event of this run.
    pub foreign: u64,
    /// Connections that ended before the tester ended them.
    pub closed: u64,
    /// From the moment an event was due until a client had it, in microseconds.
    pub latency_us: Latency,
    /// What the server spent; `null` without `--server-pid`.
    pub server: Option<ServerCost>,
    /// What the run means.
    pub verdict: Verdict,

    /// Why the verdict is what it is, in sentences; empty where there is nothing to say.
    pub reasons: Vec<String>,
    /// The scenario's name.
    pub scenario: String,
    /// The settings it ran with, as text by option name.
    pub settings: BTreeMap<String, String>,
    /// Clients that were connected.
    pub connected: u64,
    /// Clients that could not connect.
    pub refused: u64,
    /// Connections that ended early, by close code (1006: without a close frame).
    pub closed_by_code: BTreeMap<u16, u64>,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Events published per second.
    pub published_per_second: f64,
    /// Events delivered per second, over all clients.
    pub delivered_per_second: f64,
    /// How the tester itself fared.
    pub tester: Tester,
    /// Latency by percentile, for the plot: `(percentile, microseconds)`.
    pub percentiles: Vec<(f64, u64)>,
    /// One for each second.
    pub samples: Vec<Sample>,
    /// Times of connecting: from the first `SYN` to the answer of the upgrade, in microseconds.
    pub connecting_us: Option<Latency>,
    /// Clients connected per second, from the first `SYN` to the last subscription.
    pub handshakes_per_second: Option<f64>,
    /// Every latency, in nanoseconds: for `--hdr`, and for merging with those of other processes.
    #[serde(skip)]
    pub histogram: Option<Histogram<u64>>,
    /// Every time of connecting, in nanoseconds, for the same.
    #[serde(skip)]
    pub connecting: Option<Histogram<u64>>,
    /// Rounds of scenarios that repeat (`capacity`: the rates it tried; `storm`: each storm).
    pub rounds: Vec<Round>,
    /// Figures of single scenarios, by name with the unit last.
    pub figures: BTreeMap<String, f64>,
    /// What is to be known about the figures, in sentences.
    pub notes: Vec<String>,
    /// How often clients were not let in, by what the server said or what went wrong.
    pub refused_by_reason: BTreeMap<String, u64>,
}

/// Percentiles of a histogram, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Half were faster.
    pub p50: u64,
    /// Nine in ten were faster.
    pub p90: u64,
    /// 99 in a hundred were faster.
    pub p99: u64,
    /// 999 in a thousand were faster.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

/// What the server process spent, read from outside.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerCost {
    /// User and system time of all its threads per delivery, in nanoseconds; `null` (not a number) without deliveries.
    #[serde(deserialize_with = "null_as_none")]
    pub cpu_ns_per_delivery: f64,
    /// Growth of its resident memory since before the clients connected, per connection, in bytes.
    pub rss_bytes_per_connection: f64,
    /// The part of it that no file is behind.
    pub anonymous_bytes_per_connection: Option<f64>,
    /// Growth of the kernel's socket and slab memory per connection, in bytes, where it could be read. Both ends of a
    /// loopback connection are in it.
    pub kernel_bytes_per_connection: Option<f64>,
    /// The part of it that is buffers of TCP.
    pub kernel_buffers_per_connection: Option<f64>,
    /// The part of it that is slabs.
    pub kernel_slabs_per_connection: Option<f64>,
    /// The part of the slabs that cannot be given back under pressure.
    pub kernel_unreclaimable_slabs_per_connection: Option<f64>,
    /// User and system time of all its threads per connection while clients connected, in nanoseconds.
    pub cpu_ns_per_handshake: f64,
    /// Its cores' worth of processor time: 1.0 is one core busy all the time.
    pub cores: f64,
    /// Resident memory at the end, in bytes.
    pub rss_bytes: u64,
}

/// How the tester itself fared: whether it was the bottleneck.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tester {
    /// Share of the time that its busiest thread ran or waited for a core, 0 to 1.
    pub busiest_thread: f64,
    /// How late its event loops and its publisher were, in microseconds.
    pub lag_us: Latency,
    /// Receiving threads, over all agents.
    pub threads: u32,
    /// Processes that took part.
    pub agents: u32,
    /// Open files it may have.
    pub open_files_max: u64,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// Seconds since the measurement began.
    pub second: f64,
    /// Connections at its end.
    pub connections: u64,
    /// Events published in it.
    pub published: u64,
    /// Events delivered in it.
    pub delivered: u64,
    /// Connections that ended in it and whose client had not left.
    pub closed: u64,
    /// Latency of those.
    pub latency_us: Latency,
    /// Resident memory of the server at its end, in bytes; 0 without `--server-pid`.
    pub rss_bytes: u64,
    /// Cores' worth of processor time the server used in it.
    pub server_cores: f64,
}

/// One round of a scenario that has several.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Round {
    /// What was tried, such as `12000 events/s`.
    pub name: String,
    /// Whether it held what was asked of it.
    pub held: bool,
    /// Its figures by name, such as `p99_us`.
    pub figures: BTreeMap<String, f64>,
}

/// What a run means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was lost and the goal was met.
    #[default]
    Pass,
    /// Something was lost, doubled, reordered or misdirected, or the goal was missed.
    Fail,
    /// The tester was the bottleneck: nothing can be said about the server.
    TesterSaturated,
}

/// JSON has no word for what is not a number: it is written as `null`.
fn null_as_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl Latency {
    /// The percentiles of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let microseconds = |percentile| (histogram.value_at_percentile(percentile) + 500) / 1_000;
        Self {
            p50: microseconds(50.0),
            p90: microseconds(90.0),
            p99: microseconds(99.0),
            p999: microseconds(99.9),
            max: (histogram.max() + 500) / 1_000,
        }
    }
}

impl Verdict {
    /// The process' exit code; 2 is usage or no connection.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::TesterSaturated => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_null_and_comes_back_as_none() {
        let cost = ServerCost { cpu_ns_per_delivery: f64::NAN, ..ServerCost::default() };
        let text = serde_json::to_string(&Outcome { server: Some(cost), ..Outcome::default() }).unwrap();
        assert!(text.contains(r#""cpu_ns_per_delivery":null"#), "{text}");
        let read: Outcome = serde_json::from_str(&text).unwrap();
        assert!(read.server.unwrap().cpu_ns_per_delivery.is_nan());
    }

    #[test]
    fn what_an_earlier_version_did_not_know_is_nothing() {
        let read: Outcome = serde_json::from_str(r#"{"published":3,"samples":[{"second":1}],"rounds":[{}]}"#).unwrap();
        assert_eq!((read.published, read.samples.len(), read.rounds.len()), (3, 1, 1));
    }
}
