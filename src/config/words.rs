//! Words behind a subcommand: arguments that are no settings, and what was typed for them.

use clap::{Arg, ArgAction, ArgMatches};

/// An argument `--name UNIT`.
pub(super) fn option(name: &'static str, unit: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(unit).help(help)
}

/// An argument `--name`.
pub(super) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// What was typed for an argument, where the subcommand has one of that name.
pub(super) fn text(words: &ArgMatches, name: &str) -> Option<String> {
    words.try_get_one::<String>(name).ok().flatten().cloned()
}
