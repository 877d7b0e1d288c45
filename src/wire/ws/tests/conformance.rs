//! Families 1 to 5 of the Autobahn test suite and the examples of RFC 6455 §5.7.

use super::client::{
    BINARY, BINARY_BEGINS, CONTINUATION, End, LAST, PING, PONG, ROOMY, Said, TEXT, TEXT_BEGINS, binary, check, frame,
    frame_masked, frames, ping, pong, refused_at, text,
};
use crate::wire::ws::{Decoder, Event, Input, Violation};

/// Name, frames, what they say and how it ends.
type Case<'a> = (&'a str, &'a [(u8, &'a [u8])], &'a [Said], End);

#[test]
fn the_examples_of_the_rfc_mean_what_it_says() {
    let masked_hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    check("a masked text", masked_hello, &[text("Hello")], End::Idle);
    check("a masked pong", b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", &[pong(b"Hello")], End::Idle);
    for unmasked in [&b"\x81\x05Hello"[..], b"\x01\x03Hel", b"\x89\x05Hello", b"\x82\x7e\x01\x00", b"\x88\x00"] {
        check("a frame of a server", unmasked, &[], End::Refused(Violation::NOT_MASKED));
    }
}

#[test]
fn messages_of_every_length_arrive() {
    for length in [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537] {
        let payload = "*".repeat(length);
        check("1.1 text", &frame(TEXT, payload.as_bytes()), &[text(&payload)], End::Idle);
        check("1.2 binary", &frame(BINARY, payload.as_bytes()), &[binary(payload.as_bytes())], End::Idle);
        check("any mask", &frame_masked(TEXT, [0; 4], payload.as_bytes()), &[text(&payload)], End::Idle);
    }
}

#[test]
fn pings_and_pongs_carry_up_to_125_bytes() {
    let longest = [0xfe; 125];
    for payload in [&b""[..], b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", &longest] {
        check("2.1-2.4 ping", &frame(PING, payload), &[ping(payload)], End::Idle);
        check("2.7-2.9 pong", &frame(PONG, payload), &[pong(payload)], End::Idle);
    }
    let ten: Vec<u8> = (0..10).flat_map(|index| frame(PING, &[index])).collect();
    check("2.10 ten pings", &ten, &(0..10).map(|index| ping(&[index])).collect::<Vec<_>>(), End::Idle);
    check("2.5 too long", &frame(PING, &[0xfe; 126]), &[], End::Refused(Violation::CONTROL_TOO_LONG));
    check("too long", &frame(PONG, &vec![0xfe; 70_000]), &[], End::Refused(Violation::CONTROL_TOO_LONG));
}

#[test]
fn reserved_bits_are_refused() {
    for reserved in 1..8_u8 {
        for first in [TEXT, BINARY, PING, PONG, 0x88, TEXT_BEGINS] {
            let bytes = frames(&[(TEXT, b"before"), (first | reserved << 4, b""), (PING, b"after")]);
            check("3.*", &bytes, &[text("before")], End::Refused(Violation::RESERVED_BITS));
        }
    }
}

#[test]
fn reserved_opcodes_are_refused() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"reserved"] {
            let bytes = frames(&[(TEXT, b"before"), (LAST | opcode, payload), (PING, b"after")]);
            check("4.*", &bytes, &[text("before")], End::Refused(Violation::RESERVED_OPCODE));
        }
    }
}

#[test]
fn fragments_become_one_message_and_control_frames_may_stand_between_them() {
    let both = [text("ab"), ping(b"p")];
    let table: &[Case<'_>] = &[
        ("5.3", &[(TEXT_BEGINS, b"a"), (LAST, b"b")], &[text("ab")], End::Idle),
        ("5.6", &[(TEXT_BEGINS, b"a"), (PING, b"p"), (LAST, b"b")], &[ping(b"p"), text("ab")], End::Idle),
        ("ping behind", &[(TEXT_BEGINS, b"a"), (LAST, b"b"), (PING, b"p")], &both, End::Idle),
        (
            "binary",
            &[(BINARY_BEGINS, b"\xff"), (CONTINUATION, b""), (LAST, b"\xfe")],
            &[binary(b"\xff\xfe")],
            End::Idle,
        ),
        ("6.1.2", &[(TEXT_BEGINS, b""), (CONTINUATION, b""), (LAST, b"")], &[text("")], End::Idle),
        ("6.1.3", &[(TEXT_BEGINS, b""), (CONTINUATION, b"mid"), (LAST, b"")], &[text("mid")], End::Idle),
        ("unfinished", &[(TEXT_BEGINS, b"a"), (PING, b"p")], &[ping(b"p")], End::Unfinished),
        (
            "5.19",
            &[
                (TEXT_BEGINS, b"a"),
                (CONTINUATION, b"b"),
                (PING, b"1"),
                (CONTINUATION, b"c"),
                (PING, b"2"),
                (LAST, b"d"),
            ],
            &[ping(b"1"), ping(b"2"), text("abcd")],
            End::Idle,
        ),
    ];
    for (name, conversation, expected, end) in table {
        check(name, &frames(conversation), expected, *end);
    }
}

