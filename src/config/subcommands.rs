//! The subcommands: one table from which come the parser, the help, completions and the manual page.

use super::client;
use super::doctor::{self, DoctorOrder};
use super::key::Key;
use super::manual::manual;
use super::refusal::Refusal;
use super::token::{self, TokenOrder};
use super::wish::{self, Wish};
use super::{Command, Config};
use clap::Command as Parser;
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
    /// What comes of it.
    pub(super) task: Task,
}

/// Settings that a subcommand understands.
pub(super) enum Settings {
    Every,
    Only(&'static [Key]),
}

/// What comes of what was typed behind a subcommand.
#[derive(Clone, Copy)]
pub(super) enum Task {
    /// Something with a server's configuration.
    Server(fn(Box<Config>, &ArgMatches) -> Result<Command, Refusal>),
    /// Its text.
    PrintConfig,
    /// Something with a server that runs: what is wrong with its settings alone is no client's business.
    Client(fn(&ArgMatches) -> Result<Wish, Refusal>),
    /// A text about the parser itself, which no setting changes.
    Print(fn(&ArgMatches, &mut Parser) -> String),
}

/// Every subcommand, in the order of the help.
pub(super) const SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        name: "serve",
        about: "Serves clients (also without a subcommand)",
        settings: Settings::Every,
        arguments: Vec::new,
        task: Task::Server(|config, _| Ok(Command::Serve(config))),
    },
    Subcommand {
        name: "doctor",
        about: "Says what this machine allows and what stands in the way; exits with 1 if it cannot serve",
        settings: Settings::Every,
        arguments: doctor::arguments,
        task: Task::Server(|config, words| Ok(Command::Doctor(config, Box::new(DoctorOrder::of(words)?)))),
    },
    Subcommand {
        name: "health",
        about: "Asks the server of these settings on this machine whether it serves; exits with 1 if it does not",
        settings: Settings::Every,
        arguments: Vec::new,
        task: Task::Server(|config, _| Ok(Command::Health(config))),
    },
    Subcommand {
        name: "config",
        about: "Prints every setting's effective value and where it came from, secrets as ***",
        settings: Settings::Every,
        arguments: Vec::new,
        task: Task::PrintConfig,
    },
    Subcommand {
        name: "token",
        about: "Prints a token for tests, signed with JWT_HS256_SECRET",
        settings: Settings::Only(&[Key::Config]),
        arguments: token::arguments,
        task: Task::Server(|config, words| Ok(Command::Token(TokenOrder::of(&config.auth, words)?))),
    },
    Subcommand {
        name: "publish",
        about: "Publishes an event, or those of standard input, over a running server",
        settings: Settings::Only(client::SETTINGS),
        arguments: wish::publish_arguments,
        task: Task::Client(|words| Ok(wish::publish(words))),
    },
    Subcommand {
        name: "listen",
        about: "Prints events of usernames and channels as they come, and reconnects; FANOUT_TOKEN holds its token",
        settings: Settings::Only(client::SETTINGS),
        arguments: wish::listen_arguments,
        task: Task::Client(wish::listen),
    },
    Subcommand {
        name: "trace",
        about: "Follows events from the broker to each connection, and says where they end",
        settings: Settings::Only(client::SETTINGS),
        arguments: wish::trace_arguments,
        task: Task::Client(wish::trace),
    },
    Subcommand {
        name: "completions",
        about: "Prints completions for a shell, as in: source <(fanout completions bash)",
        settings: Settings::Only(&[]),
        arguments: || vec![Arg::new("SHELL").required(true).value_parser(value_parser!(Shell)).help("Which shell")],
        task: Task::Print(completions),
    },
    Subcommand {
        name: "man",
        about: "Prints the manual page, as in: fanout man | man -l -",
        settings: Settings::Only(&[]),
        arguments: Vec::new,
        task: Task::Print(|_, parser| manual(parser)),
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

fn completions(words: &ArgMatches, parser: &mut Parser) -> String {
    let (shell, mut script) = (words.get_one::<Shell>("SHELL").expect("it is required"), Vec::new());
    generate(*shell, parser, "fanout", &mut script);
    String::from_utf8(script).expect("the table is UTF-8")
}
