//! The subcommands: one table from which come the parser, the help, completions and the manual page.

use super::client::{self, ClientWords};
use super::command::command;
use super::doctor::{self, DoctorOrder};
use super::manual::manual;
use super::table::Key;
use clap::{Arg, ArgMatches, value_parser};
use clap_complete::{Shell, generate};

/// One line of the table.
pub(super) struct Subcommand {
    /// As it is typed.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) about: &'static str,
    /// Which settings may be typed behind it.
    pub(super) settings: Settings,
    /// What else may.
    pub(super) arguments: fn() -> Vec<Arg>,
    /// What was asked for with them.
    pub(super) task: fn(&ArgMatches) -> Task,
}

/// Settings that a subcommand understands.
pub(super) enum Settings {
    Every,
    Only(&'static [Key]),
}

/// What the process was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Serve,
    Doctor(DoctorOrder),
    Health,
    PrintConfig,
    Token(TokenWords),
    Client(ClientWords),
    /// Print this text, which no setting changes.
    Print(String),
}

/// What was typed behind `fanout token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenWords {
    pub(super) sub: Option<String>,
    pub(super) usernames: Option<String>,
    pub(super) expires: String,
}

/// Every subcommand, in the order of the help.
pub(super) const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "serve",
        about: "Serves clients (also without a subcommand)",
        settings: Settings::Every,
        arguments: Vec::new,
        task: |_| Task::Serve,
    },
    Subcommand {
        name: "doctor",
        about: "Says what this machine allows and what stands in the way; exits with 1 if it cannot serve",
        settings: Settings::Every,
        arguments: doctor::arguments,
        task: |matches| Task::Doctor(DoctorOrder::of(matches)),
    },
    Subcommand {
        name: "health",
        about: "Asks the server of these settings on this machine whether it serves; exits with 1 if it does not",
        settings: Settings::Every,
        arguments: Vec::new,
        task: |_| Task::Health,
    },
    Subcommand {
        name: "config",
        about: "Prints every setting's effective value and where it came from, secrets as ***",
        settings: Settings::Every,
        arguments: Vec::new,
        task: |_| Task::PrintConfig,
    },
    Subcommand {
        name: "token",
        about: "Prints a token for tests, signed with JWT_HS256_SECRET",
        settings: Settings::Only(&[Key::Config]),
        arguments: token_arguments,
        task: |matches| Task::Token(TokenWords::of(matches)),
    },
    Subcommand {
        name: "publish",
        about: "Publishes an event, or those of standard input, over a running server",
        settings: Settings::Only(client::SETTINGS),
        arguments: client::publish_arguments,
        task: |matches| Task::Client(ClientWords::publish(matches)),
    },
    Subcommand {
        name: "listen",
        about: "Prints events of usernames and channels as they come, and reconnects; FANOUT_TOKEN holds its token",
        settings: Settings::Only(client::SETTINGS),
        arguments: client::listen_arguments,
        task: |matches| Task::Client(ClientWords::listen(matches)),
    },
    Subcommand {
        name: "trace",
        about: "Follows events from the broker to each connection, and says where they end",
        settings: Settings::Only(client::SETTINGS),
        arguments: client::trace_arguments,
        task: |matches| Task::Client(ClientWords::trace(matches)),
    },
    Subcommand {
        name: "completions",
        about: "Prints completions for a shell, as in: source <(fanout completions bash)",
        settings: Settings::Only(&[]),
        arguments: || vec![Arg::new("SHELL").required(true).value_parser(value_parser!(Shell)).help("Which shell")],
        task: |matches| Task::Print(completions(*matches.get_one::<Shell>("SHELL").expect("it is required"))),
    },
    Subcommand {
        name: "man",
        about: "Prints the manual page, as in: fanout man | man -l -",
        settings: Settings::Only(&[]),
        arguments: Vec::new,
        task: |_| Task::Print(manual()),
    },
];

impl Settings {
    pub(super) fn contain(&self, key: Key) -> bool {
        match self {
            Self::Every => true,
            Self::Only(keys) => keys.contains(&key),
        }
    }
}

impl TokenWords {
    fn of(matches: &ArgMatches) -> Self {
        let word = |name: &str| matches.get_one::<String>(name).cloned();
        Self { sub: word("sub"), usernames: word("usernames"), expires: word("expires").unwrap_or_default() }
    }
}

fn token_arguments() -> Vec<Arg> {
    let argument = |name: &'static str, unit, help| Arg::new(name).long(name).value_name(unit).help(help);
    vec![
        argument("sub", "NAME", "Whom it is for: the username"),
        argument("usernames", "LIST", "Further usernames it is good for, between commas"),
        argument("expires", "DURATION", "How long it is good").default_value("1h"),
    ]
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut command(), "fanout", &mut script);
    String::from_utf8(script).expect("the table is UTF-8")
}
