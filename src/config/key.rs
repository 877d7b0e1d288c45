//! The settings' names in the code.

/// A setting, in the order of [`SETTINGS`](super::SETTINGS).
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
