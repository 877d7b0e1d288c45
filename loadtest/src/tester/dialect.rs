//! What a family of clients says and hears on its WebSocket, beyond the frames: one line in the table each.

mod workflow;

/// One family of clients, ours or another server's.
pub trait Dialect: Send + Sync {
    /// The name for `--protocol`.
    fn name(&self) -> &'static str;

    /// `--url` where none is given.
    fn url(&self) -> &'static str;

    /// `--publish-to` where none is given.
    fn publish_to(&self) -> &'static str;

    /// The WebSocket subprotocol to ask for.
    fn subprotocol(&self) -> Option<&'static str> {
        None
    }

    /// Whether the answer to the upgrade says that the subscription is in place; otherwise [`Heard::Subscribed`] does.
    fn is_subscribed_by_upgrade(&self) -> bool {
        false
    }

    /// Messages to send once the upgrade is answered: text or binary as [`Dialect::speaks_text`] says.
    fn greeting(&self, _topic: &str) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Whether messages of clients are text frames.
    fn speaks_text(&self) -> bool {
        true
    }

    /// Whether every message is one event and nothing else: then events are found without asking.
    fn is_bare(&self) -> bool {
        false
    }

    /// What stands at the front of `bytes` and how many bytes it takes; `None` until it is whole.
    ///
    /// `bytes` is what one text or binary message carried, after what the messages before left unfinished. It is called
    /// until nothing is left, once at least for each message. An event takes one byte at least.
    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)>;
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

/// Every family there is.
pub static TABLE: &[&dyn Dialect] = &[&workflow::Workflow];

/// The family of this name.
pub fn find(name: &str) -> Option<&'static dyn Dialect> {
    TABLE.iter().copied().find(|dialect| dialect.name() == name)
}
