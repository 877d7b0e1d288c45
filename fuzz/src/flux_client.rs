//! A flux client as the server keeps it, let in through the same door as any other, and the JSON it reads.

use super::sent;
use fanout::engine::message::Message;
use fanout::engine::protocol::{Protocol, Sealed, SlowPolicy};
use fanout::engine::topic::{Topic, TopicHasher};
use fanout::http::Request;
use fanout::metrics::Drop;
use fanout::protocols::flux::FluxSettings;
use fanout::protocols::{ProtocolSettings, families};
use fanout::wire::head;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What stands in front of a channel in the broker's channels.
pub(crate) const PREFIX: &str = "flux:";

/// Longest event that the broker takes.
pub(crate) const EVENT_BYTES_MAX: usize = 1_000;

/// Makes the same topic on every run.
pub(crate) const HASHER: TopicHasher = TopicHasher::with_key((1, 2));

/// Members as they are written, by what their names mean. It knows less than the server's own reader: none of half a
/// surrogate pair in a name.
pub(crate) type Object<'a> = BTreeMap<String, &'a RawValue>;

/// A client that has just been let in.
pub(crate) fn connect() -> Box<dyn Protocol> {
    let flux = FluxSettings {
        base_path: "/flux".to_owned(),
        prefix: PREFIX.to_owned(),
        broadcast_is_open: true,
        channels: vec!["*".to_owned()],
        event_bytes_max: EVENT_BYTES_MAX,
        slow_policy: SlowPolicy::Close,
    };
    let settings = ProtocolSettings {
        workflow_prefix: "workflow:events:".to_owned(),
        workflow_slow_policy: SlowPolicy::Close,
        flux,
        echo_path: None,
    };
    let family = families(&settings, HASHER).into_iter().find(|family| family.name == "flux").expect("in the table");
    let head = head::parse(b"GET /flux/ws HTTP/1.1\r\nHost: a\r\n\r\n").expect("a sound head").expect("a whole one");
    let admission = (family.admit)(&Request::new(&head, ([127, 0, 0, 1], 1).into()));
    admission.unwrap_or_else(|_| panic!("everybody may come in")).protocol
}

/// What becomes of a message for the followers of a topic, seen by one of them.
pub(crate) fn seal(follower: &dyn Protocol, topic: &Topic, message: &Message) -> Result<Sealed, Drop> {
    let sealed = (follower.encoding().seal)(topic, message)?;
    let said: Object<'_> = serde_json::from_str(sent::text(&sealed.frame)).expect("a JSON object");
    let names: Vec<&str> = said.keys().map(String::as_str).collect();
    assert_eq!(names, ["channel", "payload", "timestamp", "type"]);
    assert_eq!(string(said["type"]).as_deref(), Some("message"));
    assert_eq!(string(said["channel"]).as_deref(), Some(&*topic.key()));
    said["timestamp"].get().parse::<u64>().expect("milliseconds");
    Ok(sealed)
}

/// A string as it is meant; `None` where the value is something else.
pub(crate) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}
