//! A WebSocket client of its own name that comes through the proxy, and what it notices.

use crate::auth::{self, Identity};
use crate::client::{Failure, Stream, Way, is_pause, socket};
use crate::config::doctor::Through;
use crate::config::url::Scheme;
use crate::config::{Config, Secret};
use crate::doctor::countdown::Countdown;
use crate::ear::wall_clock;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tungstenite::http::Uri;
use tungstenite::{ClientRequestBuilder, Error, HandshakeError, Message, WebSocket};
use uuid::Uuid;

/// Between two looks at the time.
const LOOK: Duration = Duration::from_millis(100);

/// How much longer than the silence its token is good.
const TOKEN_RESERVE: Duration = Duration::from_secs(60);

/// Why there is no guest.
#[derive(Debug)]
pub(super) enum Outside {
    /// Nobody has answered, or not as one who speaks WebSocket or TLS.
    Unheard(Failure),
    /// Another answer than 101.
    Answered(u16, Vec<u8>),
}

/// A connection that is open.
pub(super) struct Guest {
    pub(super) username: String,
    socket: WebSocket<Stream>,
}

/// How a silence went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// Of the server.
    pub(super) pings: usize,
    /// How long it was, or since when nothing had come when it ended.
    pub(super) length: Duration,
    /// What ended it before its time.
    pub(super) end: Option<String>,
}

impl Guest {
    /// Connects under a new name, where tokens are asked for with one that the secret of the settings has signed.
    pub(super) fn come(config: &Config, through: &Through) -> Result<Self, Outside> {
        let place = &through.url;
        let username = format!("fanout-doctor-{}", Uuid::new_v4().simple());
        let uri: Uri = place
            .websocket(&format!("/ws?username={username}"))
            .parse()
            .map_err(|error| Outside::Unheard(Failure::new(format!("{place} is no address: {error}"))))?;
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(secret) = config.auth.secret.as_ref().filter(|_| config.auth.is_required) {
            let lifetime = through.patience + TOKEN_RESERVE;
            request = request.with_header("Authorization", format!("Bearer {}", token(&username, lifetime, secret)));
        }
        let way = Way::to(place).map_err(Outside::Unheard)?;
        loop {
            let stream = way.connect().map_err(|error| Outside::unheard(through, &error.to_string()))?;
            match tungstenite::client::client_with_config(request.clone(), stream, None) {
                Ok((socket, _)) => return Ok(Self { username, socket }),
                Err(HandshakeError::Interrupted(_)) => return Err(Outside::unheard(through, "it takes too long")),
                Err(HandshakeError::Failure(Error::Http(answer))) => {
                    let status = answer.status().as_u16();
                    return Err(Outside::Answered(status, answer.into_body().unwrap_or_default()));
                }
                // A signal; the kernel does not take up such a read again.
                Err(HandshakeError::Failure(Error::Io(error))) if error.kind() == ErrorKind::Interrupted => {}
                Err(HandshakeError::Failure(error)) => return Err(Outside::unheard(through, &error.to_string())),
            }
        }
    }

    /// Our own address, as whoever is at the other end sees it.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        socket(self.socket.get_ref()).local_addr()
    }

    /// How long this text takes to arrive from `since` on; nothing if it does not within this time.
    pub(super) fn hear(&mut self, text: &str, since: Instant, time: Duration) -> Option<Duration> {
        self.await_message(|message| matches!(message, Message::Text(heard) if heard.as_str() == text), since, time)
    }

    /// How long a ping takes to be answered; nothing if it is not within this time.
    pub(super) fn ping(&mut self, time: Duration) -> Option<Duration> {
        let since = Instant::now();
        self.socket.send(Message::Ping(self.username.clone().into_bytes().into())).ok()?;
        let name = self.username.clone();
        self.await_message(|message| matches!(message, Message::Pong(echo) if *echo == name.as_bytes()), since, time)
    }

    fn await_message(
        &mut self,
        is_awaited: impl Fn(&Message) -> bool,
        since: Instant,
        time: Duration,
    ) -> Option<Duration> {
        while since.elapsed() < time {
            match self.next(LOOK) {
                Ok(Some(message)) if is_awaited(&message) => return Some(since.elapsed()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Says nothing of its own for so long, and answers pings as every client does.
    pub(super) fn fall_silent(mut self, patience: Duration) -> Silence {
        let mut countdown = Countdown::of("waiting in silence behind the proxy", patience);
        let (begun, mut heard, mut pings) = (Instant::now(), Instant::now(), 0);
        loop {
            let left = countdown.left();
            if left.is_zero() {
                return Silence { pings, length: begun.elapsed(), end: None };
            }
            match self.next(left.min(LOOK)) {
                Ok(None) => continue,
                Ok(Some(Message::Ping(_))) => pings += 1,
                Ok(Some(Message::Close(frame))) => {
                    let end = frame.map_or_else(
                        || "closed without a code".to_owned(),
                        |frame| format!("closed with {}: {}", u16::from(frame.code), frame.reason),
                    );
                    return Silence { pings, length: heard.elapsed(), end: Some(end) };
                }
                Ok(Some(_)) => {}
                Err(error) => return Silence { pings, length: heard.elapsed(), end: Some(error.to_string()) },
            }
            heard = Instant::now();
        }
    }

    /// What comes next, if something does within this time.
    fn next(&mut self, time: Duration) -> Result<Option<Message>, Error> {
        socket(self.socket.get_ref()).set_read_timeout(Some(time))?;
        match self.socket.read() {
            Ok(message) => Ok(Some(message)),
            Err(Error::Io(error)) if is_pause(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Outside {
    fn unheard(through: &Through, why: &str) -> Self {
        let failure = Failure::new(format!("{} does not answer as a WebSocket server does: {why}", through.url));
        let advice = match through.url.scheme {
            Scheme::Plain => "start the proxy, or name with --through where it is",
            Scheme::Tls => "start the proxy, or name with --through where it is; SSL_CERT_FILE may name whom to trust",
        };
        Self::Unheard(failure.with(advice))
    }
}

fn token(username: &str, lifetime: Duration, secret: &Secret) -> String {
    let identity = Identity { subject: username.to_owned(), usernames: Vec::new(), lifetime };
    auth::issue(&identity, secret.expose(), wall_clock())
}
