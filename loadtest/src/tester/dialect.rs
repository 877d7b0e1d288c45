//! What a family of clients says and hears on its WebSocket, beyond the frames: one line in the table each.
//!
//! | name | path | subscribes with | publishes by |
//! |---|---|---|---|
//! | `workflow` | `/ws?username={user}` | the upgrade | Redis |
//! | `flux` | `/flux/ws` | `subscribe` to {channel} | Redis, or a WebSocket client |
//! | `nchan` | `/sub/{channel}` | the upgrade | HTTP |
//! | `nats` | `/` | `SUB {channel} 1` | NATS over TCP |
//! | `mqtt` | `/mqtt` | `SUBSCRIBE {channel}` | MQTT over TCP |
//! | `ws` | `/?username={user}` | the upgrade | a WebSocket client |
//! | `socketio` | `/socket.io/…&username={user}` | `40` | a WebSocket client |

mod flux;
mod mqtt;
mod nats;
mod nchan;
mod socketio;
mod workflow;
mod ws;

use serde::Deserialize;

/// One family of clients, ours or another server's.
pub trait Dialect: Send + Sync {
    /// The name for `--protocol`.
    fn name(&self) -> &'static str;

    /// `--url` where none is given.
    fn url(&self) -> &'static str;

    /// `--publish-to` where none is given.
    fn publish_to(&self) -> &'static str;

    /// How and where events are published where no option says it.
    fn publish_at(&self) -> Destination<'static> {
        Destination::Redis("127.0.0.1:6379")
    }

    /// What stands before and behind each event of a topic on its way through Redis, where it does not travel bare.
    fn around(&self, _topic: &str) -> [String; 2] {
        [String::new(), String::new()]
    }

    /// How clients of this family publish themselves; `None` where they only listen.
    fn publishing(&self) -> Option<&dyn Publishing> {
        None
    }

    /// The WebSocket subprotocol to ask for.
    fn subprotocol(&self) -> Option<&'static str> {
        None
    }

    /// Messages to send once the upgrade is answered: text or binary as [`Dialect::speaks_text`] says.
    fn greeting(&self, _topic: &str) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Whether messages of clients are text frames.
    fn speaks_text(&self) -> bool {
        true
    }

    /// Whether every message is one event and nothing else: then events are found without asking, and the answer to the
    /// upgrade says that the subscription is in place. Otherwise [`Heard::Subscribed`] does.
    fn is_bare(&self) -> bool {
        true
    }

    /// What stands at the front of `bytes` and how many bytes it takes; `None` until it is whole.
    ///
    /// `bytes` is what one text or binary message carried, after what the messages before left unfinished. It is called
    /// until nothing is left, once at least for each message. An event takes one byte at least.
    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)> {
        Some((Heard::Event(bytes), bytes.len()))
    }
}

/// What clients say to publish, on their WebSocket or on a plain connection that speaks the same protocol.
pub trait Publishing: Dialect {
    /// `--publish-to` where none is given and clients publish.
    fn publish_as(&self) -> &'static str {
        self.publish_to()
    }

    /// What a publisher says first; [`Heard::Subscribed`] is the answer to it, unless the upgrade is enough.
    fn introduction(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Appends the message that publishes `event`; `name` is `--publish-to` with the topic filled in.
    fn publication(&self, name: &str, event: &[u8], out: &mut Vec<u8>);
}

/// How and where events are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// `PUBLISH` to whatever speaks RESP at this host and port.
    Redis(&'a str),
    /// `POST` to this URL.
    Http(&'a str),
    /// The family's own protocol at this host and port, without WebSocket.
    Tcp(&'a str),
    /// The family's own protocol at this URL.
    WebSocket(&'a str),
}

/// What a message from the server is to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// One event, as it was published.
    Event(&'a [u8]),
    /// The subscription is in place: from now on every event counts.
    Subscribed,
    /// Wants this answer.
    Answer(Vec<u8>),
    /// Nothing to do.
    Nothing,
    /// What no server of this family may say, in a sentence: the connection is over.
    Broken(String),
}

/// What this server says on its own account to those who asked for it (`meta=1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type")]
pub enum Notice {
    /// Events may be missing between the last one and the next.
    #[serde(rename = "fanout.gap")]
    Gap {
        /// Where they were lost.
        reason: GapReason,
    },
    /// It will close the connection soon.
    #[serde(rename = "fanout.draining")]
    Draining,
    /// The client's token is good no longer.
    #[serde(rename = "fanout.expiring")]
    Expiring,
}

/// Where events were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The source of events was away.
    SourceReconnected,
    /// The client did not read in time.
    SlowConsumer,
}

/// The notice that a message is; `None` for any other.
pub fn notice(message: &[u8]) -> Option<Notice> {
    serde_json::from_slice(message).ok()
}

/// Every family there is.
pub static TABLE: &[&dyn Dialect] =
    &[&workflow::Workflow, &flux::Flux, &nchan::Nchan, &nats::Nats, &mqtt::Mqtt, &ws::Ws, &socketio::SocketIo];

/// The family of this name.
pub fn find(name: &str) -> Option<&'static dyn Dialect> {
    TABLE.iter().copied().find(|dialect| dialect.name() == name)
}
