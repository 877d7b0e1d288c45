//! Which server `publish`, `listen` and `trace` speak with, and what opens it.

use super::args::Arguments;
use super::key::Key;
use super::meaning;
use super::refusal::Refusal;
use super::secret::Secret;
use super::url::Url;
use super::wish::Wish;
use super::words::text;
use clap::ArgMatches;

/// Holds the token of whoever listens: a flag would stand in the list of processes.
pub(super) const TOKEN_VARIABLE: &str = "FANOUT_TOKEN";

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

impl ClientOrder {
    /// The wish, and of which server by what was typed, the settings and the environment.
    ///
    /// # Errors
    /// One sentence about the first mistake.
    pub(super) fn of(
        wish: Wish,
        words: &ArgMatches,
        arguments: &Arguments,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Refusal> {
        let flux = meaning::flux(arguments)?;
        let server = Endpoint {
            url: url(words, arguments)?,
            flux_base_path: flux.base_path,
            workflow_prefix: arguments.required(Key::WorkflowPrefix, meaning::prefix)?,
            channel_prefix: flux.channel_prefix,
            admin_token: arguments.optional(Key::AdminToken, meaning::token)?,
            client_token: client_token(environment(TOKEN_VARIABLE))?,
        };
        Ok(Self { server, wish })
    }
}

fn url(words: &ArgMatches, arguments: &Arguments) -> Result<Url, Refusal> {
    let Some(text) = text(words, "url") else {
        let listen = meaning::listen(arguments)?;
        let unknown = || Refusal(format!("the server listens on {listen}, which names no port; say which with --url"));
        return Url::of_listener(listen).ok_or_else(unknown);
    };
    Url::typed("url", &text)
}

fn client_token(text: Option<String>) -> Result<Option<Secret>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(Secret::new(text)));
    }
    Err(Refusal(format!("{TOKEN_VARIABLE} is ***; allowed: a token, printable and without spaces")))
}
