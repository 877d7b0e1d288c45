//! HTTP requests to the server, over one connection that is kept.

use super::failure::{Cause, Failure};
use super::tls;
use crate::config::Secret;
use crate::config::client::Endpoint;
use crate::config::url::{Scheme, Url};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::{Agent, RequestBuilder};

/// To find a server, or to be sure that there is none.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// For an answer: the server gives up on brokers and shards after 10 s, and says so.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(45);

/// For an event of half a gigabyte over a slow line; the server itself gives up long before.
const BODY_TIME_MAX: Duration = Duration::from_secs(600);

/// Longest answer: every node's record of a busy target, and room for more.
pub(super) const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A server may hang up on a body that is longer than it takes, before it was heard. Shorter ones it hears out. (It could be
/// asked first, by `Expect: 100-continue`; but what some proxies answer to that is not understood by the library.)
const HEARD_BYTES: usize = 64 << 10;

/// What to do about a server that is not there.
const WHERE: &str = "is the server running there? --url says where it is";

/// The same about one that may not have heard a body out.
const WHERE_OR_TOO_LONG: &str =
    "is it longer than the server's --max-event, or the server not there? --url says where it is";

/// A server, asked over HTTP.
pub(crate) struct Requests<'a> {
    agent: Agent,
    url: &'a Url,
    /// Opens the private door.
    token: Option<&'a Secret>,
}

impl<'a> Requests<'a> {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// Where a server that speaks TLS could not be told from another.
    pub(super) fn new(server: &'a Endpoint) -> Result<Self, Failure> {
        let patient = bare()
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_send_body(Some(BODY_TIME_MAX))
            .timeout_recv_response(Some(ANSWER_TIME_MAX))
            .timeout_recv_body(Some(ANSWER_TIME_MAX));
        Self::of(&server.url, server.admin_token.as_ref(), patient)
    }

    /// The same for who waits no longer than this for the whole of an answer.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn within(patience: Duration, url: &'a Url, token: Option<&'a Secret>) -> Result<Self, Failure> {
        Self::of(url, token, bare().timeout_global(Some(patience)))
    }

    fn of(url: &'a Url, token: Option<&'a Secret>, config: ConfigBuilder<AgentScope>) -> Result<Self, Failure> {
        let config = if url.scheme == Scheme::Tls { config.tls_config(tls()?) } else { config };
        Ok(Self { agent: Agent::new_with_config(config.build()), url, token })
    }

    /// What a page says.
    ///
    /// # Errors
    /// Where there is no answer, or it is a refusal, or not that of such a server.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let request = self.agent.get(self.url.page(path));
        self.said(self.with_token(request).call(), WHERE)
    }

    /// Hands over a body, and what is said about it.
    ///
    /// # Errors
    /// The same. Without an answer nobody knows what became of it.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, Failure> {
        let request = self.agent.post(self.url.page(path)).content_type("text/plain; charset=utf-8");
        let advice = if body.len() > HEARD_BYTES { WHERE_OR_TOO_LONG } else { WHERE };
        self.said(self.with_token(request).send(body), advice)
    }

    fn with_token<Kind>(&self, request: RequestBuilder<Kind>) -> RequestBuilder<Kind> {
        match self.token {
            Some(token) => request.header("Authorization", format!("Bearer {}", token.expose())),
            None => request,
        }
    }

    /// What an answer says; `advice` is for whoever gets none.
    fn said<T: DeserializeOwned>(
        &self,
        outcome: Result<Response<ureq::Body>, ureq::Error>,
        advice: &str,
    ) -> Result<T, Failure> {
        let place = self.url.to_string();
        let failed = |error: ureq::Error| unanswered(&place, &error, advice);
        let mut response = outcome.map_err(failed)?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
        match response.status().as_u16() {
            status @ 200..=299 => serde_json::from_slice(&body).map_err(|error| {
                Failure::new(format!("{place} answers {status}, but not as a fanout server does: {error}"))
            }),
            status => Err(refusal(&place, status, &body)),
        }
    }
}

/// How the server and nobody else is asked, and every answer is one.
pub(super) fn bare() -> ConfigBuilder<AgentScope> {
    // Neither is part of a server, and both would see the token.
    let config = Agent::config_builder().max_redirects(0).proxy(None);
    config.http_status_as_error(false).user_agent(concat!("fanout/", env!("CARGO_PKG_VERSION")))
}

/// A text as a segment of a path, or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn refusal(place: &str, status: u16, body: &[u8]) -> Failure {
    let failure = Failure::refused(place, status, body);
    match status {
        // Between two lives of a server a proxy answers for it; and shards may be too busy to.
        502..=504 => Failure { cause: Cause::Unanswered, ..failure },
        401 | 403 => failure.with("what is sent is the ADMIN_TOKEN of the environment or the --config file"),
        _ => failure,
    }
}

fn unanswered(place: &str, error: &ureq::Error, advice: &str) -> Failure {
    let (reason, is_distrust) = match error {
        ureq::Error::Rustls(error) => (error.to_string(), true),
        ureq::Error::Io(error) => (error.to_string(), tls::is_error(error)),
        error => (error.to_string(), false),
    };
    let sentence = format!("{place} does not answer: {reason}");
    if is_distrust {
        Failure::new(sentence).with(tls::ADVICE)
    } else {
        Failure::of(Cause::Unanswered, sentence).with(advice)
    }
}

fn tls() -> Result<TlsConfig, Failure> {
    let roots = tls::roots()?;
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    let config = TlsConfig::builder().root_certs(RootCerts::from(roots.collect::<Vec<_>>()));
    Ok(config.unversioned_rustls_crypto_provider(tls::provider()).build())
}
