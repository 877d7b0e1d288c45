//! What Redis says to a subscriber, as `wire::resp::push` reads it.
//!
//! - A beginning is either answered as all of it is, or waited with: for more than there is, and for no more than the
//!   push has. What follows a push does not change it.
//! - An event is what another reader of RESP finds, and written again it has the same bytes. Whatever is published is
//!   read as it was written.
//! - A frame's header fits between an event's channel and its payload, and touches neither.

use super::cuts;
use bytes::{Bytes, BytesMut};
use fanout::wire::frame;
use fanout::wire::resp::command;
use fanout::wire::resp::push::{Heard, NotResp, Push, decode};
use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;
use std::ops::Range;

/// Events above this are passed over; those of a line's length are always waited for.
const PAYLOAD_BYTES_MAX: usize = 70_000;

/// Panics where one of the invariants does not hold.
pub fn check(received: &[u8]) {
    check_published(received);
    let mut rest = received;
    loop {
        let answer = decode(rest, PAYLOAD_BYTES_MAX);
        check_beginnings(rest, &answer);
        match answer {
            Ok(Heard::Whole { push: Push::Oversized { channel, payload_bytes }, bytes }) => {
                assert!(channel.end <= rest.len() && payload_bytes > PAYLOAD_BYTES_MAX && bytes > rest.len());
                return;
            }
            Ok(Heard::Whole { push, bytes }) => {
                assert_ne!(bytes, 0, "each push brings the reader further");
                check_push(&rest[..bytes], &push);
                rest = &rest[bytes..];
            }
            Ok(Heard::Part { .. }) | Err(NotResp) => return,
        }
    }
}

fn check_beginnings(received: &[u8], answer: &Result<Heard, NotResp>) {
    let looked_at = match answer {
        Ok(Heard::Whole { bytes, .. }) => (bytes + 8).min(received.len()),
        _ => received.len(),
    };
    for length in cuts::beginnings(&received[..looked_at]) {
        match (decode(&received[..length], PAYLOAD_BYTES_MAX), answer) {
            (
                Ok(Heard::Part { needed_bytes }),
                Ok(Heard::Whole { bytes: most, .. } | Heard::Part { needed_bytes: most }),
            ) => {
                assert!(needed_bytes > length && needed_bytes <= *most, "waits for {needed_bytes} after {length}");
            }
            (Ok(Heard::Part { needed_bytes }), Err(NotResp)) => assert!(needed_bytes > length),
            (early, _) => assert_eq!(&early, answer, "after {length} bytes"),
        }
    }
}

fn check_push(bytes: &[u8], push: &Push) {
    match push {
        Push::Message { channel, payload } => check_event(bytes, channel, payload),
        Push::Subscribed { name: range, .. } | Push::Simple(range) | Push::Error(range) => {
            assert!(range.start <= range.end && range.end <= bytes.len());
        }
        Push::Oversized { .. } | Push::Pong | Push::Integer(_) | Push::Unasked => {}
    }
}

fn check_event(bytes: &[u8], channel: &Range<usize>, payload: &Range<usize>) {
    let words = words(bytes);
    assert!(words.ends_with(&[&bytes[channel.clone()], &bytes[payload.clone()]]), "another reader finds others");
    let mut written = BytesMut::new();
    command::encode(&mut written, &words);
    assert_eq!(written, bytes, "written again");

    let mut buffer = bytes.to_vec();
    let sealed = frame::seal_in_place(&mut buffer, payload.clone());
    assert_eq!(buffer[..channel.end], bytes[..channel.end], "what stands in front is untouched");
    assert_eq!(sealed.cut(&Bytes::from(buffer)).payload(), &bytes[payload.clone()], "so is the payload");
}

/// The input is taken for a channel and for a payload.
fn check_published(text: &[u8]) {
    for words in [&[b"message", text, text][..], &[b"pmessage", b"*", text, text]] {
        let mut written = BytesMut::new();
        command::encode(&mut written, words);
        let Ok(Heard::Whole { push: Push::Message { channel, payload }, bytes }) = decode(&written, PAYLOAD_BYTES_MAX)
        else {
            panic!("an event is not read");
        };
        assert_eq!((&written[channel], &written[payload], bytes), (text, text, written.len()));
    }
}

/// The bulk strings of an array.
fn words(bytes: &[u8]) -> Vec<&[u8]> {
    let (array, _) = decode_range(bytes).expect("it is RESP").expect("it is whole");
    let RangeFrame::Array(elements) = array else { panic!("not an array") };
    let word = |element: &RangeFrame| match element {
        RangeFrame::BulkString((start, end)) => &bytes[*start..*end],
        other => panic!("among words: {other:?}"),
    };
    elements.iter().map(word).collect()
}
