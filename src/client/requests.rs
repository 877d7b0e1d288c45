//! HTTP requests to the server, over one connection that is kept.

use super::failure::Failure;
use super::tls;
use crate::config::client::Endpoint;
use crate::config::url::Scheme;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// To find a server, or to be sure that there is none.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// For an answer: the server gives up on brokers and shards after 10 s, and says so.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(45);

/// For an event of half a gigabyte over a slow line; the server itself gives up long before.
const BODY_TIME_MAX: Duration = Duration::from_secs(600);

/// Longest answer: every node's record of a busy target, and room for more.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A server may hang up on a body that is longer than it takes, before it was heard. Shorter ones it hears out. (It could be
/// asked first, by `Expect: 100-continue`; but what some proxies answer to that is not understood by the library.)
const HEARD_BYTES: usize = 64 << 10;

/// What to do about a server that is not there.
const WHERE: &str = "is the server running there? --url says where it is";

/// A server, asked over HTTP.
pub(super) struct Requests<'a> {
    agent: Agent,
    server: &'a Endpoint,
}

/// What it has answered.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Vec<u8>,
    place: String,
}

impl<'a> Requests<'a> {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// Where a server that speaks TLS could not be told from another.
    pub(super) fn new(server: &'a Endpoint) -> Result<Self, Failure> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Neither is part of a server, and both would see the token.
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_send_body(Some(BODY_TIME_MAX))
            .timeout_recv_response(Some(ANSWER_TIME_MAX))
            .timeout_recv_body(Some(ANSWER_TIME_MAX))
            .user_agent(concat!("fanout/", env!("CARGO_PKG_VERSION")));
        let config = if server.url.scheme == Scheme::Tls { config.tls_config(tls()?) } else { config };
        Ok(Self { agent: Agent::new_with_config(config.build()), server })
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// Where there is no answer.
    pub(super) fn get(&self, path: &str) -> Result<Answer, Failure> {
        let mut request = self.agent.get(self.server.url.page(path));
        if let Some(bearer) = self.bearer() {
            request = request.header("Authorization", bearer);
        }
        self.answer(request.call())
    }

    /// Hands over a body.
    ///
    /// # Errors
    /// Where there is no answer: nobody knows what became of it.
    pub(super) fn post(&self, path: &str, body: &[u8]) -> Result<Answer, Failure> {
        let mut request = self.agent.post(self.server.url.page(path));
        if let Some(bearer) = self.bearer() {
            request = request.header("Authorization", bearer);
        }
        let answer = self.answer(request.content_type("text/plain; charset=utf-8").send(body));
        answer.map_err(|failure| match failure {
            Failure::Unanswered { sentence, .. } if body.len() > HEARD_BYTES => {
                let hint =
                    "is it longer than the server's --max-event, or the server not there? --url says where it is";
                Failure::Unanswered { sentence, hint: Some(hint.to_owned()) }
            }
            failure => failure,
        })
    }

    fn bearer(&self) -> Option<String> {
        self.server.admin_token.as_ref().map(|token| format!("Bearer {}", token.expose()))
    }

    fn answer(&self, outcome: Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer, Failure> {
        let place = self.server.url.to_string();
        let failed = |error: ureq::Error| unanswered(&place, &error);
        let mut response = outcome.map_err(failed)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
        Ok(Answer { status, body, place })
    }
}

impl Answer {
    /// What a good answer says.
    ///
    /// # Errors
    /// The server's refusal, or that this is no answer of such a server.
    pub(super) fn said<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if !(200..300).contains(&self.status) {
            return Err(self.refusal());
        }
        let what = || format!("{} answers {}, but not as a fanout server does", self.place, self.status);
        serde_json::from_slice(&self.body).map_err(|error| Failure::new(format!("{}: {error}", what())))
    }

    fn refusal(&self) -> Failure {
        let failure = Failure::refused(&self.place, self.status, &self.body);
        match self.status {
            // Between two lives of a server a proxy answers for it; and shards may be too busy to.
            502..=504 => match failure {
                Failure::Said { sentence, hint } => Failure::Unanswered { sentence, hint },
                failure => failure,
            },
            401 | 403 => failure.with("what is sent is the ADMIN_TOKEN of the environment or the --config file"),
            _ => failure,
        }
    }
}

/// A text as a segment of a path, or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn unanswered(place: &str, error: &ureq::Error) -> Failure {
    let say = |reason: String| format!("{place} does not answer: {reason}");
    match error {
        ureq::Error::Rustls(error) => Failure::new(say(error.to_string())).with(tls::ADVICE),
        ureq::Error::Io(error) if tls::is_error(error) => Failure::new(say(error.to_string())).with(tls::ADVICE),
        ureq::Error::Io(error) => {
            Failure::Unanswered { sentence: say(error.to_string()), hint: Some(WHERE.to_owned()) }
        }
        error => Failure::Unanswered { sentence: say(error.to_string()), hint: Some(WHERE.to_owned()) },
    }
}

fn tls() -> Result<TlsConfig, Failure> {
    let roots = tls::roots()?;
    let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned());
    let config = TlsConfig::builder().root_certs(RootCerts::from(roots.collect::<Vec<_>>()));
    Ok(config.unversioned_rustls_crypto_provider(tls::provider()).build())
}
