//! The settings: one table from which come the parser, the help, the printed configuration and the README's table.

use super::kind::Kind;
use std::fmt::Write as _;

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the code; also its place in [`SETTINGS`].
    pub key: Key,
    /// Without the dashes; `None` for secrets that must not show in a list of processes.
    pub flag: Option<&'static str>,
    /// The environment variable; `None` for what only makes sense on a command line.
    pub environment: Option<&'static str>,
    /// The heading it stands under in the help.
    pub group: Group,
    /// What values look like, and their limits.
    pub kind: Kind,
    /// What holds where nothing is set.
    pub preset: Preset,
    /// What it is for, and the reason of its default.
    pub description: &'static str,
}

/// The settings' names in the code, in the order of [`SETTINGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table describes them")]
pub enum Key {
    Profile,
    Listen,
    Port,
    MetricsListen,
    Broker,
    RedisUrl,
    RedisHost,
    RedisPort,
    RedisUser,
    RedisPassword,
    RedisSubscribe,
    RedisLinger,
    BrokerListen,
    WorkflowPrefix,
    ChannelPrefix,
    FluxBasePath,
    FluxBroadcast,
    FluxChannels,
    Shards,
    Cores,
    BrokerCore,
    SpreadAbove,
    SpinBeforePark,
    ClientMessagesPerSecond,
    MaxClientFrame,
    OutboundMax,
    OutboundTotalMax,
    SlowPolicy,
    MaxEvent,
    MaxConnections,
    MaxConnectionsPerUser,
    MaxConnectionsPerAddress,
    MaxChannels,
    PingInterval,
    PongTimeout,
    WriteTimeout,
    EventTtl,
    OverloadAfter,
    DrainWindow,
    AllowedOrigins,
    TrustedProxies,
    Auth,
    JwtHs256Secret,
    JwtKeys,
    AdminToken,
    LogLevel,
    LogFormat,
    EchoPath,
    Config,
    PrintConfig,
}

impl Key {
    /// The line of the table.
    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self as usize]
    }

    /// Whether it changes while the server runs, when the configuration is read again; else at the next start.
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::SpreadAbove
                | Self::ClientMessagesPerSecond
                | Self::MaxClientFrame
                | Self::OutboundMax
                | Self::OutboundTotalMax
                | Self::MaxConnections
                | Self::MaxConnectionsPerUser
                | Self::MaxConnectionsPerAddress
                | Self::MaxChannels
                | Self::WriteTimeout
                | Self::EventTtl
                | Self::OverloadAfter
                | Self::DrainWindow
                | Self::AllowedOrigins
                | Self::TrustedProxies
                | Self::JwtHs256Secret
                | Self::AdminToken
                | Self::LogLevel
        )
    }
}

impl Setting {
    /// What it is called in files and printed configurations: the flag, or what the flag would be.
    pub fn name(&self) -> String {
        self.flag.map_or_else(|| self.environment.unwrap_or_default().to_lowercase().replace('_', "-"), str::to_owned)
    }

    /// Whether a configuration file may hold it.
    pub fn is_in_file(&self) -> bool {
        self.kind != Kind::Switch && self.key != Key::Config
    }
}

/// A heading of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the headings say it")]
pub enum Group {
    Address,
    Broker,
    Flux,
    Cores,
    Limits,
    Time,
    Access,
    Log,
    Debugging,
    Configuration,
}

impl Group {
    /// As printed.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Address => "Address",
            Self::Broker => "Broker",
            Self::Flux => "Flux channels",
            Self::Cores => "Cores",
            Self::Limits => "Limits",
            Self::Time => "Time",
            Self::Access => "Access",
            Self::Log => "Log",
            Self::Debugging => "Debugging",
            Self::Configuration => "Configuration",
        }
    }
}

/// What holds where nothing is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A value, as one would type it.
    Value(&'static str),
    /// Nothing, or found out at start: in words.
    Derived(&'static str),
}

impl Preset {
    /// As printed in the help and the README.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Value(text) | Self::Derived(text) => text,
        }
    }
}

