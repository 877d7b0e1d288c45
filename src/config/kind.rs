//! Kinds of values: what they look like, and their limits.

use super::bytes::ByteSize;
use super::span::Span;
use std::fmt;
use std::time::Duration;

/// What values look like, and their limits (both ends included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IP address and a port.
    Address,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number; `zero` is what 0 means where it lies below `min`.
    Number {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
        /// What 0 means, if it is allowed beside the range.
        zero: Option<&'static str>,
    },
    /// A size.
    Bytes {
        /// Smallest, bytes.
        min: u64,
        /// Largest, bytes.
        max: u64,
    },
    /// A span of time; `zero` as for numbers.
    Span {
        /// Shortest, microseconds.
        min_micros: u64,
        /// Longest, microseconds.
        max_micros: u64,
        /// What 0 means, if it is allowed beside the range.
        zero: Option<&'static str>,
    },
    /// A Redis URL; its password is a secret.
    RedisUrl,
    /// A host name or IP address.
    Host,
    /// A name.
    Name,
    /// A secret; empty is none.
    Password,
    /// A secret that opens the private door.
    Token,
    /// A secret that signatures are made with.
    SigningSecret,
    /// A file.
    File,
    /// What channel names begin with.
    Prefix,
    /// Patterns of channels.
    Patterns,
    /// Cores.
    Cores,
    /// What becomes of events that are not read in time.
    SlowPolicy,
    /// One core, or a rule.
    Core,
    /// Origins of web pages.
    Origins,
    /// Networks and addresses.
    Networks,
    /// A path of this server.
    Path,
    /// A tracing filter.
    Filter,
    /// A flag without a value.
    Switch,
}

impl Kind {
    /// Whether values are written as `***`.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::RedisUrl | Self::Password | Self::Token | Self::SigningSecret)
    }

    /// Whether a configuration file may hold a bare number.
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Number { .. } | Self::Bytes { .. } | Self::Span { .. } | Self::Core | Self::Cores)
    }

    /// Whether a configuration file may hold an array.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::Cores | Self::Origins | Self::Networks | Self::Patterns)
    }

    /// What stands behind the flag in the help.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Address => "IP:PORT",
            Self::Choice(_) => "WORD",
            Self::Number { .. } => "N",
            Self::Bytes { .. } => "BYTES",
            Self::Span { .. } => "DURATION",
            Self::RedisUrl => "URL",
            Self::Host => "HOST",
            Self::Name => "NAME",
            Self::Password => "PASSWORD",
            Self::Token => "TOKEN",
            Self::SigningSecret => "SECRET",
            Self::File => "FILE",
            Self::Prefix => "TEXT",
            Self::SlowPolicy => "POLICY",
            Self::Core => "CORE",
            Self::Cores | Self::Origins | Self::Networks | Self::Patterns => "LIST",
            Self::Path => "PATH",
            Self::Filter => "FILTER",
            Self::Switch => "",
        }
    }
}

impl fmt::Display for Kind {
    /// What is allowed, as a phrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address => f.write_str("ip:port such as 127.0.0.1:8084 or [::]:8084"),
            Self::Choice(words) => f.write_str(&listed(words, "or")),
            Self::Number { min, max, zero } => {
                write!(f, "a number from {min} to {max}")?;
                zero.map_or(Ok(()), |zero| write!(f, ", or 0 for {zero}"))
            }
            Self::Bytes { min, max } => {
                write!(f, "a size from {} to {} such as 64KiB, 1MB or 4096", ByteSize(min), ByteSize(max))
            }
            Self::Span { min_micros, max_micros, zero } => {
                let [min, max] = [min_micros, max_micros].map(|micros| Span(Duration::from_micros(micros)));
                write!(f, "a duration from {min} to {max} such as 54s, 100ms or 2m")?;
                zero.map_or(Ok(()), |zero| write!(f, ", or 0 for {zero}"))
            }
            Self::RedisUrl => f.write_str("redis://[user[:password]@]host[:port][/db], percent-encoded"),
            Self::Host => f.write_str("a host name or an IP address"),
            Self::Name => f.write_str("1 to 255 bytes without control characters"),
            Self::Password => f.write_str("any text, empty for none"),
            Self::Token => f.write_str("16 to 512 printable ASCII characters without spaces"),
            Self::SigningSecret => f.write_str("32 bytes or more, such as those of openssl rand -hex 32"),
            Self::File => f.write_str("the path of a file"),
            Self::Prefix => f.write_str("1 to 255 bytes without control characters and without * ? [ ] \\"),
            Self::Patterns => f.write_str("a comma list of patterns with * ? [abc] and \\x as Redis understands them"),
            Self::Cores => f.write_str("core numbers such as 0,2-3, each once"),
            Self::SlowPolicy => {
                f.write_str("close, drop-oldest or latest, for all or by protocol such as workflow=close,flux=latest")
            }
            Self::Core => f.write_str("auto, none or a core number"),
            Self::Origins => f.write_str("* or a comma list of scheme://host[:port]"),
            Self::Networks => f.write_str("a comma list of networks and addresses such as 10.0.0.0/8 or ::1"),
            Self::Path => f.write_str("a path such as /echo that is not one of the server's own"),
            Self::Filter => f.write_str(
                "off, error, warn, info, debug or trace, or tracing directives such as info,fanout::brokers=debug",
            ),
            Self::Switch => Ok(()),
        }
    }
}

/// `a, b or c`.
pub(super) fn listed(words: &[&str], before_last: &str) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} {before_last} {last}", rest.join(", ")),
        None => String::new(),
    }
}
