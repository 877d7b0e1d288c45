//! What the subcommands that speak with a running server were asked for: `publish`, `listen`, `trace`.

use super::args::{Arguments, Refusal};
use super::meaning;
use super::secret::Secret;
use super::span::Span;
use super::table::Key;
use super::url::Url;
use clap::{Arg, ArgAction, ArgMatches};
use std::time::Duration;

/// Holds the token of whoever listens: a flag would stand in the list of processes.
pub(super) const TOKEN_VARIABLE: &str = "FANOUT_TOKEN";

/// Connections of one `fanout listen`, each with a thread: more than anybody can read.
const NAMES_MAX: usize = 256;

/// The settings that say where a server of this machine is and what its topics are called.
pub(super) const SETTINGS: &[Key] =
    &[Key::Config, Key::Profile, Key::Listen, Key::Port, Key::WorkflowPrefix, Key::ChannelPrefix, Key::FluxBasePath];

/// What is wanted of which server.
#[derive(Clone, Debug)]
pub struct ClientOrder {
    /// Which server.
    pub server: Endpoint,
    /// What of it.
    pub wish: Wish,
}

/// A running server, and what opens it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where it is.
    pub url: Url,
    /// What the flux family's paths begin with.
    pub flux_base_path: String,
    /// What stands before the username in the names of topics.
    pub workflow_prefix: String,
    /// What stands before the channel in the names of topics.
    pub channel_prefix: String,
    /// Opens the private door; without one only a server of this machine opens it.
    pub admin_token: Option<Secret>,
    /// Whom a client of it is.
    pub client_token: Option<Secret>,
}

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

/// How events and records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are, or for people.
    Plain,
    /// One JSON object a line.
    Json,
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

/// What was typed, before the settings say where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientWords {
    url: Option<String>,
    count: Option<String>,
    time: Option<String>,
    wish: Wish,
}

impl ClientWords {
    pub(super) fn publish(matches: &ArgMatches) -> Self {
        let event = Some(text(matches, "EVENT").unwrap_or_default()).filter(|event| event != "-");
        let talk = if matches.get_flag("quiet") { Talk::Silence } else { Talk::Receipt };
        let username = text(matches, "USERNAME").unwrap_or_default();
        Self::of(matches, Wish::Publish(Publish { username, event, talk }))
    }

    pub(super) fn listen(matches: &ArgMatches) -> Self {
        let texts = |name: &str| matches.get_many::<String>(name).unwrap_or_default().cloned().collect();
        let notices = if matches.get_flag("meta") { Notices::Wanted } else { Notices::Unwanted };
        let (usernames, channels) = (texts("USERNAME"), texts("channel"));
        let (form, until) = (form(matches), Until::default());
        Self::of(matches, Wish::Listen(Listen { usernames, channels, form, notices, until }))
    }

    pub(super) fn trace(matches: &ArgMatches) -> Self {
        let whose = text(matches, "username").map(Whose::Username);
        let whose = whose.or_else(|| text(matches, "channel").map(Whose::Channel));
        let whose = whose.unwrap_or_else(|| Whose::Connection(text(matches, "connection").unwrap_or_default()));
        Self::of(matches, Wish::Trace(TraceWish { whose, form: form(matches), until: Until::default() }))
    }

    fn of(matches: &ArgMatches, wish: Wish) -> Self {
        Self { url: text(matches, "url"), count: text(matches, "count"), time: text(matches, "for"), wish }
    }

    /// What is wanted, once the settings are known.
    ///
    /// # Errors
    /// One sentence about the first mistake.
    pub(super) fn order(
        &self,
        arguments: &Arguments,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<ClientOrder, Refusal> {
        let flux = meaning::flux(arguments)?;
        let server = Endpoint {
            url: self.url(arguments)?,
            flux_base_path: flux.base_path,
            workflow_prefix: arguments.required(Key::WorkflowPrefix, meaning::prefix)?,
            channel_prefix: flux.channel_prefix,
            admin_token: arguments.optional(Key::AdminToken, meaning::token)?,
            client_token: client_token(environment(TOKEN_VARIABLE))?,
        };
        let count = self.count.as_deref().map(count).transpose()?;
        let until = Until { count, time: self.time.as_deref().map(time).transpose()? };
        let mut wish = self.wish.clone();
        match &mut wish {
            Wish::Publish(_) => {}
            Wish::Trace(trace) => trace.until = until,
            Wish::Listen(listen) => {
                listen.until = until;
                check_names(listen)?;
            }
        }
        Ok(ClientOrder { server, wish })
    }

    fn url(&self, arguments: &Arguments) -> Result<Url, Refusal> {
        // It is not repeated: some would write a password into it.
        let shape = "--url does not name a server; allowed: http(s)://host[:port][/base] without user and query";
        let Some(text) = &self.url else {
            let listen = meaning::listen(arguments)?;
            let unknown =
                || Refusal(format!("the server listens on {listen}, which names no port; say which with --url"));
            return Url::of_listener(listen).ok_or_else(unknown);
        };
        Url::parse(text).ok_or_else(|| Refusal(shape.to_owned()))
    }
}

fn check_names(listen: &Listen) -> Result<(), Refusal> {
    match listen.usernames.len() {
        0 if listen.channels.is_empty() => {
            Err(Refusal("whose events are meant? Name a username or a --channel, as in fanout listen alice".to_owned()))
        }
        names if names > NAMES_MAX => {
            Err(Refusal(format!("{names} usernames are too many; allowed: {NAMES_MAX} at most")))
        }
        _ => Ok(()),
    }
}

fn client_token(text: Option<String>) -> Result<Option<Secret>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(Secret::new(text)));
    }
    Err(Refusal(format!("{TOKEN_VARIABLE} is ***; allowed: a token, printable and without spaces")))
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

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.try_get_one::<String>(name).ok().flatten().cloned()
}

fn form(matches: &ArgMatches) -> Form {
    if matches.get_flag("json") { Form::Json } else { Form::Plain }
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
    let targets = [
        option("username", "NAME", "Whose events"),
        option("channel", "NAME", "The flux channel whose events"),
        option("connection", "ID", "The connection whose events, by its id of /admin/connections or of another trace"),
    ];
    // Just one of the three.
    let names = ["username", "channel", "connection"];
    let targets = targets.into_iter().map(move |target| {
        let others = names.into_iter().filter(|name| *name != target.get_id().as_str()).collect::<Vec<_>>();
        target.required_unless_present_any(others.clone()).conflicts_with_all(others)
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

fn option(name: &'static str, unit: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(unit).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
