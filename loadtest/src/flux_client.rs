//! One flux client: it subscribes, broadcasts and reads what it is told.

use crate::client::{Client, Refused};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::net::SocketAddr;
use tungstenite::{Error, Message};

/// Where flux clients connect unless the server was told otherwise.
const TARGET: &str = "/flux/ws";

/// What a flux client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It follows this channel now.
    Subscribed(String),
    /// It no longer follows this channel.
    Unsubscribed(String),
    /// Somebody else's broadcast.
    Message {
        /// Where it was broadcast.
        channel: String,
        /// JSON, byte for byte as it came.
        payload: String,
    },
    /// The answer to its ping.
    Pong,
    /// A refusal.
    Error {
        /// Which one, for programs.
        code: String,
        /// What it is about, where that is a channel.
        channel: Option<String>,
    },
    /// The server's own news, such as `fanout.gap`.
    Notice(String),
    /// Text that no flux server may send.
    Garbled(String),
}

/// A connected flux client.
#[derive(Debug)]
pub struct FluxClient {
    client: Client,
    id: String,
}

/// Every field that any frame of this family has.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "type")]
    kind: String,
    channel: Option<String>,
    /// `null` is a payload, too.
    #[serde(default, deserialize_with = "present")]
    payload: Option<Box<RawValue>>,
    timestamp: Option<u64>,
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Connected {
    #[serde(rename = "clientId")]
    client_id: String,
}

fn present<'a, D: Deserializer<'a>>(source: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(source).map(Some)
}

impl Told {
    /// A broadcast with this payload.
    pub fn message(channel: &str, payload: &str) -> Self {
        Self::Message { channel: channel.to_owned(), payload: payload.to_owned() }
    }

    /// A refusal that is not about a channel.
    pub fn error(code: &str) -> Self {
        Self::Error { code: code.to_owned(), channel: None }
    }

    /// A refusal about this channel.
    pub fn error_about(channel: &str, code: &str) -> Self {
        Self::Error { code: code.to_owned(), channel: Some(channel.to_owned()) }
    }

    /// What a text says.
    pub fn read(text: &str) -> Self {
        let fields = serde_json::from_str::<Fields>(text).ok();
        fields.and_then(Self::understand).unwrap_or_else(|| Self::Garbled(text.to_owned()))
    }

    fn understand(fields: Fields) -> Option<Self> {
        let Fields { kind, channel, payload, timestamp, code, message } = fields;
        match kind.as_str() {
            "subscribed" => Some(Self::Subscribed(channel?)),
            "unsubscribed" => Some(Self::Unsubscribed(channel?)),
            "message" => {
                timestamp?;
                Some(Self::message(&channel?, payload?.get()))
            }
            "pong" => timestamp.map(|_| Self::Pong),
            "error" => message.and(Some(Self::Error { code: code?, channel })),
            kind => kind.starts_with("fanout.").then(|| Self::Notice(kind.to_owned())),
        }
    }
}

impl FluxClient {
    /// Connects and reads which client it is.
    pub fn connect(address: SocketAddr) -> Result<Self, Refused> {
        Self::connect_to(address, TARGET)
    }

    /// Connects to `target` (path and query) and reads which client it is.
    pub fn connect_to(address: SocketAddr, target: &str) -> Result<Self, Refused> {
        let mut client = Client::connect(address, target)?;
        let first = client.text().ok_or_else(|| Refused::Broken("nothing came first".to_owned()))?;
        let id = read_id(&first).ok_or_else(|| Refused::Broken(format!("{first} came first")))?;
        Ok(Self { client, id })
    }

    /// Which client it is, as the server told it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says this, as it stands.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn say(&mut self, text: impl Into<String>) -> Result<(), Box<Error>> {
        self.client.send(Message::text(text.into()))
    }

    /// What it is told next; `None` once the connection ended or [`PATIENCE`](crate::PATIENCE) ran out.
    pub fn told(&mut self) -> Option<Told> {
        self.client.text().map(|text| Told::read(&text))
    }

    /// Says this, as it stands, and gives what it is told next.
    pub fn ask(&mut self, text: impl Into<String>) -> Option<Told> {
        self.say(text).ok()?;
        self.told()
    }

    /// Subscribes, and gives what it is told next.
    pub fn subscribe(&mut self, channel: &str) -> Option<Told> {
        self.ask(request("subscribe", channel))
    }

    /// Follows a channel.
    ///
    /// # Panics
    /// Where the server answers anything else than that it does.
    #[must_use]
    pub fn following(mut self, channel: &str) -> Self {
        assert_eq!(self.subscribe(channel), Some(Told::Subscribed(channel.to_owned())));
        self
    }

    /// Unsubscribes, and gives what it is told next.
    pub fn unsubscribe(&mut self, channel: &str) -> Option<Told> {
        self.ask(request("unsubscribe", channel))
    }

    /// Broadcasts a payload, which is JSON.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub fn broadcast(&mut self, channel: &str, payload: &str) -> Result<(), Box<Error>> {
        let channel = quoted(channel);
        self.say(format!(r#"{{"type":"broadcast","channel":{channel},"payload":{payload}}}"#))
    }

    /// Pings in JSON, and gives what it is told next.
    pub fn ping(&mut self) -> Option<Told> {
        self.ask(r#"{"type":"ping"}"#)
    }

    /// The connection underneath.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }
}

fn request(kind: &str, channel: &str) -> String {
    format!(r#"{{"type":"{kind}","channel":{}}}"#, quoted(channel))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn read_id(first: &str) -> Option<String> {
    let fields = serde_json::from_str::<Fields>(first).ok().filter(|fields| fields.kind == "connected")?;
    fields.timestamp?;
    let connected: Connected = serde_json::from_str(fields.payload?.get()).ok()?;
    Some(connected.client_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_kept_as_it_came() {
        for payload in [r#"{ "a":1e400,"a" : "\ud800" }"#, "[ ]", "null", "12345678901234567890123"] {
            let text = format!(r#"{{"type":"message","channel":"c","payload": {payload} ,"timestamp":1}}"#);
            assert_eq!(Told::read(&text), Told::message("c", payload));
        }
    }

    #[test]
    fn a_frame_without_one_of_its_fields_is_garbled() {
        let table = [
            r#"{"type":"subscribed"}"#,
            r#"{"type":"pong"}"#,
            r#"{"type":"error","code":"forbidden"}"#,
            r#"{"type":"message","channel":"c","payload":1}"#,
            r#"{"type":"message","channel":"c","timestamp":1}"#,
            r#"{"type":"news"}"#,
            "{}",
            "",
        ];
        for text in table {
            assert_eq!(Told::read(text), Told::Garbled(text.to_owned()));
        }
    }
}
