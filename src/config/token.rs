//! What `fanout token` is asked for: a token for tests.

use super::auth::Auth;
use super::refusal::Refusal;
use super::secret::Secret;
use super::span::Span;
use super::words::{option, text};
use clap::{Arg, ArgMatches};
use std::time::Duration;

/// The longest life of a token for tests: ten years.
const LIFE_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A token that is to be made.
#[derive(Clone, Debug)]
pub struct TokenOrder {
    /// What it is signed with.
    pub secret: Secret,
    /// Whom it is for; not empty.
    pub subject: String,
    /// Further usernames; none is empty.
    pub usernames: Vec<String>,
    /// How long it is good: more than nothing.
    pub lifetime: Duration,
}

/// What may be typed behind `fanout token` beside the settings.
pub(super) fn arguments() -> Vec<Arg> {
    vec![
        option("sub", "NAME", "Whom it is for: the username"),
        option("usernames", "LIST", "Further usernames it is good for, between commas"),
        option("expires", "DURATION", "How long it is good").default_value("1h"),
    ]
}

impl TokenOrder {
    pub(super) fn of(auth: &Auth, words: &ArgMatches) -> Result<Self, Refusal> {
        let refuse = |sentence: &str| Refusal(sentence.to_owned());
        let expires = text(words, "expires").unwrap_or_default();
        let lifetime = Span::parse(&expires).map(|span| span.0);
        Ok(Self {
            secret: auth.secret.clone().ok_or_else(|| {
                refuse("fanout token signs with JWT_HS256_SECRET, which is not set; give the server's, of 32 bytes or more")
            })?,
            subject: text(words, "sub")
                .filter(|name| !name.is_empty())
                .ok_or_else(|| refuse("--sub is missing; name whom the token is for, as in --sub alice"))?,
            usernames: text(words, "usernames").as_deref().map(usernames).unwrap_or_default(),
            lifetime: lifetime.filter(|life| !life.is_zero() && *life <= LIFE_MAX).ok_or_else(|| {
                Refusal(format!(
                    "--expires is `{}`; allowed: a duration of ten years at most, such as 90s or 1h",
                    expires.escape_debug()
                ))
            })?,
        })
    }
}

/// The names of a comma list; nobody is called nothing.
fn usernames(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
