//! One ordinary WebSocket client.

use crate::patience::PATIENCE;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Error, HandshakeError, Message, WebSocket};

/// What a client got next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping; its pong is on its way.
    Ping,
    /// A pong.
    Pong(Vec<u8>),
    /// The end: the code of the server's close frame (1005 where it has none), 1006 where there was no close frame.
    Closed(u16),
    /// Nothing, for as long as the caller wanted to wait.
    Silence,
}

/// Why a client has no connection.
#[derive(Debug)]
pub enum Refused {
    /// The server answered, but not with 101: status and body.
    Status(u16, String),
    /// There was no proper answer.
    Broken(String),
}

/// A connected client. Answers pings by itself, as browsers do, while it waits in [`Client::receive`].
#[derive(Debug)]
pub struct Client {
    socket: WebSocket<TcpStream>,
}

impl Client {
    /// Listens for the events of `username` as a browser does.
    pub fn listen(address: SocketAddr, username: &str) -> Result<Self, Refused> {
        Self::connect(address, &format!("/ws?username={}", utf8_percent_encode(username, NON_ALPHANUMERIC)))
    }

    /// Connects to `target` (path and query) as it stands.
    pub fn connect(address: SocketAddr, target: &str) -> Result<Self, Refused> {
        let stream =
            TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| Refused::Broken(error.to_string()))?;
        let prepared = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        prepared.map_err(|error| Refused::Broken(error.to_string()))?;
        // No limit of its own: the server's limits are what is tested.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = format!("ws://{address}{target}");
        match tungstenite::client::client_with_config(url, stream, Some(config)) {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(HandshakeError::Failure(Error::Http(response))) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err(Refused::Status(response.status().as_u16(), String::from_utf8_lossy(body).into_owned()))
            }
            Err(error) => Err(Refused::Broken(error.to_string())),
        }
    }

    /// What comes next, for at most `patience`.
    pub fn receive(&mut self, patience: Duration) -> Received {
        // A timeout of zero would mean none at all.
        let patience = patience.max(Duration::from_millis(1));
        if self.socket.get_ref().set_read_timeout(Some(patience)).is_err() {
            return Received::Closed(1006);
        }
        match self.socket.read() {
            Ok(Message::Text(text)) => Received::Text(text.as_str().to_owned()),
            Ok(Message::Binary(bytes)) => Received::Binary(bytes.to_vec()),
            Ok(Message::Ping(_) | Message::Frame(_)) => Received::Ping,
            Ok(Message::Pong(bytes)) => Received::Pong(bytes.to_vec()),
            Ok(Message::Close(frame)) => self.finish_close(frame),
            Err(Error::Io(error)) if is_silence(&error) => Received::Silence,
            Err(_) => Received::Closed(1006),
        }
    }

    /// The next text, pings aside; `None` once the connection ended or [`PATIENCE`] ran out.
    pub fn text(&mut self) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.receive(deadline.saturating_duration_since(Instant::now())) {
                Received::Text(text) => return Some(text),
                Received::Ping | Received::Pong(_) => {}
                Received::Binary(_) | Received::Closed(_) | Received::Silence => return None,
            }
        }
    }

    /// The code this connection ends with, whatever comes before; `None` where it does not end within [`PATIENCE`].
    pub fn close_code(&mut self) -> Option<u16> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.receive(deadline.saturating_duration_since(Instant::now())) {
                Received::Closed(code) => return Some(code),
                Received::Silence => return None,
                _ => {}
            }
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn send(&mut self, message: Message) -> Result<(), Box<Error>> {
        self.socket.send(message).map_err(Box::new)
    }

    /// Closes as browsers do (code 1000) and waits for the server's answer; gives the code it echoed.
    pub fn close(mut self) -> Option<u16> {
        let frame = CloseFrame { code: 1000.into(), reason: "".into() };
        self.socket.close(Some(frame)).ok()?;
        self.close_code()
    }

    fn finish_close(&mut self, frame: Option<CloseFrame>) -> Received {
        // Sends the echo (RFC 6455 §5.5.1); the server may have gone already.
        drop(self.socket.flush());
        Received::Closed(frame.map_or(1005, |frame| frame.code.into()))
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
