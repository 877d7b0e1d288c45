//! What is wanted of a running server: what may be typed behind `publish`, `listen` and `trace`, and what it means.

use super::form::Form;
use super::refusal::Refusal;
use super::span::Span;
use super::words::{option, switch, text};
use clap::{Arg, ArgAction, ArgMatches};
use std::time::Duration;

/// Connections of one `fanout listen`, each with a thread: more than anybody can read.
const NAMES_MAX: usize = 256;

/// The ways to say whose events are to be traced: just one of them.
const TARGETS: [(&str, &str, &str); 3] = [
    ("username", "NAME", "Whose events"),
    ("channel", "NAME", "The flux channel whose events"),
    ("connection", "ID", "The connection whose events, by its id of /admin/connections or of another trace"),
];

/// One of the subcommands, with what was typed behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `fanout publish`
    Publish(Publish),
    /// `fanout listen`
    Listen(Listen),
    /// `fanout trace`
    Trace(TraceWish),
}

/// What is to be published to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The username.
    pub username: String,
    /// The event; `None` reads events from standard input, one a line.
    pub event: Option<String>,
    /// How much is said about it.
    pub talk: Talk,
}

/// How much is said beside errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// What became of it.
    Receipt,
    /// Nothing.
    Silence,
}

/// Whether the server's own notices are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notices {
    /// `meta=1`
    Wanted,
    /// Events only.
    Unwanted,
}

/// When it is enough; without either never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Until {
    /// After so many events: at least one.
    pub count: Option<u64>,
    /// After so long.
    pub time: Option<Duration>,
}

/// Whose events are to be printed; at least one name or channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Each has a connection of its own.
    pub usernames: Vec<String>,
    /// All on one connection.
    pub channels: Vec<String>,
    /// How events are printed.
    pub form: Form,
    /// Whether notices are.
    pub notices: Notices,
    /// When it is enough.
    pub until: Until,
}

/// Whose events are to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceWish {
    /// Whose.
    pub whose: Whose,
    /// How records are printed.
    pub form: Form,
    /// When it is enough.
    pub until: Until,
}

/// Whom a trace is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's of this name.
    Username(String),
    /// Everybody's who follows this channel.
    Channel(String),
    /// That of one connection, by its id of `/admin/connections`.
    Connection(String),
}

pub(super) fn publish_arguments() -> Vec<Arg> {
    let username = Arg::new("USERNAME")
        .required(true)
        .help("To whom. Only usernames are published to over HTTP: to a flux channel clients and the broker publish");
    let event = Arg::new("EVENT").required(true).allow_negative_numbers(true).help(
        "The event as it is to arrive; - reads events from standard input, one a line, until its end or a refusal",
    );
    vec![username, event, switch("quiet", "Says nothing but errors"), url()]
}

pub(super) fn listen_arguments() -> Vec<Arg> {
    let usernames = Arg::new("USERNAME").num_args(0..).help("Whose events; each has a connection of its own");
    let channels = option("channel", "NAME", "A flux channel; may be given several times").action(ArgAction::Append);
    let meta = switch("meta", "Asks for the server's notices, such as gaps, and prints them as errors are");
    let json = switch("json", "Prints {\"at\":…,\"username\":…,\"event\":…} a line, for channels with \"channel\"");
    [usernames, channels, meta, json].into_iter().chain(until("Ends after so many events")).collect()
}

pub(super) fn trace_arguments() -> Vec<Arg> {
    let targets = TARGETS.into_iter().map(|(name, unit, help)| {
        let others = TARGETS.iter().map(|(other, ..)| *other).filter(|other| *other != name).collect::<Vec<_>>();
        option(name, unit, help).required_unless_present_any(others.clone()).conflicts_with_all(others)
    });
    let json = switch("json", "Prints the server's records, one a line");
    targets.chain([json]).chain(until("Ends after so many events, with what became of them")).collect()
}

fn until(count: &'static str) -> [Arg; 3] {
    let count = option("count", "N", count);
    [count, option("for", "DURATION", "Ends after so long, such as 10s"), url()]
}

fn url() -> Arg {
    option("url", "URL", "Where the server is: http(s)://host[:port][/base] [default: where it listens]")
}

pub(super) fn publish(words: &ArgMatches) -> Wish {
    let event = text(words, "EVENT").filter(|event| event != "-");
    let talk = if words.get_flag("quiet") { Talk::Silence } else { Talk::Receipt };
    Wish::Publish(Publish { username: text(words, "USERNAME").unwrap_or_default(), event, talk })
}

pub(super) fn listen(words: &ArgMatches) -> Result<Wish, Refusal> {
    let texts = |name: &str| words.get_many(name).unwrap_or_default().cloned().collect::<Vec<String>>();
    let (usernames, channels) = (texts("USERNAME"), texts("channel"));
    match usernames.len() {
        0 if channels.is_empty() => {
            let sentence = "whose events are meant? Name a username or a --channel, as in fanout listen alice";
            return Err(Refusal(sentence.to_owned()));
        }
        names if names > NAMES_MAX => {
            return Err(Refusal(format!("{names} usernames are too many; allowed: {NAMES_MAX} at most")));
        }
        _ => {}
    }
    let notices = if words.get_flag("meta") { Notices::Wanted } else { Notices::Unwanted };
    Ok(Wish::Listen(Listen { usernames, channels, form: Form::of(words), notices, until: Until::of(words)? }))
}

pub(super) fn trace(words: &ArgMatches) -> Result<Wish, Refusal> {
    let whose = text(words, "username").map(Whose::Username);
    let whose = whose.or_else(|| text(words, "channel").map(Whose::Channel));
    let whose = whose.unwrap_or_else(|| Whose::Connection(text(words, "connection").unwrap_or_default()));
    Ok(Wish::Trace(TraceWish { whose, form: Form::of(words), until: Until::of(words)? }))
}

impl Until {
    fn of(words: &ArgMatches) -> Result<Self, Refusal> {
        let count = text(words, "count").as_deref().map(count).transpose()?;
        Ok(Self { count, time: text(words, "for").as_deref().map(time).transpose()? })
    }
}

fn count(text: &str) -> Result<u64, Refusal> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| Refusal(format!("--count is `{}`; allowed: a number from 1 on", text.escape_debug())))
}

fn time(text: &str) -> Result<Duration, Refusal> {
    let span = Span::parse(text).map(|span| span.0).filter(|span| !span.is_zero());
    span.ok_or_else(|| {
        Refusal(format!("--for is `{}`; allowed: a duration such as 10s, 500ms or 2m", text.escape_debug()))
    })
}