#[test]
fn every_part_of_a_message_but_the_last_is_an_event_once_it_is_whole() {
    let mut bytes =
        frames(&[(TEXT_BEGINS, b"a"), (CONTINUATION, b""), (PING, b""), (CONTINUATION, b"bc"), (LAST, b"d")]);
    let expected = [Event::Part, Event::Part, Event::Ping(b""), Event::Part, Event::Text("abcd")];
    let (mut decoder, mut input) = (Decoder::default(), Input::new(&mut bytes));
    for event in expected {
        assert_eq!(decoder.next(&mut input, ROOMY), Ok(Some(event)));
    }
    let mut bytes = frame(BINARY_BEGINS, b"in two");
    let (begun, rest) = bytes.split_at_mut(9);
    assert_eq!(decoder.next(&mut Input::new(begun), ROOMY), Ok(None));
    assert_eq!(decoder.next(&mut Input::new(rest), ROOMY), Ok(Some(Event::Part)));
}

#[test]
fn fragments_out_of_turn_are_refused() {
    let nothing = End::Refused(Violation::NOTHING_TO_CONTINUE);
    let mixed = End::Refused(Violation::MESSAGE_UNDER_WAY);
    let fragmented = End::Refused(Violation::CONTROL_FRAGMENTED);
    let table: &[Case<'_>] = &[
        ("5.1", &[(0x09, b"p"), (LAST, b"q")], &[], fragmented),
        ("5.2", &[(0x0a, b"p"), (LAST, b"q")], &[], fragmented),
        ("close", &[(0x08, b"\x03\xe8")], &[], fragmented),
        ("5.9", &[(LAST, b"a"), (TEXT, b"b")], &[], nothing),
        ("5.12", &[(CONTINUATION, b"a"), (TEXT, b"b")], &[], nothing),
        ("5.15", &[(TEXT_BEGINS, b"a"), (LAST, b"b"), (CONTINUATION, b"c")], &[text("ab")], nothing),
        ("5.18", &[(TEXT_BEGINS, b"a"), (TEXT, b"b")], &[], mixed),
        ("two begin", &[(TEXT_BEGINS, b""), (BINARY_BEGINS, b"b")], &[], mixed),
        ("ping between", &[(BINARY_BEGINS, b""), (PING, b"p"), (BINARY, b"b")], &[ping(b"p")], mixed),
    ];
    for (name, conversation, expected, end) in table {
        check(name, &frames(conversation), expected, *end);
    }
}

#[test]
fn lengths_are_minimal_and_below_two_to_the_63() {
    for (header, violation) in [
        (&b"\x82\xfe\x00\x7d"[..], Violation::LENGTH_NOT_MINIMAL),
        (b"\x82\xfe\x00\x00", Violation::LENGTH_NOT_MINIMAL),
        (b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", Violation::LENGTH_NOT_MINIMAL),
        (b"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01", Violation::LENGTH_NOT_MINIMAL),
        (b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", Violation::LENGTH_TOP_BIT),
        (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", Violation::LENGTH_TOP_BIT),
        (b"\x89\xfe\x00\x05", Violation::LENGTH_NOT_MINIMAL),
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", Violation::TooBig),
    ] {
        check("a length", &[header, b"mask"].concat(), &[], End::Refused(violation));
    }
}

#[test]
fn a_message_above_the_limit_is_refused_by_the_header_that_says_so() {
    let max = 10;
    for (conversation, refused) in [
        (&[(TEXT, &[b'a'; 10][..])][..], None),
        (&[(TEXT, &[b'a'; 11])], Some(5)),
        (&[(TEXT_BEGINS, b"12345"), (LAST, b"67890")], None),
        (&[(TEXT_BEGINS, b"12345"), (LAST, b"678901")], Some(11 + 5)),
        (&[(BINARY_BEGINS, b"1234567890"), (PING, &[0; 125]), (LAST, b"1")], Some(16 + 131 + 5)),
        (&[(BINARY_BEGINS, b"1234567890"), (CONTINUATION, b""), (LAST, b"")], None),
        (&[(PING, &[0; 125])], None),
    ] {
        let refused = refused.map(|index| (index, Violation::TooBig));
        assert_eq!(refused_at(&frames(conversation), max), refused, "{conversation:?}");
    }
    assert_eq!(refused_at(&frame(BINARY, &vec![0; 70_000]), ROOMY), None);
}
