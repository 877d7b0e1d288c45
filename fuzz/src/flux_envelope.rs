//! What anybody may publish to a flux channel at the broker, through the family's encoding.
//!
//! - What is not UTF-8 and what is not JSON is dropped for just that reason, and only an object can be a bad envelope.
//! - Everything else becomes a message with the payload byte for byte: the envelope's, or all of what was published.
//! - The message is longer than what was published by no more than its own frame.

use super::flux_client::{self, HASHER, Object, PREFIX};
use super::sent;
use bytes::Bytes;
use fanout::engine::message::Message;
use fanout::engine::protocol::{Protocol, Sealed};
use fanout::metrics::Drop;
use fanout::wire::frame;
use serde_json::value::RawValue;
use std::mem::ManuallyDrop;

/// A channel whose name JSON must escape.
const CHANNEL: &str = "a \"b\" \\ ä";

/// Members, the stamp and the header of a message, the channel's escapes included.
const FRAME_BYTES_MAX: usize = 150;

thread_local! {
    /// Who follows the channel. Never dropped: its family's rules live as long as the process, and are held by it alone.
    static FOLLOWER: ManuallyDrop<Box<dyn Protocol>> = ManuallyDrop::new(flux_client::connect());
}

/// Panics where one of the invariants does not hold.
pub fn check(published: &[u8]) {
    let topic = HASHER.prefixed(PREFIX, CHANNEL);
    let message = Message::sealed(topic.clone(), receive(published));
    let sealed = FOLLOWER.with(|follower| flux_client::seal(follower.as_ref(), &topic, &message));
    assert_eq!(message.payload(), published, "others may still want it");
    let Ok(text) = str::from_utf8(published) else {
        assert_eq!(sealed.err(), Some(Drop::NotUtf8));
        return;
    };
    let Ok(json) = serde_json::from_str::<&RawValue>(text) else {
        assert_eq!(sealed.err(), Some(Drop::NotJson));
        return;
    };
    match sealed {
        Ok(sealed) => check_message(&sealed, json),
        Err(reason) => assert!(reason == Drop::BadEnvelope && json.get().starts_with('{'), "dropped: {reason:?}"),
    }
}

/// As an event stands in a receive buffer.
fn receive(published: &[u8]) -> frame::SealedText {
    let line = format!("\r\n${}\r\n", published.len());
    let mut buffer = [line.as_bytes(), published].concat();
    let sealed = frame::seal_in_place(&mut buffer, line.len()..line.len() + published.len());
    sealed.cut(&Bytes::from(buffer))
}

fn check_message(sealed: &Sealed, published: &RawValue) {
    let said: Object<'_> = serde_json::from_str(sent::text(&sealed.frame)).expect("a JSON object");
    let payload = said["payload"].get();
    assert!(sealed.frame.len() <= payload.len() + FRAME_BYTES_MAX);
    let envelope: Option<Object<'_>> = serde_json::from_str(published.get()).ok();
    match envelope.as_ref().filter(|envelope| envelope.contains_key("v")) {
        Some(envelope) => assert!(envelope["v"].get() == "1" && envelope["payload"].get() == payload),
        // An object that this reader cannot read may be an envelope all the same.
        None if envelope.is_none() && published.get().starts_with('{') => assert!(published.get().contains(payload)),
        None => assert!(published.get() == payload && sealed.except.is_none()),
    }
}
