//! `PING`, `ECHO`, `HELLO`, `AUTH`, `SELECT`, `CLIENT`, `RESET`, `QUIT`.

use super::{After, Call, lower, text, unknown_subcommand, wrong_arity};
use crate::brokers::embedded::client::Client;
use crate::wire::resp::reply::Version;
use std::cell::RefCell;
use std::time::Instant;

/// The release of Redis whose behaviour is followed; clients decide by it what they may ask.
pub(super) const REDIS_VERSION: &str = "7.0.0";

/// Databases `SELECT` accepts, as many as Redis has by default. Pub/sub is the same in all.
const DATABASES: i64 = 16;

/// `PING [message]`; a RESP2 subscriber gets its answer as a push.
pub(super) fn ping(call: &Call<'_>) -> After {
    match call.words {
        [_, _, _, ..] => call.error(&wrong_arity("ping")),
        _ if call.client.is_listening_only() => {
            let message = call.words.get(1).copied().unwrap_or_default();
            call.reply(|reply| _ = reply.array(2).bulk(b"pong").bulk(message));
        }
        [_, message] => call.reply(|reply| _ = reply.bulk(message)),
        _ => call.reply(|reply| _ = reply.simple("PONG")),
    }
    After::GoOn
}

/// `ECHO message`.
pub(super) fn echo(call: &Call<'_>) -> After {
    call.reply(|reply| _ = reply.bulk(call.words[1]));
    After::GoOn
}

/// `HELLO [version [AUTH user password] [SETNAME name]]`.
pub(super) fn hello(call: &Call<'_>) -> After {
    if let Err(error) = negotiate(call) {
        call.error(&error);
        return After::GoOn;
    }
    let version = call.client.version.get();
    let id = i64::try_from(call.client.id).unwrap_or(i64::MAX);
    call.reply(|reply| {
        reply.map(7);
        reply.bulk(b"server").bulk(b"redis");
        reply.bulk(b"version").bulk(REDIS_VERSION.as_bytes());
        reply.bulk(b"proto").integer(version.number());
        reply.bulk(b"id").integer(id);
        reply.bulk(b"mode").bulk(b"standalone");
        reply.bulk(b"role").bulk(b"master");
        reply.bulk(b"modules").array(0);
    });
    After::GoOn
}

fn negotiate(call: &Call<'_>) -> Result<(), String> {
    let Some(version) = call.words.get(1) else { return Ok(()) };
    let version = match text(version).parse::<i64>() {
        Ok(2) => Version::Two,
        Ok(3) => Version::Three,
        Ok(_) => return Err("NOPROTO unsupported protocol version".to_owned()),
        Err(_) => return Err("ERR Protocol version is not an integer or out of range".to_owned()),
    };
    let mut options = &call.words[2..];
    let mut name = None;
    loop {
        options = match options {
            [] => break,
            [option, user, _password, rest @ ..] if lower(option) == "auth" => {
                check_user(user)?;
                rest
            }
            [option, given, rest @ ..] if lower(option) == "setname" => {
                name = Some(given);
                rest
            }
            [option, ..] => return Err(format!("ERR Syntax error in HELLO option '{}'", text(option))),
        };
    }
    if let Some(name) = name {
        set_name(call.client, name)?;
    }
    call.client.version.set(version);
    Ok(())
}

/// `AUTH [user] password`: there is no password, and Redis without one lets its default user in with any.
pub(super) fn auth(call: &Call<'_>) -> After {
    let outcome = match call.words {
        [_, _password] => Err("ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?"
            .to_owned()),
        [_, user, _password] => check_user(user),
        _ => Err("ERR syntax error".to_owned()),
    };
    match outcome {
        Ok(()) => call.ok(),
        Err(error) => call.error(&error),
    }
    After::GoOn
}

fn check_user(user: &[u8]) -> Result<(), String> {
    if user == b"default" {
        return Ok(());
    }
    Err("WRONGPASS invalid username-password pair or user is disabled.".to_owned())
}

/// `SELECT index`.
pub(super) fn select(call: &Call<'_>) -> After {
    match text(call.words[1]).parse::<i64>() {
        Ok(0..DATABASES) => call.ok(),
        Ok(_) => call.error("ERR DB index is out of range"),
        Err(_) => call.error("ERR value is not an integer or out of range"),
    }
    After::GoOn
}

