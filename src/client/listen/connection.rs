//! One connection to the server that comes back, in a thread of its own.

use super::ending::{After, Ending};
use super::message::{self, Event, Meaning};
use crate::client::failure::Failure;
use crate::client::pause::Pauses;
use crate::client::requests::encoded;
use crate::client::stream::{self, Stream, Way, is_pause};
use crate::config::client::Endpoint;
use crate::config::wish::{Listen, Notices};
use serde_json::json;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};
use tungstenite::http::Uri;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{ClientRequestBuilder, Error, Message, Utf8Bytes, WebSocket};

/// Longest message: the longest event of any server (`--max-event`, 512 MiB) in an envelope.
const MESSAGE_BYTES_MAX: usize = (512 << 20) + (1 << 20);

/// Between two looks whether anybody still wants to listen.
const LOOK: Duration = Duration::from_millis(250);

/// After so long without a word the server is asked for one.
const SILENCE: Duration = Duration::from_secs(30);

/// It is gone if it has not answered this long after the silence began.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// Who was connected for so long begins with short pauses again.
const STEADY: Duration = Duration::from_secs(5);

/// For the server's answer to a goodbye.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(750);

/// Whose events one connection brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Username(String),
    Channels(Vec<String>),
}

/// What a connection has to say.
#[derive(Debug)]
pub(super) enum Report {
    Event(Arc<Target>, Event),
    /// For whoever wonders what is going on.
    Note(Arc<Target>, String),
    /// It will not come back.
    Over(Failure),
}

/// One connection.
pub(super) struct Connection {
    pub(super) way: Way,
    pub(super) request: ClientRequestBuilder,
    pub(super) target: Arc<Target>,
    pub(super) notices: Notices,
    pub(super) reports: SyncSender<Report>,
    /// Disconnected once nobody wants to listen any more.
    pub(super) stopped: Receiver<()>,
}

/// Nobody wants to hear more.
struct Unheard;

impl Target {
    pub(super) fn all(order: &Listen) -> impl Iterator<Item = Self> {
        let channels = Some(order.channels.clone()).filter(|channels| !channels.is_empty()).map(Self::Channels);
        order.usernames.iter().cloned().map(Self::Username).chain(channels)
    }

    /// As notes call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Username(username) => username.clone(),
            Self::Channels(channels) => channels.join(", "),
        }
    }
}

/// How a connection for this target is asked for.
pub(super) fn request(server: &Endpoint, target: &Target, notices: Notices) -> Result<ClientRequestBuilder, Failure> {
    let meta = u8::from(notices == Notices::Wanted);
    let path = match target {
        Target::Username(username) => format!("/ws?username={}&meta={meta}", encoded(username)),
        Target::Channels(_) => format!("{}/ws?meta={meta}", server.flux_base_path),
    };
    let url = server.url.websocket(&path);
    let url: Uri = url.parse().map_err(|error| Failure::new(format!("{url} is no address: {error}")))?;
    let request = ClientRequestBuilder::new(url);
    Ok(match &server.client_token {
        Some(token) => request.with_header("Authorization", format!("Bearer {}", token.expose())),
        None => request,
    })
}

impl Connection {
    /// Connects, and comes back until nobody wants that or the server refuses.
    pub(super) fn stay(mut self) {
        let (mut pauses, mut said) = (Pauses::new(), String::new());
        loop {
            let begun = Instant::now();
            let (why, after) = match self.open().map_or_else(|ending| ending, |socket| self.follow(socket)) {
                Ending::Unwanted => return,
                Ending::Refused(failure) => return drop(self.reports.send(Report::Over(failure))),
                Ending::Lost { why, after } => (why, after),
            };
            if after == After::Moment || begun.elapsed() >= STEADY {
                pauses.reset();
                said.clear();
            }
            let pause = pauses.next(if let After::Asked(asked) = after { Some(asked) } else { None });
            // What goes wrong in the same way again and again is said once.
            if said != why && self.note(format!("{why}; coming back")).is_err() {
                return;
            }
            said = why;
            if self.stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn open(&self) -> Result<WebSocket<Stream>, Ending> {
        let place = self.way.url.to_string();
        let stream = self.way.connect().map_err(|error| Ending::lost(format!("{place} does not answer: {error}")))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX))
            // Rather the next pong at once than many together.
            .write_buffer_size(0);
        let opened = tungstenite::client::client_with_config(self.request.clone(), stream, Some(config));
        let (mut socket, _) = opened.map_err(|error| Ending::unopened(&place, error))?;
        let patient = stream::socket(socket.get_ref()).set_read_timeout(Some(LOOK));
        patient.map_err(|error| Ending::lost(error.to_string()))?;
        if let Target::Channels(channels) = &*self.target {
            for channel in channels {
                let text = json!({ "type": "subscribe", "channel": channel }).to_string();
                socket.send(Message::text(text)).map_err(|error| Ending::broken(&error))?;
            }
        }
        Ok(socket)
    }

    fn follow(&mut self, mut socket: WebSocket<Stream>) -> Ending {
        let (mut heard, mut is_asked) = (Instant::now(), false);
        let mut outcome = self.note("connected".to_owned());
        while outcome.is_ok() && self.stopped.try_recv() != Err(TryRecvError::Disconnected) {
            match socket.read() {
                Ok(Message::Text(text)) => match self.tell(text) {
                    Ok(None) => {}
                    Ok(Some(failure)) => return Ending::Refused(failure),
                    Err(unheard) => outcome = Err(unheard),
                },
                Ok(Message::Close(frame)) => {
                    drop(socket.flush());
                    return Ending::closed(frame.as_ref());
                }
                Ok(_) => {}
                Err(Error::Io(error)) if is_pause(&error) => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Ending::lost("the server says nothing any more");
                    }
                    if heard.elapsed() > SILENCE && !is_asked {
                        is_asked = true;
                        drop(socket.send(Message::Ping(Vec::new().into())));
                    }
                    continue;
                }
                Err(error) => return Ending::broken(&error),
            }
            (heard, is_asked) = (Instant::now(), false);
        }
        say_goodbye(socket);
        Ending::Unwanted
    }

    /// Reports what a message means; a failure is the end.
    fn tell(&self, text: Utf8Bytes) -> Result<Option<Failure>, Unheard> {
        let meaning = match *self.target {
            Target::Username(_) => message::of_username(text, self.notices),
            Target::Channels(_) => message::of_flux(&text),
        };
        match meaning {
            Meaning::Event(event) => self.report(Report::Event(Arc::clone(&self.target), event))?,
            Meaning::News(words) => self.note(words)?,
            Meaning::Nothing => {}
            Meaning::Refused(failure) => return Ok(Some(failure)),
        }
        Ok(None)
    }

    fn note(&self, words: String) -> Result<(), Unheard> {
        self.report(Report::Note(Arc::clone(&self.target), words))
    }

    fn report(&self, report: Report) -> Result<(), Unheard> {
        self.reports.send(report).map_err(|_| Unheard)
    }
}

/// Lets the server know that this is no accident, and hears its answer out if that is short.
fn say_goodbye(mut socket: WebSocket<Stream>) {
    let deadline = Instant::now() + GOODBYE_TIME_MAX;
    let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    if socket.close(Some(frame)).and_then(|()| socket.flush()).is_err() {
        return;
    }
    while Instant::now() < deadline {
        match socket.read() {
            Err(Error::Io(error)) if is_pause(&error) => {}
            Ok(Message::Close(_)) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
