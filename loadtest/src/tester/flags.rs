//! One load, as flags and scenario files say it.

use super::dialect::Destination;
use super::event_size::EventSize;
use super::goal::Goal;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// What may be said of a load. Whatever is not said comes from its scenario.
#[derive(Clone, Debug, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Flags {
    /// Where clients connect, as ws://HOST:PORT/PATH; {user} or {channel} is the topic's name
    /// [default: the protocol's, for workflow `ws://127.0.0.1:8084/ws?username={user}`]
    #[arg(long, value_name = "URL", help_heading = "Where")]
    pub url: Option<String>,
    /// Publishes there: Redis or an embedded broker
    /// [default: 127.0.0.1:6379 for workflow and flux; others have their own way]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Where")]
    pub redis: Option<String>,
    /// Publishes by POST instead, such as `http://127.0.0.1:8084/publish/{user}`
    #[arg(long, value_name = "URL", help_heading = "Where", conflicts_with_all = ["redis", "publish_to"])]
    pub publish_http: Option<String>,
    /// Publishes in the protocol's own way, without WebSocket around it: for nats and mqtt
    #[arg(long, value_name = "HOST:PORT", help_heading = "Where", conflicts_with_all = ["redis", "publish_http"])]
    pub publish_tcp: Option<String>,
    /// Publishes as a WebSocket client does: for protocols whose clients do not only listen
    #[arg(long, value_name = "URL", help_heading = "Where",
        conflicts_with_all = ["redis", "publish_http", "publish_tcp"])]
    pub publish_ws: Option<String>,
    /// The channel of events; {user} or {channel} is the topic's name
    /// [default: the protocol's, for workflow `workflow:events:{user}`]
    #[arg(long, value_name = "CHANNEL", help_heading = "Where")]
    pub publish_to: Option<String>,
    /// The family of clients: workflow, flux, nchan, nats, mqtt, ws or socketio [default: workflow]
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub protocol: Option<String>,

    /// Connections [default: the scenario's, or one for each user]
    #[arg(long, value_name = "N", help_heading = "Load", allow_negative_numbers = true)]
    pub clients: Option<u32>,
    /// Usernames; clients are dealt out to them in turn [default: the scenario's]
    #[arg(long, value_name = "N", help_heading = "Load", allow_negative_numbers = true)]
    pub users: Option<u32>,
    /// Open loop: events a second, on a schedule that waits for nobody [default: the scenario's]
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load", allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// Closed loop: events unfinished at once; one is finished when all its clients have it
    #[arg(long, value_name = "N", help_heading = "Load", allow_negative_numbers = true)]
    pub window: Option<u16>,
    /// Bytes of an event, such as 256 or 64KiB [default: the scenario's]
    #[arg(long, value_name = "BYTES", help_heading = "Load")]
    pub size: Option<EventSize>,
    /// Seconds to measure [default: the scenario's]
    #[arg(long, value_name = "S", help_heading = "Load", allow_negative_numbers = true)]
    pub seconds: Option<f64>,
    /// Seconds of load before, not measured; what is lost or doubled in them counts all the same [default: the scenario's]
    #[arg(long, value_name = "S", help_heading = "Load", allow_negative_numbers = true)]
    pub warmup: Option<f64>,
    /// Sizes of events, used in turn, such as 64,1KiB,16KiB
    #[arg(long, value_name = "BYTES", help_heading = "Load", value_delimiter = ',', conflicts_with = "size")]
    pub sizes: Option<Vec<EventSize>>,
    /// Connections begun each second, on a schedule; 0 is as fast as they are let in [default: 0]
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load", allow_negative_numbers = true)]
    pub ramp: Option<f64>,
    /// Clients beside the others who stay connected and get the events [default: 100]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub bystanders: Option<u32>,
    /// How many storms, each after --seconds of calm [default: 3]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub times: Option<u32>,
    /// Seconds that clients spread their coming back over; 0 is all at once [default: 0]
    #[arg(long, value_name = "S", help_heading = "Load", allow_negative_numbers = true)]
    pub stagger: Option<f64>,
    /// The part of the clients that is slow after a calm beginning, such as 5% or 0.05 [default: 5%]
    #[arg(long, value_name = "SHARE", help_heading = "Load")]
    pub slow_share: Option<String>,
    /// Bytes that each slow client reads in a second; 0 is none [default: 0]
    #[arg(long, value_name = "BYTES_PER_SECOND", help_heading = "Load")]
    pub slow_read: Option<u32>,
    /// How often the highest rate is searched for [default: 3]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub searches: Option<u32>,
    /// Connections that leave and come back each second [default: 10]
    #[arg(long, value_name = "PER_SECOND", help_heading = "Load", allow_negative_numbers = true)]
    pub churn: Option<f64>,

    /// A latency to keep, such as p99=50ms, p99.9=200ms or max=1s; several allowed
    #[arg(long, value_name = "GOAL", help_heading = "Judgement", value_delimiter = ',')]
    pub slo: Option<Vec<Goal>>,
    /// Seconds that a missing event is waited for before it is lost [default: 5]
    #[arg(long, value_name = "S", help_heading = "Judgement", allow_negative_numbers = true)]
    pub patience: Option<f64>,
    /// The server's process on this machine: its processor time and memory are read
    #[arg(long, value_name = "PID", help_heading = "Judgement")]
    pub server_pid: Option<u32>,

    /// Threads that receive [default: the cores this process may use, 4 at most]
    #[arg(long, value_name = "N", help_heading = "This tester", allow_negative_numbers = true)]
    pub threads: Option<u32>,
    /// Connections that publish [default: 4 at a rate, 1 for a window, 16 over HTTP; never more than users]
    #[arg(long, value_name = "N", help_heading = "This tester", allow_negative_numbers = true)]
    pub publishers: Option<u32>,
    /// Where connections come from: auto (127.0.0.x to this machine), system, or addresses [default: auto]
    #[arg(long, value_name = "ADDRESSES", help_heading = "This tester")]
    pub source: Option<String>,
}

impl Flags {
    /// These flags, and what the file says where there are none.
    pub(super) fn over(&self, file: &Path) -> Result<Self, String> {
        let unfit = |reason: &dyn std::fmt::Display| format!("--scenario {}: {reason}", file.display());
        let text = fs::read_to_string(file).map_err(|error| unfit(&error))?;
        let mut table: toml::Table = toml::from_str(&text).map_err(|error| unfit(&error))?;
        let flags = toml::Table::try_from(self).map_err(|error| unfit(&error))?;
        if self.rate.is_some() || self.window.is_some() {
            table.remove("rate");
            table.remove("window");
        }
        if self.size.is_some() || self.sizes.is_some() {
            table.remove("size");
            table.remove("sizes");
        }
        if self.publish_to.is_some() {
            table.remove("publish-http");
        }
        if self.destination().is_some() {
            for name in ["redis", "publish-http", "publish-tcp", "publish-ws"] {
                table.remove(name);
            }
        }
        table.extend(flags);
        table.try_into().map_err(|error: toml::de::Error| unfit(&error))
    }

    /// Where these flags say that events are published.
    pub(super) fn destination(&self) -> Option<Destination<'_>> {
        let redis = self.redis.as_deref().map(Destination::Redis);
        let http = || self.publish_http.as_deref().map(Destination::Http);
        let tcp = || self.publish_tcp.as_deref().map(Destination::Tcp);
        let websocket = || self.publish_ws.as_deref().map(Destination::WebSocket);
        redis.or_else(http).or_else(tcp).or_else(websocket)
    }
}
