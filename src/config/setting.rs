//! A setting: what it is called, what it may be, what holds without it.

use super::key::Key;
use super::kind::Kind;

/// One line of [`SETTINGS`](super::SETTINGS).
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the code; also its place in the table.
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

impl Setting {
    /// What it is called in files and printed configurations: the flag, or what the flag would be.
    pub fn name(&self) -> String {
        self.flag.map_or_else(|| self.environment.unwrap_or_default().to_lowercase().replace('_', "-"), str::to_owned)
    }

    /// What the help says about it, in two or three sentences.
    pub(super) fn help(&self) -> String {
        let Self { environment, kind, preset, description, .. } = self;
        if *kind == Kind::Switch {
            return format!("{description}.");
        }
        let environment = environment.map(|name| format!(" [environment: {name}]")).unwrap_or_default();
        format!("{description}. Allowed: {kind}. [default: {}]{environment}", preset.text())
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
