//! What a run is to do, checked: whoever holds a plan need not check again.

use super::course::{Course, Unrest};
use super::dialect::{self, Dialect};
use super::event_size::EventSize;
use super::goal::Goal;
use super::open_files;
use super::stamp::EVENT_BYTES_MIN;
use super::target::Target;
use super::template::Template;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// Topics that a stamp has digits for.
const USERS_MAX: u32 = 1 << 24;

/// Connections that publish at most: each costs a call per turn of the publishing thread.
const PUBLISHERS_MAX: u32 = 1_024;

/// Threads that receive at most.
const THREADS_MAX: u32 = 256;

/// The largest event: far above what any of the brokers delivers by default.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// Events a second that the schedule can tell apart.
const RATE_MAX: f64 = 1e8;

/// A week, in seconds.
const SECONDS_MAX: f64 = 7.0 * 24.0 * 3_600.0;

/// One run. Agents get it over the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The scenario's name.
    pub scenario: String,
    /// The family of clients, by its name in [`dialect::TABLE`].
    pub protocol: String,
    /// Where clients connect.
    pub url: Template,
    /// Where events are published.
    pub publish: Publish,
    /// Connections.
    pub clients: u32,
    /// Topics; connections are dealt out to them in turn.
    pub users: u32,
    /// How many events, and when.
    pub load: Load,
    /// Bytes of one event.
    pub size: EventSize,
    /// Seconds to measure, after the warm-up.
    pub seconds: f64,
    /// Seconds before, which are not measured.
    pub warmup: f64,
    /// Seconds that a missing event is waited for.
    pub patience: f64,
    /// Threads that receive.
    pub threads: u32,
    /// Connections that publish.
    pub publishers: u32,
    /// Latencies to keep.
    pub slo: Vec<Goal>,
    /// The server's process, to be watched.
    pub server_pid: Option<u32>,
    /// Where connections come from.
    pub source: Source,
    /// What goes on beside listening.
    #[serde(default)]
    pub course: Course,
}

/// Where events are published.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Publish {
    /// By `PUBLISH`, to Redis or to the embedded broker.
    Redis {
        /// `host:port`.
        address: String,
        /// The channel, with the topic's place.
        channel: Template,
    },
    /// By `POST`, the event as the body.
    Http {
        /// The whole URL, with the topic's place.
        url: Template,
    },
    /// In the family's own protocol, without WebSocket around it.
    Tcp {
        /// `host:port`.
        address: String,
        /// The channel, with the topic's place.
        name: Template,
    },
    /// As a WebSocket client of the family does.
    WebSocket {
        /// Where it connects.
        url: Template,
        /// The channel, with the topic's place.
        name: Template,
    },
}

/// How many events, and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Open loop: so many a second, whatever the server does.
    Rate(f64),
    /// Closed loop: so many unfinished at once, the next when one is finished.
    Window(u16),
    /// No events at all.
    Silence,
}

/// Where connections come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Spread over 127.0.0.x where the server is on this machine, else the system's choice.
    Auto,
    /// The system's choice.
    System,
    /// Spread over these.
    Addresses(Vec<IpAddr>),
}

impl Plan {
    /// Checks everything that can be checked without connecting.
    ///
    /// # Errors
    /// One sentence, for the first thing that does not fit.
    pub fn check(&self) -> Result<(), String> {
        self.check_settings()?;
        open_files::check(self.clients, self.publishers)
    }

    /// Checks what holds wherever the clients are.
    ///
    /// # Errors
    /// One sentence, for the first thing that does not fit.
    pub fn check_settings(&self) -> Result<(), String> {
        self.check_places()?;
        self.check_numbers()?;
        self.check_times()?;
        match self.server_pid {
            Some(pid) if !Path::new(&format!("/proc/{pid}")).exists() => {
                Err(format!("--server-pid {pid}: there is no such process"))
            }
            _ => Ok(()),
        }
    }

    /// Whether events, or clients where there are none, come on a schedule.
    pub fn is_open_loop(&self) -> bool {
        matches!(self.load, Load::Rate(_)) || (self.is_silent() && self.course.ramp > 0.0)
    }

    /// Whether no event is published.
    pub fn is_silent(&self) -> bool {
        self.load == Load::Silence
    }

    /// Whether clients asked for the server's own notices.
    pub fn is_told(&self) -> bool {
        self.url.0.contains("meta=1")
    }

    /// Bytes of the event with this number in its topic.
    pub fn bytes_of(&self, sequence: u64) -> usize {
        match self.course.sizes.as_slice() {
            [] => self.size.0,
            sizes => sizes[usize::try_from(sequence % sizes.len() as u64).unwrap_or(0)].0,
        }
    }

    /// About how long the measurement will take, in seconds.
    pub fn seconds_in_all(&self) -> f64 {
        match self.course.unrest {
            Unrest::Storm { stagger } => f64::from(self.course.times) * (self.seconds + stagger + 1.0),
            _ => self.seconds,
        }
    }

    /// Connections that stay all the time.
    pub fn steady(&self) -> u32 {
        self.clients.saturating_sub(self.course.restless).saturating_sub(self.course.slow.clients)
    }

    /// Places of the window; 0 for an open loop.
    pub fn window(&self) -> u16 {
        match self.load {
            Load::Rate(_) | Load::Silence => 0,
            Load::Window(places) => places,
        }
    }