/// `CLIENT` `ID`, `SETNAME`, `GETNAME`, `SETINFO`, `INFO`, `LIST`.
pub(super) fn client(call: &Call<'_>) -> After {
    let subcommand = call.lower(1);
    match (subcommand.as_str(), &call.words[2..]) {
        ("id", []) => call.reply(|reply| _ = reply.integer(i64::try_from(call.client.id).unwrap_or(i64::MAX))),
        ("setname", [name]) => match set_name(call.client, name) {
            Ok(()) => call.ok(),
            Err(error) => call.error(&error),
        },
        ("getname", []) => call.reply(|reply| {
            _ = match &call.client.name.borrow()[..] {
                [] => reply.null(),
                name => reply.bulk(name),
            }
        }),
        ("setinfo", [attribute, value]) => set_info(call, attribute, value),
        ("info", []) => call.reply(|reply| _ = reply.bulk(&description(call.client))),
        ("list", _) => {
            let list: Vec<u8> =
                call.switchboard.clients.borrow().values().flat_map(|client| description(client)).collect();
            call.reply(|reply| _ = reply.bulk(&list));
        }
        ("id" | "setname" | "getname" | "setinfo" | "info", _) => {
            call.error(&wrong_arity(&format!("client|{subcommand}")));
        }
        _ => call.error(&unknown_subcommand(call.words, "CLIENT")),
    }
    After::GoOn
}

fn set_info(call: &Call<'_>, attribute: &[u8], value: &[u8]) {
    let field: &RefCell<Vec<u8>> = match lower(attribute).as_str() {
        "lib-name" => &call.client.library,
        "lib-ver" => &call.client.library_version,
        _ => return call.error(&format!("ERR Unrecognized option '{}'", text(attribute))),
    };
    if is_printable(value) {
        field.replace(value.to_vec());
        call.ok();
    } else {
        call.error(&format!("ERR {} cannot contain spaces, newlines or special characters.", lower(attribute)));
    }
}

fn set_name(client: &Client, name: &[u8]) -> Result<(), String> {
    if !is_printable(name) {
        return Err("ERR Client names cannot contain spaces, newlines or special characters.".to_owned());
    }
    client.name.replace(name.to_vec());
    Ok(())
}

/// What a client says of itself must fit on a line of `CLIENT LIST`.
fn is_printable(value: &[u8]) -> bool {
    value.len() <= 512 && value.iter().all(u8::is_ascii_graphic)
}

/// A client's line in `CLIENT LIST`.
fn description(client: &Client) -> Vec<u8> {
    let Client { id, peer, .. } = client;
    let age = Instant::now().duration_since(client.since).as_secs();
    let (name, library, version) = (client.name.borrow(), client.library.borrow(), client.library_version.borrow());
    format!(
        "id={id} addr={peer} name={} age={age} sub={} psub={} resp={} lib-name={} lib-ver={} omem={}\n",
        text(&name),
        client.channels.borrow().len(),
        client.patterns.borrow().len(),
        client.version.get().number(),
        text(&library),
        text(&version),
        client.outbox.waiting_bytes(),
    )
    .into_bytes()
}

/// `RESET`: the connection as it was at its beginning.
pub(super) fn reset(call: &Call<'_>) -> After {
    call.switchboard.subscribers.borrow_mut().leave(call.client);
    call.client.version.set(Version::Two);
    call.client.name.replace(Vec::new());
    call.reply(|reply| _ = reply.simple("RESET"));
    After::GoOn
}

/// `QUIT`.
pub(super) fn quit(call: &Call<'_>) -> After {
    call.ok();
    After::Close
}

/// `POST` and `Host:`: a web page makes a browser talk to this port. Redis cuts such a connection too.
pub(super) fn attack(call: &Call<'_>) -> After {
    if let Some(unmentioned) = call.switchboard.attacks.pass(Instant::now()) {
        let peer = call.client.peer;
        tracing::warn!(%peer, unmentioned, "possible cross-protocol attack: HTTP on the broker's port, connection cut");
    }
    After::Cut
}
