//! `GET /admin/connections`, `/admin/topics`, `/admin/trace`: questions to every node, and their answers in JSON.

use super::dismissal;
use super::refusal::Refusal;
use super::request::Request;
use super::response::Response;
use super::site::Site;
use crate::engine::topic::Topic;
use crate::inspection::{
    Account, ConnectionRow, Connections, LEASE, Order, Question, Record, Reply, Seat, Selection, Target, TopicRow,
    Topics, What,
};
use crate::metrics::milliseconds;
use crate::wire::query::Query;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::str::FromStr;

/// Rows of a table that are shown where nobody says how many, and at most.
const ROWS: usize = 100;
const ROWS_MAX: usize = 1_000;

/// A question that was put to the nodes, and what they have answered so far.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// What they were asked.
    question: Question,
    /// Nodes that have not answered.
    pub(super) missing: usize,
    replies: Vec<(usize, Reply)>,
}

/// Reads a question out of a request.
pub(super) type Read = fn(&Site, &Query<'_>) -> Result<Question, Refusal>;

impl Inquiry {
    /// A question that nobody has answered yet.
    pub(super) fn new(question: Question, shards: usize) -> Self {
        Self { missing: question.nodes(shards), replies: Vec::new(), question }
    }

    /// One node's answer.
    pub(super) fn add(&mut self, node: usize, reply: Reply) {
        self.missing -= 1;
        self.replies.push((node, reply));
    }

    /// The page, once every node has answered.
    pub(super) fn page(&mut self, site: &Site) -> Response {
        let mut replies = std::mem::take(&mut self.replies);
        replies.sort_unstable_by_key(|(node, _)| *node);
        match &self.question {
            Question::Dismiss(whom) => dismissal::outcome(whom, &replies),
            Question::Connections(selection) => connections(selection, replies),
            Question::Topics(rows_max) => topics(*rows_max, replies),
            Question::Trace(..) => trace(site, replies),
        }
    }
}

/// 504: some node has not answered.
pub(super) fn unanswered() -> Response {
    Refusal::new(504, "not every shard has answered", "some of it may have been done; ask again").into()
}

/// A request's question.
pub(super) fn ask(site: &Site, request: &Request<'_>, read: Read) -> Result<Question, Refusal> {
    let query =
        request.query().map_err(|bad| Refusal::bad_request(bad.to_string(), "percent-encode what you ask for"))?;
    read(site, &query)
}

/// `?filter=TEXT&sort=queued|age|topics&limit=N&tcp=1`
pub(super) fn read_connections(_site: &Site, query: &Query<'_>) -> Result<Question, Refusal> {
    let order = match value(query, "sort")?.as_deref() {
        None | Some("queued") => Order::Queued,
        Some("age") => Order::Age,
        Some("topics") => Order::Topics,
        Some(_) => return Err(Refusal::bad_request("unknown sort", "sort is queued, age or topics")),
    };
    let filter = value(query, "filter")?.unwrap_or_default().into_owned();
    let asks_kernel = value(query, "tcp")?.is_some_and(|value| value == "1");
    Ok(Question::Connections(Selection { filter, order, rows_max: rows_max(query)?, asks_kernel }))
}

/// `?limit=N`
pub(super) fn read_topics(_site: &Site, query: &Query<'_>) -> Result<Question, Refusal> {
    Ok(Question::Topics(rows_max(query)?))
}

/// `?username=NAME`, `?channel=NAME`, `?topic=NAME` or `?connection=ID`, and `&cursor=C` from the last answer.
pub(super) fn read_trace(site: &Site, query: &Query<'_>) -> Result<Question, Refusal> {
    const HINT: &str = "name one of username, channel, topic and connection; a cursor is one that was answered before";
    let wrong = |error: &'static str| Refusal::bad_request(error, HINT);
    let username =
        value(query, "username")?.map(|name| site.topic_of(&name, "ask for 1 to 255 bytes of UTF-8")).transpose()?;
    let channel = value(query, "channel")?.map(|name| channel_topic(site, &name)).transpose()?;
    let topic = value(query, "topic")?.map(|name| site.hasher.prefixed("", &name));
    let seat = value(query, "connection")?.map(|seat| Seat::from_str(&seat).map_err(|_| wrong("no such connection")));
    let topics = [username, channel, topic].into_iter().flatten().map(Target::Topic);
    let mut targets = topics.chain(seat.transpose()?.map(Target::Seat));
    let (target, other) = (targets.next(), targets.next());
    let Some(target) = target.filter(|_| other.is_none()) else { return Err(wrong("whose events are meant?")) };
    let cursor = value(query, "cursor")?.filter(|cursor| !cursor.is_empty());
    let from = cursor.map(|cursor| cursor.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>());
    let from = from.transpose().map_err(|_| wrong("no such cursor"))?.unwrap_or_default();
    Ok(Question::Trace(target, from))
}

fn channel_topic(site: &Site, name: &str) -> Result<Topic, Refusal> {
    let family = site.families.iter().find(|family| family.name == "flux").and_then(|family| family.prefix.as_ref());
    let prefix = family.ok_or_else(|| Refusal::bad_request("no family has channels", "ask for a username"))?;
    Ok(site.hasher.prefixed(prefix, name))
}

fn rows_max(query: &Query<'_>) -> Result<usize, Refusal> {
    let limit = value(query, "limit")?.map_or(Ok(ROWS), |limit| limit.parse());
    let limit =
        limit.map_err(|_| Refusal::bad_request("limit is no number", format!("limit is a number up to {ROWS_MAX}")))?;
    Ok(limit.min(ROWS_MAX))
}

fn value<'a>(query: &Query<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    query.unique(name).map_err(|bad| Refusal::bad_request(format!("{name}: {bad}"), "percent-encode what you ask for"))
}