    /// Every setting by its flag, as text.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = vec![
            ("protocol", self.protocol.clone()),
            ("url", self.url.0.clone()),
            ("clients", self.clients.to_string()),
            ("users", self.users.to_string()),
            ("size", self.size.to_string()),
            ("seconds", self.seconds.to_string()),
            ("warmup", self.warmup.to_string()),
            ("patience", self.patience.to_string()),
            ("threads", self.threads.to_string()),
            ("publishers", self.publishers.to_string()),
        ];
        settings.extend(self.course.settings());
        match self.load {
            Load::Rate(rate) => settings.push(("rate", rate.to_string())),
            Load::Window(places) => settings.push(("window", places.to_string())),
            Load::Silence => {}
        }
        match &self.publish {
            _ if self.is_silent() => {}
            Publish::Redis { address, channel } => {
                settings.extend([("redis", address.clone()), ("publish-to", channel.0.clone())]);
            }
            Publish::Http { url } => settings.push(("publish-http", url.0.clone())),
            Publish::Tcp { address, name } => {
                settings.extend([("publish-tcp", address.clone()), ("publish-to", name.0.clone())]);
            }
            Publish::WebSocket { url, name } => {
                settings.extend([("publish-ws", url.0.clone()), ("publish-to", name.0.clone())]);
            }
        }
        if !self.slo.is_empty() {
            let goals: Vec<String> = self.slo.iter().map(Goal::to_string).collect();
            settings.push(("slo", goals.join(",")));
        }
        settings.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
    }

    fn check_places(&self) -> Result<(), String> {
        let Some(dialect) = dialect::find(&self.protocol) else {
            let known: Vec<&str> = dialect::TABLE.iter().map(|dialect| dialect.name()).collect();
            return Err(format!("--protocol {} is not known; there are {}", self.protocol, known.join(", ")));
        };
        Target::parse("ws://", &self.url).map_err(|reason| format!("--url: {reason}"))?;
        self.publish.check(dialect)?;
        let (flag, name) = self.publish.named_by();
        // Some say the topic when they are connected, not where they connect.
        let has_place = self.url.has_place() || !dialect.greeting("").is_empty();
        if has_place != name.has_place() {
            let (with, without) = if has_place { ("--url", flag) } else { (flag, "--url") };
            return Err(format!("{with} says where the username stands ({{user}}), {without} does not"));
        }
        if self.users > 1 && !has_place {
            return Err(format!("{} users need {{user}} in --url and {flag}", self.users));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), String> {
        within("--clients", self.clients, 1, u32::MAX)?;
        within("--users", self.users, 1, USERS_MAX)?;
        if self.users > self.clients {
            return Err(format!("--users {} is more than --clients {}", self.users, self.clients));
        }
        within("--threads", self.threads, 1, THREADS_MAX)?;
        within("--publishers", self.publishers, 1, PUBLISHERS_MAX)?;
        for size in self.course.sizes.iter().chain([&self.size]) {
            within("--size", size.0, EVENT_BYTES_MIN, EVENT_BYTES_MAX)?;
        }
        self.course.check(self.clients)?;
        match self.load {
            Load::Rate(rate) if !(rate > 0.0 && rate <= RATE_MAX) => {
                Err(format!("--rate {rate} is not above 0 and at most {RATE_MAX} events a second"))
            }
            Load::Window(0) => Err("--window 0 lets no event on its way".to_owned()),
            Load::Window(_) if self.course.restless > 0 => {
                Err(format!("{} has no --window: an event would wait for clients who are not there", self.scenario))
            }
            Load::Window(_) if self.course.outlasts_broker => {
                Err(format!("{} has no --window: an event would wait for a broker that is not there", self.scenario))
            }
            _ => Ok(()),
        }
    }

    fn check_times(&self) -> Result<(), String> {
        let times = [("--seconds", self.seconds), ("--warmup", self.warmup), ("--patience", self.patience)];
        for (flag, seconds) in times {
            if !(0.0..=SECONDS_MAX).contains(&seconds) {
                return Err(format!("{flag} {seconds} is not between 0 and {SECONDS_MAX} seconds"));
            }
        }
        if self.seconds == 0.0 {
            return Err("--seconds 0 measures nothing".to_owned());
        }
        Ok(())
    }
}

impl Publish {
    /// The flag that says where the topic's name stands, and what it says.
    fn named_by(&self) -> (&'static str, &Template) {
        match self {
            Self::Http { url } => ("--publish-http", url),
            Self::Redis { channel: name, .. } | Self::Tcp { name, .. } | Self::WebSocket { name, .. } => {
                ("--publish-to", name)
            }
        }
    }

    fn check(&self, dialect: &dyn Dialect) -> Result<(), String> {
        let is_url = |flag, scheme, url| match Target::parse(scheme, url) {
            Ok(_) => Ok(()),
            Err(reason) => Err(format!("{flag}: {reason}")),
        };
        match self {
            Self::Redis { .. } => Ok(()),
            Self::Http { url } => is_url("--publish-http", "http://", url),
            _ if dialect.publishing().is_none() => {
                Err(format!("--protocol {}: its clients only listen, they do not publish", dialect.name()))
            }
            Self::Tcp { address, .. } if address.contains(':') => Ok(()),
            Self::Tcp { address, .. } => Err(format!("--publish-tcp {address} has no port")),
            Self::WebSocket { url, .. } => is_url("--publish-ws", "ws://", url),
        }
    }
}

fn within<N: Copy + PartialOrd + std::fmt::Display>(flag: &str, number: N, least: N, most: N) -> Result<(), String> {
    if number < least || number > most {
        return Err(format!("{flag} {number} is not between {least} and {most}"));
    }
    Ok(())
}
