//! Flux clients over every broker, and what they were told so far.

use loadtest::{FluxClient, Launch, Redis, Server, Told};
use serde_json::json;
use std::iter;

/// One check with a real Redis, subscribed to by patterns and by channels, then with the embedded broker.
pub(crate) fn over_every_broker(check: impl Fn(Launch)) {
    let redis = Redis::start().unwrap();
    check(Launch::with_redis(&redis).option("--redis-subscribe", "patterns"));
    check(Launch::with_redis(&redis).option("--redis-subscribe", "channels").option("--redis-linger", "100ms"));
    check(Launch::embedded());
}

pub(crate) fn connect(server: &Server) -> FluxClient {
    FluxClient::connect(server.address).unwrap()
}

/// A client that follows `channel`.
pub(crate) fn following(server: &Server, channel: &str) -> FluxClient {
    connect(server).following(channel)
}

/// What a client was told before a foreign publisher reached it on a channel of its own: once a broadcast has reached
/// anybody, whatever it brings to this client comes before that.
pub(crate) fn told_so_far(server: &Server, client: &mut FluxClient) -> Vec<Told> {
    let fence = format!("fence of {}", client.id());
    client.say(json!({"type": "subscribe", "channel": fence}).to_string()).unwrap();
    let mut told = told_until(client, &Told::Subscribed(fence.clone()));
    publish(server, &format!("flux:{fence}"), "0");
    told.extend(told_until(client, &Told::message(&fence, "0")));
    assert_eq!(client.unsubscribe(&fence), Some(Told::Unsubscribed(fence)));
    told
}

fn told_until(client: &mut FluxClient, end: &Told) -> Vec<Told> {
    iter::repeat_with(|| client.told().expect("the fence comes")).take_while(|told| told != end).collect()
}

pub(crate) fn publish(server: &Server, channel: &str, text: &str) {
    server.publisher().unwrap().command(&["PUBLISH", channel, text]).unwrap();
}
