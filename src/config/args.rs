//! What was typed or set, before it means anything.

use super::kind::Kind;
use super::secret::HIDDEN;
use super::table::{Key, Preset, SETTINGS, Setting};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::ffi::OsString;
use std::fmt;

/// What the process was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Serve,
    Doctor,
    PrintConfig,
    Token(TokenWords),
}

/// What was typed behind `fanout token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenWords {
    pub(super) sub: Option<String>,
    pub(super) usernames: Option<String>,
    pub(super) expires: String,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Flag(&'static str),
    Environment(&'static str),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Why a value does not fit.
pub(super) enum Unfit {
    /// It is not what the setting's kind allows.
    Shape,
    /// For a reason of its own, which must not repeat a secret.
    Because(String),
}

/// One sentence for whoever started the process: where, what, and what is allowed.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl From<Refusal> for clap::Error {
    /// Exit code 2, as for every other mistake in the arguments.
    fn from(refusal: Refusal) -> Self {
        Self::raw(ErrorKind::ValueValidation, format!("{}\n", refusal.0))
    }
}

/// The values of all settings as text: flags win over the environment, the environment over defaults.
pub(super) struct Arguments {
    pub(super) task: Task,
    /// By [`Key`].
    given: Vec<Option<(String, Source)>>,
}

impl Arguments {
    /// Reads the command line (with the program's name in front) and asks for environment variables.
    ///
    /// # Errors
    /// One sentence about the first mistake, or the help or version that was asked for.
    pub(super) fn read(
        arguments: impl Iterator<Item = OsString>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(arguments).map_err(in_one_sentence)?;
        let (subcommand, matches) = matches.subcommand().unwrap_or(("serve", &matches));
        let task = match subcommand {
            _ if matches.get_flag("print-config") => Task::PrintConfig,
            "doctor" => Task::Doctor,
            "token" => Task::Token(TokenWords::of(matches)),
            _ => Task::Serve,
        };
        let given = SETTINGS.iter().map(|setting| given(setting, matches, &environment)).collect();
        Ok(Self { task, given })
    }

    /// Where the value came from.
    pub(super) fn source(&self, key: Key) -> Source {
        self.given[key as usize].as_ref().map_or(Source::Default, |(_, source)| *source)
    }

    /// Whether a flag or variable holds something; an empty one holds nothing.
    pub(super) fn is_set(&self, key: Key) -> bool {
        self.given[key as usize].as_ref().is_some_and(|(text, _)| !text.is_empty())
    }

    /// The value, if there is one.
    pub(super) fn optional<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, Unfit>,
    ) -> Result<Option<T>, Refusal> {
        let text = match (&self.given[key as usize], key.setting().preset) {
            (Some((text, _)), _) => text,
            (None, Preset::Value(text)) => text,
            (None, Preset::Derived(_)) => return Ok(None),
        };
        parse(text).map(Some).map_err(|unfit| self.refusal(key, text, &unfit))
    }

    /// The value of a setting whose default is one.
    pub(super) fn required<T>(&self, key: Key, parse: impl FnOnce(&str) -> Result<T, Unfit>) -> Result<T, Refusal> {
        self.optional(key, parse).map(|value| value.expect("the table gives a value by default"))
    }

    fn refusal(&self, key: Key, text: &str, unfit: &Unfit) -> Refusal {
        let setting = key.setting();
        let place = match self.source(key) {
            Source::Flag(flag) => format!("--{flag}"),
            Source::Environment(name) => name.to_owned(),
            Source::Default => format!("the default of {key:?}"),
        };
        let shown = if setting.kind.is_secret() { HIDDEN.to_owned() } else { format!("`{}`", text.escape_debug()) };
        Refusal(match unfit {
            Unfit::Shape => format!("{place} is {shown}; allowed: {}", setting.kind),
            Unfit::Because(reason) => format!("{place} is {shown}, but {reason}; allowed: {}", setting.kind),
        })
    }
}

impl TokenWords {
    fn of(matches: &ArgMatches) -> Self {
        let word = |name: &str| matches.get_one::<String>(name).cloned();
        Self { sub: word("sub"), usernames: word("usernames"), expires: word("expires").unwrap_or_default() }
    }
}

