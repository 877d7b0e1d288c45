//! The commands the embedded broker understands: one table, and what Redis says about all others.

mod connection;
mod pubsub;
mod server;

use super::Switchboard;
use super::client::Client;
use crate::metrics::Drop;
use crate::wire::frame::SealedText;
use crate::wire::resp::reply::ReplyWriter;
use bytes::Bytes;
use std::rc::Rc;

/// A command with everything it may need.
pub(super) struct Call<'a> {
    /// Its name and arguments.
    pub(super) words: &'a [&'a [u8]],
    /// The bytes of the whole request, which the words of an array are part of.
    pub(super) request: &'a Bytes,
    /// The event of a `PUBLISH` that came as an array.
    pub(super) event: Option<Result<SealedText, Drop>>,
    /// Who asks.
    pub(super) client: &'a Rc<Client>,
    /// What all clients share.
    pub(super) switchboard: &'a Rc<Switchboard>,
}

/// What becomes of a connection after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next command.
    GoOn,
    /// It closes once its replies are written.
    Close,
    /// It closes now.
    Cut,
}

impl Call<'_> {
    /// Appends to this call's reply.
    fn reply(&self, write: impl FnOnce(&mut ReplyWriter<'_>)) {
        // A client that is being cut gets no reply; its session learns that from the outbox.
        let _ = self.client.write(write);
    }

    fn ok(&self) {
        self.reply(|reply| _ = reply.simple("OK"));
    }

    fn error(&self, text: &str) {
        self.reply(|reply| _ = reply.error(text));
    }

    /// The word at `index`, in lower case, for comparing and for messages.
    fn lower(&self, index: usize) -> String {
        self.words.get(index).map(|word| lower(word)).unwrap_or_default()
    }
}

/// A command's entry in the table.
struct Command {
    name: &'static str,
    /// How many words it has, its name included.
    words: Arity,
    serve: fn(&Call<'_>) -> After,
}

#[derive(Clone, Copy)]
enum Arity {
    Exactly(usize),
    AtLeast(usize),
}

impl Arity {
    fn allows(self, words: usize) -> bool {
        match self {
            Self::Exactly(exactly) => words == exactly,
            Self::AtLeast(least) => words >= least,
        }
    }
}

/// Sorted by how often they are used.
const COMMANDS: &[Command] = &[
    Command { name: "publish", words: Arity::Exactly(3), serve: pubsub::publish },
    Command { name: "ping", words: Arity::AtLeast(1), serve: connection::ping },
    Command { name: "subscribe", words: Arity::AtLeast(2), serve: pubsub::subscribe },
    Command { name: "psubscribe", words: Arity::AtLeast(2), serve: pubsub::psubscribe },
    Command { name: "unsubscribe", words: Arity::AtLeast(1), serve: pubsub::unsubscribe },
    Command { name: "punsubscribe", words: Arity::AtLeast(1), serve: pubsub::punsubscribe },
    Command { name: "pubsub", words: Arity::AtLeast(2), serve: pubsub::pubsub },
    Command { name: "hello", words: Arity::AtLeast(1), serve: connection::hello },
    Command { name: "auth", words: Arity::AtLeast(2), serve: connection::auth },
    Command { name: "select", words: Arity::Exactly(2), serve: connection::select },
    Command { name: "client", words: Arity::AtLeast(2), serve: connection::client },
    Command { name: "echo", words: Arity::Exactly(2), serve: connection::echo },
    Command { name: "reset", words: Arity::Exactly(1), serve: connection::reset },
    Command { name: "quit", words: Arity::AtLeast(1), serve: connection::quit },
    Command { name: "info", words: Arity::AtLeast(1), serve: server::info },
    Command { name: "command", words: Arity::AtLeast(1), serve: server::command },
    Command { name: "post", words: Arity::AtLeast(1), serve: connection::attack },
    Command { name: "host:", words: Arity::AtLeast(1), serve: connection::attack },
];

/// What a RESP2 client may ask while it is subscribed.
const WHILE_LISTENING: [&str; 7] = ["subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping", "quit", "reset"];

/// Serves one command: looks it up, and refuses in Redis' words (`server.c`) what it does not know or allow.
pub(super) fn serve(call: &Call<'_>) -> After {
    let Some(name) = call.words.first() else { return After::GoOn };
    let Some(command) = COMMANDS.iter().find(|command| name.eq_ignore_ascii_case(command.name.as_bytes())) else {
        call.error(&unknown(call.words));
        return After::GoOn;
    };
    if !command.words.allows(call.words.len()) {
        call.error(&wrong_arity(command.name));
        return After::GoOn;
    }
    if call.client.is_listening_only() && !WHILE_LISTENING.contains(&command.name) {
        call.error(&format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            command.name
        ));
        return After::GoOn;
    }
    (command.serve)(call)
}

fn wrong_arity(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// Redis repeats the command and the beginning of its arguments, 128 bytes of each.
fn unknown(words: &[&[u8]]) -> String {
    const REPEATED_BYTES_MAX: usize = 128;
    let name = words[0];
    let mut arguments = String::new();
    for argument in &words[1..] {
        let Some(left) = REPEATED_BYTES_MAX.checked_sub(arguments.len()).filter(|&left| left > 0) else { break };
        let shown = text(&argument[..argument.len().min(left)]);
        for part in ["'", &shown, "' "] {
            arguments.push_str(part);
        }
    }
    let name = text(&name[..name.len().min(REPEATED_BYTES_MAX)]);
    format!("ERR unknown command '{name}', with args beginning with: {arguments}")
}

fn unknown_subcommand(words: &[&[u8]], name: &str) -> String {
    let subcommand = text(&words[1][..words[1].len().min(128)]);
    format!("ERR unknown subcommand '{subcommand}'. Try {name} HELP.")
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn lower(word: &[u8]) -> String {
    text(word).to_ascii_lowercase()
}
