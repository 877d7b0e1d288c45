//! `PUBLISH`, `SUBSCRIBE`, `PSUBSCRIBE`, `UNSUBSCRIBE`, `PUNSUBSCRIBE`, `PUBSUB`.

use super::{After, Call, text, unknown_subcommand, wrong_arity};
use crate::brokers::embedded::subscribers::{PATTERNS_MAX, SUBSCRIPTIONS_MAX, Scope, names};
use crate::brokers::embedded::{CHANNEL_BYTES_MAX, PATTERN_BYTES_MAX, Unpublished};
use crate::brokers::seal;
use bytes::Bytes;

/// `PUBLISH channel message`: how many got it, WebSocket connections of this instance and RESP subscribers together.
pub(super) fn publish(call: &Call<'_>) -> After {
    let (channel, payload) = (call.words[1], call.words[2]);
    // An event that came as an array lies in the request, as does its channel.
    let (channel, event) = match &call.event {
        Some(event) => (call.request.slice_ref(channel), event.clone()),
        None => (Bytes::copy_from_slice(channel), seal::apart(payload, call.switchboard.event_bytes_max)),
    };
    match call.switchboard.publish(channel, payload, event) {
        Ok(receivers) => call.reply(|reply| _ = reply.integer(i64::try_from(receivers).unwrap_or(i64::MAX))),
        Err(Unpublished::ChannelTooLong) => call.error(&name_too_long(Scope::Channel)),
        Err(Unpublished::EventTooBig) => {
            let limit = call.switchboard.event_bytes_max;
            call.error(&format!("ERR the message has {} bytes, the limit is {limit} bytes", payload.len()));
        }
    }
    After::GoOn
}

/// `SUBSCRIBE channel [channel ...]`: confirmed one by one.
pub(super) fn subscribe(call: &Call<'_>) -> After {
    add(call, Scope::Channel)
}

/// `PSUBSCRIBE pattern [pattern ...]`: confirmed one by one.
pub(super) fn psubscribe(call: &Call<'_>) -> After {
    add(call, Scope::Pattern)
}

/// `UNSUBSCRIBE [channel ...]`: without a name, all of them.
pub(super) fn unsubscribe(call: &Call<'_>) -> After {
    remove(call, Scope::Channel)
}

/// `PUNSUBSCRIBE [pattern ...]`: without a name, all of them.
pub(super) fn punsubscribe(call: &Call<'_>) -> After {
    remove(call, Scope::Pattern)
}

fn add(call: &Call<'_>, scope: Scope) -> After {
    let (confirmation, name_bytes_max): (&[u8], _) = match scope {
        Scope::Channel => (b"subscribe", CHANNEL_BYTES_MAX),
        Scope::Pattern => (b"psubscribe", PATTERN_BYTES_MAX),
    };
    for name in &call.words[1..] {
        if name.len() > name_bytes_max {
            call.error(&name_too_long(scope));
        } else if call.switchboard.subscribers.borrow_mut().subscribe(call.client, scope, name).is_err() {
            call.error(&format!(
                "ERR too many subscriptions: this broker allows {SUBSCRIPTIONS_MAX}, and {PATTERNS_MAX} different patterns"
            ));
        } else {
            confirm(call, confirmation, Some(name));
        }
    }
    After::GoOn
}

fn remove(call: &Call<'_>, scope: Scope) -> After {
    let confirmation: &[u8] = match scope {
        Scope::Channel => b"unsubscribe",
        Scope::Pattern => b"punsubscribe",
    };
    let followed: Vec<Vec<u8>>;
    let given: Vec<&[u8]> = if call.words.len() > 1 {
        call.words[1..].to_vec()
    } else {
        followed = names(call.client, scope).borrow().iter().cloned().collect();
        followed.iter().map(Vec::as_slice).collect()
    };
    for name in &given {
        call.switchboard.subscribers.borrow_mut().unsubscribe(call.client, scope, name);
        confirm(call, confirmation, Some(name));
    }
    if given.is_empty() {
        confirm(call, confirmation, None);
    }
    After::GoOn
}

fn confirm(call: &Call<'_>, confirmation: &[u8], name: Option<&[u8]>) {
    let count = i64::try_from(call.client.subscriptions()).expect("bounded by the limit of subscriptions");
    call.reply(|push| {
        push.push(3).bulk(confirmation);
        match name {
            Some(name) => push.bulk(name),
            None => push.null(),
        }
        .integer(count);
    });
}

fn name_too_long(scope: Scope) -> String {
    match scope {
        Scope::Channel => format!("ERR a channel name has at most {CHANNEL_BYTES_MAX} bytes"),
        Scope::Pattern => format!("ERR a pattern has at most {PATTERN_BYTES_MAX} bytes"),
    }
}

/// `PUBSUB CHANNELS [pattern]`, `PUBSUB NUMSUB [channel ...]`, `PUBSUB NUMPAT`: about RESP subscribers.
pub(super) fn pubsub(call: &Call<'_>) -> After {
    let subscribers = call.switchboard.subscribers.borrow();
    match (call.lower(1).as_str(), &call.words[2..]) {
        ("channels", patterns @ ([] | [_])) => {
            let channels = subscribers.channels_matching(patterns.first().unwrap_or(&b"*".as_slice()));
            call.reply(|reply| {
                reply.array(channels.len());
                for channel in channels {
                    reply.bulk(channel);
                }
            });
        }
        ("numsub", channels) => call.reply(|reply| {
            reply.array(channels.len() * 2);
            for channel in channels {
                let followers = i64::try_from(subscribers.followers(channel)).expect("bounded by the limit of clients");
                reply.bulk(channel).integer(followers);
            }
        }),
        ("numpat", []) => {
            let patterns = i64::try_from(subscribers.patterns_followed()).expect("bounded by the limit of patterns");
            call.reply(|reply| _ = reply.integer(patterns));
        }
        ("channels", _) => call.error(&format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try PUBSUB HELP.",
            text(call.words[1])
        )),
        ("numpat", _) => call.error(&wrong_arity("pubsub|numpat")),
        _ => call.error(&unknown_subcommand(call.words, "PUBSUB")),
    }
    After::GoOn
}