/// The parser and its help, from the table.
pub(super) fn command() -> Command {
    Command::new("fanout")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Hands events that arrive once to every WebSocket client that listens.")
        .after_help(environment_only())
        .disable_help_subcommand(true)
        .next_line_help(true)
        .max_term_width(120)
        .subcommand(Command::new("serve").about("Serves clients (also without a subcommand)").next_line_help(true))
        .subcommand(
            Command::new("doctor")
                .about("Says what this machine allows and what stands in the way; exits with 1 if it cannot serve")
                .next_line_help(true),
        )
        .subcommand(token_command())
        .args(SETTINGS.iter().filter_map(argument))
}

fn token_command() -> Command {
    let argument = |name: &'static str, unit, help| Arg::new(name).long(name).value_name(unit).help(help);
    Command::new("token")
        .about("Prints a token for tests, signed with JWT_HS256_SECRET")
        .next_line_help(true)
        .arg(argument("sub", "NAME", "Whom it is for: the username"))
        .arg(argument("usernames", "LIST", "Further usernames it is good for, between commas"))
        .arg(argument("expires", "DURATION", "How long it is good").default_value("1h"))
}

fn argument(setting: &Setting) -> Option<Arg> {
    let flag = setting.flag?;
    let argument = Arg::new(flag).long(flag).global(true).help_heading(setting.group.heading()).help(help(setting));
    Some(match setting.kind {
        Kind::Switch => argument.action(ArgAction::SetTrue),
        kind => argument.action(ArgAction::Set).value_name(kind.unit()),
    })
}

/// What the table says about a setting, in two or three sentences.
fn help(setting: &Setting) -> String {
    let Setting { environment, kind, preset, description, .. } = setting;
    if *kind == Kind::Switch {
        return format!("{description}.");
    }
    let environment = environment.map(|name| format!(" [environment: {name}]")).unwrap_or_default();
    format!("{description}. Allowed: {kind}. [default: {}]{environment}", preset.text())
}

fn environment_only() -> String {
    let lines = SETTINGS
        .iter()
        .filter(|setting| setting.flag.is_none())
        .filter_map(|setting| setting.environment.map(|name| format!("  {name}\n          {}\n", help(setting))));
    format!(
        "Environment only:\n{}\nFlags win over the environment; an empty variable counts as not set.",
        lines.collect::<String>()
    )
}

fn given(
    setting: &Setting,
    matches: &ArgMatches,
    environment: impl Fn(&str) -> Option<String>,
) -> Option<(String, Source)> {
    let typed = setting.flag.filter(|_| setting.kind != Kind::Switch).and_then(|flag| {
        let text = matches.get_one::<String>(flag)?;
        Some((text.clone(), Source::Flag(flag)))
    });
    typed.or_else(|| {
        let name = setting.environment?;
        let text = environment(name).filter(|text| !text.is_empty())?;
        Some((text, Source::Environment(name)))
    })
}

/// Clap's mistakes in one sentence each; help and version pass.
fn in_one_sentence(error: clap::Error) -> clap::Error {
    let context = |kind| match error.get(kind) {
        // What follows `=` may be a secret under a mistyped name.
        Some(ContextValue::String(text)) => text.split('=').next().unwrap_or_default().trim().to_owned(),
        Some(ContextValue::Strings(texts)) => texts.join(" or "),
        _ => String::new(),
    };
    let flag = || context(ContextKind::InvalidArg).split(' ').next().unwrap_or_default().to_owned();
    let sentence = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return error,
        ErrorKind::UnknownArgument => match context(ContextKind::SuggestedArg) {
            nothing if nothing.is_empty() => format!("{} is not known; fanout --help lists what is", flag()),
            suggestion => format!("{} is not known; did you mean {suggestion}?", flag()),
        },
        ErrorKind::InvalidSubcommand => {
            format!(
                "`{}` is not known; the subcommands are serve, doctor and token",
                context(ContextKind::InvalidSubcommand)
            )
        }
        ErrorKind::InvalidValue => format!("{} needs a value; fanout --help says which", flag()),
        ErrorKind::TooManyValues => format!("{} takes no value", flag()),
        ErrorKind::ArgumentConflict => format!("{} is given twice; give it once", flag()),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8; values are UTF-8 text".to_owned(),
        other => format!("{other}; fanout --help says what is understood"),
    };
    clap::Error::raw(error.kind(), format!("{sentence}\n"))
}
