//! The command line as it is typed: its parser, help and completions, from the tables of subcommands and of settings.

use super::kind::{Kind, listed};
use super::setting::Setting;
use super::subcommands::{SUBCOMMANDS, Subcommand, Task};
use super::table::{SETTINGS, without_flag};
use super::words::text;
use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use std::ffi::OsString;

/// What was typed.
pub(super) struct Typed {
    /// What comes of it.
    pub(super) task: Task,
    /// What stands behind the subcommand, then what stands in front of it.
    matches: Vec<ArgMatches>,
}

impl Typed {
    /// Reads the words of a command line, with the program's name in front.
    ///
    /// # Errors
    /// One sentence about the first mistake, or the help or version that was asked for.
    pub(super) fn read(words: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut front = command().try_get_matches_from(words).map_err(in_one_sentence)?;
        let (name, behind) = front.remove_subcommand().unzip();
        let name = name.as_deref().unwrap_or("serve");
        let subcommand = SUBCOMMANDS.iter().find(|subcommand| subcommand.name == name);
        let task = subcommand.expect("the parser is made from the table").task;
        Ok(Self { task, matches: behind.into_iter().chain([front]).collect() })
    }

    /// What stands behind the subcommand, or behind the program where there is none.
    pub(super) fn words(&self) -> &ArgMatches {
        &self.matches[0]
    }

    /// What was typed behind a flag; what stands behind the subcommand wins.
    pub(super) fn value(&self, flag: &'static str) -> Option<String> {
        self.matches.iter().find_map(|matches| text(matches, flag))
    }

    /// Whether a flag without a value was typed.
    pub(super) fn has(&self, flag: &'static str) -> bool {
        self.matches.iter().any(|matches| matches.try_get_one::<bool>(flag).is_ok_and(|is_set| is_set == Some(&true)))
    }
}

/// The parser and its help.
pub(super) fn command() -> Command {
    Command::new("fanout")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Hands events that arrive once to every WebSocket client that listens.")
        .after_help(environment_only())
        .disable_help_subcommand(true)
        .next_line_help(true)
        .max_term_width(120)
        .subcommands(SUBCOMMANDS.iter().map(subcommand))
        .args(SETTINGS.iter().filter_map(argument))
}

fn subcommand(subcommand: &Subcommand) -> Command {
    let settings = SETTINGS.iter().filter(|setting| subcommand.settings.contain(setting.key));
    Command::new(subcommand.name)
        .about(subcommand.about)
        .next_line_help(true)
        .args((subcommand.arguments)())
        .args(settings.filter_map(argument))
}

fn argument(setting: &Setting) -> Option<Arg> {
    let flag = setting.flag?;
    let argument = Arg::new(flag).long(flag).help_heading(setting.group.heading()).help(setting.help());
    let argument = match setting.kind {
        Kind::Switch => return Some(argument.action(ArgAction::SetTrue)),
        kind => argument.action(ArgAction::Set).value_name(kind.unit()),
    };
    Some(match setting.kind {
        Kind::Choice(words) => argument.value_parser(PossibleValuesParser::new(words)).hide_possible_values(true),
        Kind::File => argument.value_hint(ValueHint::FilePath),
        _ => argument,
    })
}

fn environment_only() -> String {
    let lines = without_flag().map(|(name, setting)| format!("  {name}\n          {}\n", setting.help()));
    format!(
        "Environment or file only:\n{}\nFlags win over the environment, the environment over the file; an empty \
         variable counts as not set.",
        lines.collect::<String>()
    )
}

/// Clap's mistakes in one sentence each; help and version pass.
fn in_one_sentence(error: clap::Error) -> clap::Error {
    let list = |kind| match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.clone(),
        // What follows `=` may be a secret under a mistyped name.
        Some(ContextValue::String(text)) => vec![text.split('=').next().unwrap_or_default().trim().to_owned()],
        _ => Vec::new(),
    };
    let context = |kind| list(kind).join(" or ");
    let flag = || context(ContextKind::InvalidArg).split([' ', '[']).next().unwrap_or_default().to_owned();
    let sentence = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return error,
        ErrorKind::UnknownArgument => match context(ContextKind::SuggestedArg) {
            nothing if nothing.is_empty() => format!("{} is not known; fanout --help lists what is", flag()),
            suggestion => format!("{} is not known; did you mean {suggestion}?", flag()),
        },
        ErrorKind::InvalidSubcommand => {
            let names: Vec<&str> = SUBCOMMANDS.iter().map(|subcommand| subcommand.name).collect();
            let subcommand = context(ContextKind::InvalidSubcommand);
            format!("`{subcommand}` is not known; the subcommands are {}", listed(&names, "and"))
        }
        ErrorKind::InvalidValue => match context(ContextKind::InvalidValue) {
            nothing if nothing.is_empty() => format!("{} needs a value; fanout --help says which", flag()),
            value => {
                let allowed = list(ContextKind::ValidValue);
                let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
                format!("{} is `{value}`; allowed: {}", flag(), listed(&allowed, "or"))
            }
        },
        ErrorKind::MissingRequiredArgument => format!("{} is missing; --help says what it may be", flag()),
        ErrorKind::TooManyValues => format!("{} takes no value", flag()),
        ErrorKind::ArgumentConflict => match context(ContextKind::PriorArg) {
            prior if prior.is_empty() || prior.starts_with(&flag()) => {
                format!("{} is given twice; give it once", flag())
            }
            prior => {
                format!("{} and {} exclude each other; give one", flag(), prior.split(' ').next().unwrap_or_default())
            }
        },
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8; values are UTF-8 text".to_owned(),
        other => format!("{other}; fanout --help says what is understood"),
    };
    clap::Error::raw(error.kind(), format!("{sentence}\n"))
}
