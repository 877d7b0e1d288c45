//! What a decoder holds, and for how long.

use super::client::{BINARY, BINARY_BEGINS, CONTINUATION, LAST, PING, ROOMY, TEXT, feed, frame, frames};
use crate::wire::ws::{Decoder, Event, Input};

#[test]
fn an_idle_decoder_takes_eight_bytes() {
    assert_eq!(size_of::<Decoder>(), 8);
    assert!(Decoder::default().is_idle());
}

#[test]
fn a_whole_frame_is_borrowed_from_the_input() {
    let mut bytes = frame(TEXT, b"Hello");
    let range = bytes.as_ptr_range();
    let mut decoder = Decoder::default();
    let mut input = Input::new(&mut bytes);
    let Ok(Some(Event::Text(text))) = decoder.next(&mut input, ROOMY) else { panic!("a text") };
    assert!(range.contains(&text.as_ptr()), "no copy was made");
    assert!(decoder.is_idle());
}

#[test]
fn what_is_unfinished_is_counted_and_released_when_it_is_done() {
    let mut decoder = Decoder::default();
    let mut said = Vec::new();
    let part = frame(BINARY, &[7; 100]);
    let next = frame(PING, b"ping");
    // piece, bytes held behind it, events so far
    for (piece, held, events) in [
        (&b""[..], 0, 0),
        (&part[..1], 1, 0),
        (&part[1..5], 5, 0),
        (&part[5..6], 0, 0),
        (&part[6..10], 4, 0),
        (&part[10..105], 99, 0),
        (&part[105..], 0, 1),
        (&frame(BINARY_BEGINS, &[1; 50]), 50, 1),
        (&next[..3], 53, 1),
        (&next[3..8], 52, 1),
        (&next[8..], 50, 2),
        (&frame(CONTINUATION, b""), 50, 2),
        (&frames(&[(LAST, &[2; 30]), (PING, b"")]), 0, 4),
    ] {
        assert_eq!(feed(&mut decoder, piece, ROOMY, &mut said), None);
        assert_eq!((decoder.buffered_bytes(), said.len()), (held, events), "{piece:x?}");
    }
    assert!(decoder.is_idle());
}

#[test]
fn a_claim_reserves_nothing() {
    let claims_a_gigabyte = b"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00mask.";
    let mut decoder = Decoder::default();
    assert_eq!(feed(&mut decoder, claims_a_gigabyte, 1 << 30, &mut Vec::new()), None);
    assert_eq!(decoder.buffered_bytes(), 1);
    let reserved = decoder.unfinished.as_ref().unwrap().reserved_bytes();
    assert!(reserved <= 512, "{reserved} bytes for one");
}

#[test]
fn a_drip_reserves_at_most_twice_what_arrived_and_never_more_than_the_limit() {
    let max = 5_000;
    for first in [BINARY, TEXT] {
        let mut decoder = Decoder::default();
        for (index, byte) in frame(first, &vec![b'a'; max])[..max].iter().enumerate() {
            assert_eq!(feed(&mut decoder, std::slice::from_ref(byte), max, &mut Vec::new()), None);
            let reserved = decoder.unfinished.as_ref().unwrap().reserved_bytes();
            assert!(reserved <= (2 * index).max(256).min(max), "{reserved} reserved after {index}");
        }
    }
}