const SECOND: u64 = 1_000_000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Every setting, in the order of [`Key`] and of the help.
pub static SETTINGS: &[Setting] = &[
    Setting {
        key: Key::Profile,
        flag: Some("profile"),
        environment: Some("PROFILE"),
        group: Group::Address,
        kind: Kind::Choice(&["workflow", "flux"]),
        preset: Preset::Value("workflow"),
        description: "Whose defaults hold: with flux the default port is 3004. Every family is served in either",
    },
    Setting {
        key: Key::Listen,
        flag: Some("listen"),
        environment: Some("LISTEN"),
        group: Group::Address,
        kind: Kind::Address,
        preset: Preset::Value("127.0.0.1:8084"),
        description: "Where clients connect. This machine only by default: 0.0.0.0:8084 serves everyone who reaches it. Port 0 lets the kernel choose",
    },
    Setting {
        key: Key::Port,
        flag: Some("port"),
        environment: Some("PORT"),
        group: Group::Address,
        kind: Kind::Number { min: 0, max: 65_535, zero: None },
        preset: Preset::Derived("the port of the listen address"),
        description: "Replaces the port of the default listen address; a listen address that is set is taken whole",
    },
    Setting {
        key: Key::MetricsListen,
        flag: Some("metrics-listen"),
        environment: Some("METRICS_LISTEN"),
        group: Group::Address,
        kind: Kind::Address,
        preset: Preset::Derived("none"),
        description: "Where /metrics is served, with /health, /live and /ready, to whoever reaches it; it is then no longer at the clients' address. Open until the process ends: a server that drains is seen doing so",
    },
    Setting {
        key: Key::Broker,
        flag: Some("broker"),
        environment: Some("BROKER"),
        group: Group::Broker,
        kind: Kind::Choice(&["auto", "redis", "embedded"]),
        preset: Preset::Value("auto"),
        description: "Where events come from. auto: Redis where its URL, host, port or password is set; the embedded one where its address is set; else Redis if one answers at localhost:6379, and the embedded one if none does",
    },
    Setting {
        key: Key::RedisUrl,
        flag: Some("redis-url"),
        environment: Some("REDIS_URL"),
        group: Group::Broker,
        kind: Kind::RedisUrl,
        preset: Preset::Derived("none"),
        description: "Redis as a URL; wins over host, port, user and password. The database is ignored: pub/sub has none",
    },
    Setting {
        key: Key::RedisHost,
        flag: Some("redis-host"),
        environment: Some("REDIS_HOST"),
        group: Group::Broker,
        kind: Kind::Host,
        preset: Preset::Value("localhost"),
        description: "Redis' host, resolved again at each attempt to connect",
    },
    Setting {
        key: Key::RedisPort,
        flag: Some("redis-port"),
        environment: Some("REDIS_PORT"),
        group: Group::Broker,
        kind: Kind::Number { min: 1, max: 65_535, zero: None },
        preset: Preset::Value("6379"),
        description: "Redis' port",
    },
    Setting {
        key: Key::RedisUser,
        flag: Some("redis-user"),
        environment: Some("REDIS_USER"),
        group: Group::Broker,
        kind: Kind::Name,
        preset: Preset::Derived("none"),
        description: "Redis' ACL user; without one the user is Redis' own default",
    },
    Setting {
        key: Key::RedisPassword,
        flag: Some("redis-password"),
        environment: Some("REDIS_PASSWORD"),
        group: Group::Broker,
        kind: Kind::Password,
        preset: Preset::Derived("none"),
        description: "Redis' password; never printed. Prefer the environment: flags show in the list of processes",
    },
    Setting {
        key: Key::RedisSubscribe,
        flag: Some("redis-subscribe"),
        environment: Some("REDIS_SUBSCRIBE"),
        group: Group::Broker,
        kind: Kind::Choice(&["patterns", "channels"]),
        preset: Preset::Value("patterns"),
        description: "patterns: one subscription brings every event. channels: one for each channel that somebody here follows, which is cheaper where few of the published ones are (PERFORMANCE.md); one that Redis' ACL denies keeps the instance from getting ready",
    },
    Setting {
        key: Key::RedisLinger,
        flag: Some("redis-linger"),
        environment: Some("REDIS_LINGER"),
        group: Group::Broker,
        kind: Kind::Span { min_micros: SECOND / 10, max_micros: 86_400 * SECOND, zero: None },
        preset: Preset::Value("10s"),
        description: "With channels: how long one is kept after its last follower has gone. A reload of a page costs nothing then",
    },
    Setting {
        key: Key::BrokerListen,
        flag: Some("broker-listen"),
        environment: Some("BROKER_LISTEN"),
        group: Group::Broker,
        kind: Kind::Address,
        preset: Preset::Value("127.0.0.1:6379"),
        description: "Where the embedded broker listens for redis-cli and Redis client libraries; setting it chooses the embedded broker. It asks for no password: keep it on this machine",
    },
    Setting {
        key: Key::WorkflowPrefix,
        flag: Some("workflow-prefix"),
        environment: Some("WORKFLOW_PREFIX"),
        group: Group::Broker,
        kind: Kind::Prefix,
        preset: Preset::Value("workflow:events:"),
        description: "What stands before the username in the names of workflow channels",
    },
    Setting {
        key: Key::ChannelPrefix,
        flag: Some("channel-prefix"),
        environment: Some("CHANNEL_PREFIX"),
        group: Group::Flux,
        kind: Kind::Prefix,
        preset: Preset::Value("flux"),
        description: "What stands, with a colon behind it, before the channel in the names of the broker's channels",
    },
    Setting {
        key: Key::FluxBasePath,
        flag: Some("flux-base-path"),
        environment: Some("FLUX_BASE_PATH"),
        group: Group::Flux,
        kind: Kind::Path,
        preset: Preset::Value("/flux"),
        description: "What stands before /ws, /health, /ready and /live of the flux family",
    },
    Setting {
        key: Key::FluxBroadcast,
        flag: Some("flux-broadcast"),
        environment: Some("FLUX_BROADCAST"),
        group: Group::Flux,
        kind: Kind::Choice(&["allow", "deny"]),
        preset: Preset::Value("allow"),
        description: "Whether clients may broadcast; deny leaves that to publishers at the broker. Without --auth token nobody is asked who he is: deny it where strangers connect",
    },
    Setting {
        key: Key::FluxChannels,
        flag: Some("flux-channels"),
        environment: Some("FLUX_CHANNELS"),
        group: Group::Flux,
        kind: Kind::Patterns,
        preset: Preset::Value("*"),
        description: "Which channels clients may subscribe and broadcast to",
    },
    Setting {
        key: Key::Shards,
        flag: Some("shards"),
        environment: Some("SHARDS"),
        group: Group::Cores,
        kind: Kind::Number { min: 1, max: 1024, zero: None },
        preset: Preset::Derived("one for each core that the broker leaves"),
        description: "Pinned threads that own connections. Fewer than cores: the first cores; more: several on a core, which is for tests and stops at 64",
    },
    Setting {
        key: Key::Cores,
        flag: Some("cores"),
        environment: Some("CORES"),
        group: Group::Cores,
        kind: Kind::Cores,
        preset: Preset::Derived("every core this process may use"),
        description: "The cores to run on, among those this process may use (taskset, cpusets)",
    },
    Setting {
        key: Key::BrokerCore,
        flag: Some("broker-core"),
        environment: Some("BROKER_CORE"),
        group: Group::Cores,
        kind: Kind::Core,
        preset: Preset::Value("auto"),
        description: "The broker's own core. none: beside the first shard. auto: the last core where there are four or more and the shards leave one, else beside the first shard",
    },
    Setting {
        key: Key::SpreadAbove,
        flag: Some("spread-above"),
        environment: Some("SPREAD_ABOVE"),
        group: Group::Cores,
        kind: Kind::Number { min: 1, max: 1 << 24, zero: Some("never") },
        preset: Preset::Value("512"),
        description: "Connections of one username on its shard above which further ones go to all shards in turn: an event for so many keeps a core busy for half a millisecond",
    },
    Setting {
        key: Key::SpinBeforePark,
        flag: Some("spin-before-park"),
        environment: Some("SPIN_BEFORE_PARK"),
        group: Group::Cores,
        kind: Kind::Span { min_micros: 0, max_micros: SECOND / 10, zero: None },
        preset: Preset::Value("0us"),
        description: "How long an idle shard looks for work before it sleeps: 2ms answers sooner, at the price of a core that is always busy (PERFORMANCE.md)",
    },
    Setting {
        key: Key::ClientMessagesPerSecond,
        flag: Some("client-messages-per-second"),
        environment: Some("CLIENT_MESSAGES_PER_SECOND"),
        group: Group::Limits,
        kind: Kind::Number { min: 1, max: 1_000_000, zero: Some("no limit") },
        preset: Preset::Value("100"),
        description: "Messages a client may send per second; above it, after a burst of two seconds' worth, workflow clients are closed with 1008; flux clients are warned for another burst first. Listeners need none, a person at a keyboard a few",
    },
    Setting {
        key: Key::MaxClientFrame,
        flag: Some("max-client-frame"),
        environment: Some("MAX_CLIENT_FRAME"),
        group: Group::Limits,
        kind: Kind::Bytes { min: 125, max: 64 * MIB },
        preset: Preset::Value("64KiB"),
        description: "Longest frame a client may send, and longest message of several frames; above it 1009. Each client may make the server hold this much",
    },
    Setting {
        key: Key::OutboundMax,
        flag: Some("outbound-max"),
        environment: Some("OUTBOUND_MAX"),
        group: Group::Limits,
        kind: Kind::Bytes { min: 4 * KIB, max: 1024 * MIB },
        preset: Preset::Value("1MiB"),
        description: "What may wait for a client that reads too slowly; above it --slow-policy decides. Thousands of usual events, and a bound on memory",
    },
    Setting {
        key: Key::OutboundTotalMax,
        flag: Some("outbound-total-max"),
        environment: Some("OUTBOUND_TOTAL_MAX"),
        group: Group::Limits,
        kind: Kind::Bytes { min: MIB, max: 1024 * 1024 * MIB },
        preset: Preset::Derived("a quarter of the memory"),
        description: "What may wait for all slow clients together, each shard an equal share; beyond it the largest queues go first. What clients share is counted for each",
    },
    Setting {
        key: Key::SlowPolicy,
        flag: Some("slow-policy"),
        environment: Some("SLOW_POLICY"),
        group: Group::Limits,
        kind: Kind::SlowPolicy,
        preset: Preset::Value("close"),
        description: "What becomes of events for a client whose queue is full. close: 4001, so that it comes back and asks for the state of things. drop-oldest: they give way to newer ones. latest: of each username or channel only the newest waits. With meta=1 the client is told how many it missed",
    },
    Setting {
        key: Key::MaxEvent,
        flag: Some("max-event"),
        environment: Some("MAX_EVENT"),
        group: Group::Limits,
        kind: Kind::Bytes { min: KIB, max: 512 * MIB },
        preset: Preset::Value("16MiB"),
        description: "Longest event that is delivered; longer ones are dropped and counted. Redis itself stops at 512 MiB",
    },
    Setting {
        key: Key::MaxConnections,
        flag: Some("max-connections"),
        environment: Some("MAX_CONNECTIONS"),
        group: Group::Limits,
        kind: Kind::Number { min: 1, max: 1 << 24, zero: None },
        preset: Preset::Derived(
            "the open-file limit (ulimit -n) less 64 and less 16 for each shard and the broker, at most 1048576",
        ),
        description: "Connections at a time, of all shards together; above it clients are turned away",
    },
    Setting {
        key: Key::MaxConnectionsPerUser,
        flag: Some("max-connections-per-user"),
        environment: Some("MAX_CONNECTIONS_PER_USER"),
        group: Group::Limits,
        kind: Kind::Number { min: 1, max: 1 << 24, zero: Some("no limit") },
        preset: Preset::Value("0"),
        description: "Connections of one username at a time, of all shards together; one more gets a 429. No limit by default: a wall of screens is one user. People with some devices and tabs need 20",
    },
    Setting {
        key: Key::MaxConnectionsPerAddress,
        flag: Some("max-connections-per-address"),
        environment: Some("MAX_CONNECTIONS_PER_ADDRESS"),
        group: Group::Limits,
        kind: Kind::Number { min: 1, max: 1 << 24, zero: Some("no limit") },
        preset: Preset::Value("0"),
        description: "Connections of one client address at a time, of IPv6 of one /64; one more gets a 429. No limit by default: an office, or everybody behind a proxy that --trusted-proxies does not name, is one address",
    },
    Setting {
        key: Key::MaxChannels,
        flag: Some("max-channels"),
        environment: Some("MAX_CHANNELS"),
        group: Group::Limits,
        kind: Kind::Number { min: 1, max: 4_096, zero: None },
        preset: Preset::Value("128"),
        description: "Channels one connection may follow: a page shows a few. Each costs 30 bytes, and up to 1 KB where nobody else follows it",
    },
    Setting {
        key: Key::PingInterval,
        flag: Some("ping-interval"),
        environment: Some("PING_INTERVAL"),
        group: Group::Time,
        kind: Kind::Span { min_micros: SECOND / 10, max_micros: 86_400 * SECOND, zero: Some("no pings") },
        preset: Preset::Value("54s"),
        description: "How often a client is pinged; below the 60 seconds after which many proxies cut a silent connection",
    },
    Setting {
        key: Key::PongTimeout,
        flag: Some("pong-timeout"),
        environment: Some("PONG_TIMEOUT"),
        group: Group::Time,
        kind: Kind::Span { min_micros: SECOND / 10, max_micros: 3600 * SECOND, zero: None },
        preset: Preset::Value("60s"),
        description: "How long a client may stay silent after a ping; then it is closed with 1008",
    },
    Setting {
        key: Key::WriteTimeout,
        flag: Some("write-timeout"),
        environment: Some("WRITE_TIMEOUT"),
        group: Group::Time,
        kind: Kind::Span { min_micros: SECOND, max_micros: 3600 * SECOND, zero: None },
        preset: Preset::Value("10s"),
        description: "How long a client may take nothing of what waits for it; then its connection is ended and counted under 4001. A phone between two cells is back within seconds",
    },
    Setting {
        key: Key::EventTtl,
        flag: Some("event-ttl"),
        environment: Some("EVENT_TTL"),
        group: Group::Time,
        kind: Kind::Span { min_micros: SECOND / 10, max_micros: 86_400 * SECOND, zero: Some("ever") },
        preset: Preset::Value("0s"),
        description: "How long an event may wait for a slow client; what is older when the client reads again is skipped and counted",
    },
    Setting {
        key: Key::OverloadAfter,
        flag: Some("overload-after"),
        environment: Some("OVERLOAD_AFTER"),
        group: Group::Time,
        kind: Kind::Span { min_micros: SECOND / 10, max_micros: 3600 * SECOND, zero: Some("never") },
        preset: Preset::Value("30s"),
        description: "How long a shard may be behind with its work without a pause; then new clients get a 503 and those who are there come first. A storm of 20000 clients is over long before: turning them away would cost as much as letting them in, and they would come again; nor is a burst of events that keeps a core busy for seconds a reason",
    },
    Setting {
        key: Key::DrainWindow,
        flag: Some("drain-window"),
        environment: Some("DRAIN_WINDOW"),
        group: Group::Time,
        kind: Kind::Span { min_micros: 0, max_micros: 600 * SECOND, zero: None },
        preset: Preset::Value("5s"),
        description: "Over how long a stopping server spreads its goodbyes, so that clients do not all come back at once; supervisors often kill after 10 seconds",
    },
    Setting {
        key: Key::AllowedOrigins,
        flag: Some("allowed-origins"),
        environment: Some("ALLOWED_ORIGINS"),
        group: Group::Access,
        kind: Kind::Origins,
        preset: Preset::Value("*"),
        description: "Web pages that may connect, by the Origin header their browser sends; clients without one are no browsers and are not held back by this",
    },
    Setting {
        key: Key::TrustedProxies,
        flag: Some("trusted-proxies"),
        environment: Some("TRUSTED_PROXIES"),
        group: Group::Access,
        kind: Kind::Networks,
        preset: Preset::Derived("none"),
        description: "Proxies in front of this server. What comes from one counts, and is logged, under the client's address in its X-Forwarded-For or Forwarded; nobody else is believed these",
    },
    Setting {
        key: Key::Auth,
        flag: Some("auth"),
        environment: Some("AUTH"),
        group: Group::Access,
        kind: Kind::Choice(&["none", "token"]),
        preset: Preset::Value("none"),
        description: "Who may connect. none: anybody, as anybody. token: who brings a JWT whose sub is the username, or whose usernames list it; flux clients need any sub",
    },
    Setting {
        key: Key::JwtHs256Secret,
        flag: None,
        environment: Some("JWT_HS256_SECRET"),
        group: Group::Access,
        kind: Kind::SigningSecret,
        preset: Preset::Derived("none"),
        description: "What tokens with HS256 are checked with, and fanout token signs with; never printed",
    },
    Setting {
        key: Key::JwtKeys,
        flag: Some("jwt-keys"),
        environment: Some("JWT_KEYS"),
        group: Group::Access,
        kind: Kind::File,
        preset: Preset::Derived("none"),
        description: "A JWKS with keys for HS256, RS256 and ES256, by their kid. Read again when it has changed, which is looked for once a second at most; while it cannot be used the keys stay as they were",
    },
    Setting {
        key: Key::AdminToken,
        flag: None,
        environment: Some("ADMIN_TOKEN"),
        group: Group::Access,
        kind: Kind::Token,
        preset: Preset::Derived("none: direct local requests only"),
        description: "Opens /admin and /publish to whoever sends Authorization: Bearer with it; never printed",
    },
    Setting {
        key: Key::LogLevel,
        flag: Some("log-level"),
        environment: Some("LOG_LEVEL"),
        group: Group::Log,
        kind: Kind::Filter,
        preset: Preset::Value("info"),
        description: "What is logged; debug adds a line per event",
    },
    Setting {
        key: Key::LogFormat,
        flag: Some("log-format"),
        environment: Some("LOG_FORMAT"),
        group: Group::Log,
        kind: Kind::Choice(&["text", "json"]),
        preset: Preset::Value("text"),
        description: "text for people, json for machines",
    },
    Setting {
        key: Key::EchoPath,
        flag: Some("echo-path"),
        environment: Some("ECHO_PATH"),
        group: Group::Debugging,
        kind: Kind::Path,
        preset: Preset::Derived("off"),
        description: "A path where WebSocket messages are sent back to whoever sent them, without a limit per second: for conformance suites and load tools",
    },
    Setting {
        key: Key::Config,
        flag: Some("config"),
        environment: Some("FANOUT_CONFIG"),
        group: Group::Configuration,
        kind: Kind::File,
        preset: Preset::Derived("none"),
        description: "A file with settings, each under the name of its flag: deploy/fanout.toml has them all. Read again on SIGHUP",
    },
    Setting {
        key: Key::PrintConfig,
        flag: Some("print-config"),
        environment: None,
        group: Group::Configuration,
        kind: Kind::Switch,
        preset: Preset::Derived("off"),
        description: "Prints every setting's effective value and where it came from, secrets as ***, and exits; as fanout config does",
    },
];

