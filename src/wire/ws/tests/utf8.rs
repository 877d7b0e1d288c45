//! Family 6 of the Autobahn test suite: text is UTF-8, and fails at its first wrong byte.

use super::client::{
    CLOSE, CONTINUATION, End, LAST, PING, ROOMY, TEXT, TEXT_BEGINS, check, frame, frames, ping, refused_at, text,
};
use crate::wire::ws::Violation;

/// Bytes of a masked header whose length fits into its second byte.
const SHORT_HEADER_BYTES: usize = 6;

/// The Greek word the suite likes.
const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

#[test]
fn text_may_be_cut_within_a_character() {
    let word = str::from_utf8(KOSME).unwrap();
    for cut in 0..=KOSME.len() {
        let (head, tail) = KOSME.split_at(cut);
        check("6.2.2", &frames(&[(TEXT_BEGINS, head), (LAST, tail)]), &[text(word)], End::Idle);
        let pinged = frames(&[(TEXT_BEGINS, head), (PING, b"\xff"), (CONTINUATION, b""), (LAST, tail)]);
        check("with a ping between", &pinged, &[ping(b"\xff"), text(word)], End::Idle);
    }
    let mut byte_by_byte = frame(TEXT_BEGINS, b"");
    for byte in KOSME {
        byte_by_byte.extend(frame(CONTINUATION, &[*byte]));
    }
    byte_by_byte.extend(frame(LAST, b""));
    check("6.2.4", &byte_by_byte, &[text(word)], End::Idle);
}

#[test]
fn every_character_that_exists_is_accepted() {
    for characters in [
        "Hello-\u{b5}@\u{df}\u{f6}\u{e4}\u{fc}\u{e0}\u{e1}-UTF-8!!",
        "\0",
        "\u{7f}\u{80}",
        "\u{7ff}\u{800}",
        "\u{d7ff}\u{e000}",
        "\u{fffd}\u{fffe}\u{ffff}",
        "\u{10000}\u{1fffe}\u{10fffe}\u{10ffff}",
    ] {
        check("6.5-6.22", &frame(TEXT, characters.as_bytes()), &[text(characters)], End::Idle);
    }
}

#[test]
fn text_is_refused_at_its_first_wrong_byte() {
    // bytes behind the Greek word, and which of them is refused
    for (wrong, index) in [
        (&b"\xed\xa0\x80edited"[..], 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"\xf8\x88\x80\x80\x80", 0),
        (b"\xfc\x84\x80\x80\x80\x80", 0),
        (b"\xf7\xbf\xbf\xbf", 0),
        (b"\xfb\xbf\xbf\xbf\xbf", 0),
        (b"\x80", 0),
        (b"\xbf\x80", 0),
        (b"\xc0 \xc1 ", 0),
        (b"\xc3 ", 1),
        (b"\xe0\x80", 1),
        (b"\xe1\x80 ", 2),
        (b"\xf0\x80\x80", 1),
        (b"\xf1\x80\x80 ", 3),
        (b"\xfe", 0),
        (b"\xff", 0),
        (b"\xc0\xaf", 0),
        (b"\xe0\x9f\xbf", 1),
        (b"\xf0\x8f\xbf\xbf", 1),
        (b"\xed\xad\xbf\xed\xb0\x80", 1),
    ] {
        let payload = [KOSME, wrong, b"edited"].concat();
        let at = KOSME.len() + index;
        let not_utf8 = |index| Some((index, Violation::NotUtf8));
        assert_eq!(refused_at(&frame(TEXT, &payload), ROOMY), not_utf8(SHORT_HEADER_BYTES + at), "{wrong:x?}");
        check("6.3.1", &frame(TEXT, &payload), &[], End::Refused(Violation::NotUtf8));
        for cut in 0..=at {
            let fragments = frames(&[(TEXT_BEGINS, &payload[..cut]), (LAST, &payload[cut..])]);
            assert_eq!(refused_at(&fragments, ROOMY), not_utf8(2 * SHORT_HEADER_BYTES + at), "6.4, {wrong:x?}, {cut}");
        }
    }
}

#[test]
fn text_must_not_end_within_a_character() {
    for cut in [&b"\xce"[..], b"\xe1\xbd", b"\xf0\x9f\x98", b"\xf4", b"\xf4\x8f\xbf"] {
        check("6.6", &frame(TEXT, cut), &[], End::Refused(Violation::NotUtf8));
        check("6.6 in fragments", &frames(&[(TEXT_BEGINS, cut), (LAST, b"")]), &[], End::Refused(Violation::NotUtf8));
    }
}

#[test]
fn the_reason_of_a_close_is_text_too() {
    let payload = [b"\x03\xe8", KOSME, b"\xed\xa0\x80edited"].concat();
    let refused = Some((SHORT_HEADER_BYTES + 2 + KOSME.len() + 1, Violation::NotUtf8));
    assert_eq!(refused_at(&frame(CLOSE, &payload), ROOMY), refused, "7.5.1");
    check("7.5.1", &frame(CLOSE, &payload), &[], End::Refused(Violation::NotUtf8));
    check("cut", &frame(CLOSE, b"\x03\xe8\xe1\xbd"), &[], End::Refused(Violation::NotUtf8));
}