fn connections(selection: &Selection, replies: Vec<(usize, Reply)>) -> Response {
    let mut all = Connections::default();
    for (_, reply) in replies {
        let Reply::Connections(connections) = reply else { unreachable!("it is what was asked") };
        all.add(connections);
    }
    all.cut(selection);
    let rows: Vec<Value> = all.rows.iter().map(row).collect();
    Response::json(200, &json!({ "matched": all.matched, "connections": rows }))
}

fn row(row: &ConnectionRow) -> Value {
    let tcp = row.tcp.map(|tcp| {
        json!({
            "round_trip_us": tcp.round_trip_us,
            "unacked": tcp.unacknowledged,
            "notsent_bytes": tcp.not_sent_bytes,
            "retransmits": tcp.retransmitted,
            "window_bytes": tcp.window_bytes,
            "waits_for": tcp.waits_for.word(),
        })
    });
    json!({
        "id": row.seat.to_string(),
        "shard": row.seat.shard.index(),
        "topics": row.topics,
        "topics_total": row.topics_total,
        "address": row.address.to_string(),
        "age_ms": milliseconds(row.age),
        "queued_frames": row.unsent_frames,
        "queued_bytes": row.unsent_bytes,
        "late_ms": row.late.map(milliseconds),
        "tcp": tcp,
    })
}

fn topics(rows_max: usize, replies: Vec<(usize, Reply)>) -> Response {
    let all = replies.into_iter().map(|(_, reply)| match reply {
        Reply::Topics(topics) => topics,
        _ => unreachable!("it is what was asked"),
    });
    let all = Topics::merged(all, rows_max);
    let row = |row: &TopicRow| json!({ "topic": row.topic, "followers": row.followers, "events": row.events });
    let rows: Vec<Value> = all.rows.iter().map(row).collect();
    Response::json(200, &json!({ "since_ms": milliseconds(all.counted_for), "total": all.total, "topics": rows }))
}

fn trace(site: &Site, replies: Vec<(usize, Reply)>) -> Response {
    let shards = site.registry.shards.len();
    let (mut records, mut cursor) = (Vec::new(), Vec::new());
    let (mut skipped, mut following) = (0, 0);
    for (node, reply) in replies {
        let Reply::Trace(Some(Account { records: own, next, skipped: left_out, following: here })) = reply else {
            let hint = format!("what nobody looks at for {} s makes room", LEASE.as_secs());
            return Response::from(Refusal::new(429, "too many others are being traced", hint))
                .with("Retry-After", "5");
        };
        let name = if node < shards { Value::from(node) } else { "broker".into() };
        records.extend(own.into_iter().map(|record| (record, name.clone())));
        cursor.push(next.to_string());
        // What is too much for one node to record is for the next one, too.
        skipped = skipped.max(left_out);
        following += here;
    }
    records.sort_by_key(|(record, _)| record.at_us);
    let records: Vec<Value> = records.iter().map(|(record, node)| said(record, node)).collect();
    let broker = &site.registry.broker;
    Response::json(
        200,
        &json!({
            "cursor": cursor.join("."),
            "lease_ms": milliseconds(LEASE),
            "following": following,
            "skipped": skipped,
            "broker": { "connected": broker.is_connected(), "epoch": broker.epoch.get() },
            "records": records,
        }),
    )
}

/// A record as a JSON object: what happened, when, where, and to which event or connection.
fn said(record: &Record, node: &Value) -> Value {
    let mut object = described(&record.what);
    object["at_us"] = record.at_us.into();
    object["node"] = node.clone();
    if let What::Received(event, _)
    | What::Matched(event, _)
    | What::Unsealed(event, _)
    | What::Written(event, _)
    | What::Waits(event, ..)
    | What::Own(event, _) = &record.what
    {
        let took_us = record.at_us.saturating_sub(event.received_us);
        object["event"] = format!("{:08x}", event.name).into();
        object["bytes"] = event.bytes.into();
        object["preview"] = event.preview.as_str().into();
        object["took_us"] = took_us.into();
    }
    object
}

fn described(what: &What) -> Value {
    match what {
        What::Received(_, followers) => json!({ "what": "received", "followers": followers }),
        What::Undeliverable(reason, bytes) => json!({ "what": "dropped", "reason": reason.label(), "bytes": bytes }),
        What::Matched(_, followers) => json!({ "what": "matched", "followers": followers }),
        What::Unsealed(_, reason) => json!({ "what": "dropped", "reason": reason.label() }),
        What::Written(_, seat) => json!({ "what": "written", "connection": seat.to_string() }),
        What::Waits(_, seat, frames, bytes) => {
            json!({ "what": "waits", "connection": seat.to_string(), "queued_frames": frames, "queued_bytes": bytes })
        }
        What::Own(_, seat) => json!({ "what": "own", "connection": seat.to_string() }),
        What::Missed(seat, frames) => json!({ "what": "missed", "connection": seat.to_string(), "frames": frames }),
        What::CaughtUp(seat) => json!({ "what": "caught_up", "connection": seat.to_string() }),
        What::Here(seat, address, age) => {
            let (seat, address) = (seat.to_string(), address.to_string());
            json!({ "what": "here", "connection": seat, "address": address, "age_ms": milliseconds(*age) })
        }
        What::Closed(seat, code) => json!({ "what": "closed", "connection": seat.to_string(), "code": code.label() }),
        What::Left(seat) => json!({ "what": "left", "connection": seat.to_string() }),
        What::Gap => json!({ "what": "gap" }),
    }
}