/// The settings as the README shows them: a Markdown table, one line per setting, with a final line feed.
pub fn markdown_table() -> String {
    let mut table = "| flag | environment | default | allowed | what it is for |\n|---|---|---|---|---|\n".to_owned();
    let code = |text: String| format!("`{text}`");
    for setting in SETTINGS {
        let live = if setting.key.is_live() { " ↻" } else { "" };
        let flag = setting.flag.map_or("–".to_owned(), |flag| code(format!("--{flag}")));
        let environment = setting.environment.map_or("–".to_owned(), |name| code(name.to_owned()));
        let default = match setting.preset {
            Preset::Value(value) => code(value.to_owned()),
            Preset::Derived(words) => words.to_owned(),
        };
        // A bare `*` would start emphasis and a bare `[` a link.
        let allowed = setting.kind.to_string().replace('*', "\\*").replace('[', "\\[").replace('|', "\\|");
        let description = setting.description;
        writeln!(table, "| {flag}{live} | {environment} | {default} | {allowed} | {description} |")
            .expect("a String takes all");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{SETTINGS, markdown_table};
    use std::path::Path;

    #[test]
    fn keys_find_their_own_line_and_names_are_unique() {
        for (place, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(setting.key as usize, place, "{:?}", setting.key);
            let is_same = |other: &&super::Setting| {
                other.flag.is_some() && other.flag == setting.flag
                    || other.environment.is_some() && other.environment == setting.environment
            };
            assert!(SETTINGS.iter().filter(is_same).count() <= 1, "{:?}", setting.key);
            assert!(setting.flag.or(setting.environment).is_some(), "{:?}", setting.key);
        }
    }

    #[test]
    fn the_readme_carries_this_table() {
        let readme = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
        let Ok(text) = std::fs::read_to_string(readme) else { return };
        let after = text.split_once("<!-- settings: begin -->").expect("the marker of the table's begin").1;
        let inside = after.split_once("<!-- settings: end -->").expect("the marker of the table's end").0;
        assert!(inside.trim() == markdown_table().trim(), "put this between the markers:\n{}", markdown_table());
    }
}
