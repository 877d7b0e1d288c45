//! Family 7 of the Autobahn test suite: closes, their codes and reasons, and what a violation tells.

use super::client::{CLOSE, End, LAST, PING, ROOMY, Said, TEXT, TEXT_BEGINS, check, frame, frames, refused_at, text};
use crate::wire::ws::Violation;

/// Name, frames, and what they say.
type Case<'a> = (&'a str, &'a [(u8, &'a [u8])], &'a [Said]);

fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

#[test]
fn nothing_counts_behind_a_close() {
    let closed = Said::Close(None);
    let table: &[Case<'_>] = &[
        ("7.1.1", &[(TEXT, b"a"), (CLOSE, b"")], &[text("a"), closed.clone()]),
        ("7.1.2", &[(CLOSE, b""), (CLOSE, b"")], std::slice::from_ref(&closed)),
        ("7.1.3", &[(CLOSE, b""), (PING, b"")], std::slice::from_ref(&closed)),
        ("7.1.4", &[(CLOSE, b""), (TEXT, b"a")], std::slice::from_ref(&closed)),
        ("7.1.5", &[(TEXT_BEGINS, b"a"), (CLOSE, b""), (LAST, b"b")], std::slice::from_ref(&closed)),
    ];
    for (name, conversation, expected) in table {
        check(name, &frames(conversation), expected, End::Closed);
    }
}

#[test]
fn a_close_carries_nothing_or_a_code_and_a_reason() {
    let longest = "*".repeat(123);
    check("7.3.1", &frame(CLOSE, b""), &[Said::Close(None)], End::Closed);
    check("7.3.2", &frame(CLOSE, b"a"), &[], End::Refused(Violation::CLOSE_CODE_CUT));
    for reason in ["", "Hello World!", &longest] {
        check("7.3.3-7.3.5", &close(1000, reason), &[Said::Close(Some((1000, reason.to_owned())))], End::Closed);
    }
    check("7.3.6", &close(1000, &"*".repeat(124)), &[], End::Refused(Violation::CONTROL_TOO_LONG));
}

#[test]
fn codes_are_those_that_may_travel() {
    let allowed = |code: &u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in 0..=u16::MAX {
        let expected = if allowed(&code) { None } else { Some((7, Violation::CLOSE_CODE)) };
        assert_eq!(refused_at(&close(code, "why"), ROOMY), expected, "{code}");
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        check("7.7", &close(code, ""), &[Said::Close(Some((code, String::new())))], End::Closed);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check("7.9, 7.13", &close(code, ""), &[], End::Refused(Violation::CLOSE_CODE));
    }
}

#[test]
fn every_violation_has_a_code_and_a_reason_that_fits_a_close_frame() {
    for (violation, code) in [
        (Violation::RESERVED_BITS, 1002),
        (Violation::RESERVED_OPCODE, 1002),
        (Violation::NOT_MASKED, 1002),
        (Violation::LENGTH_NOT_MINIMAL, 1002),
        (Violation::LENGTH_TOP_BIT, 1002),
        (Violation::CONTROL_FRAGMENTED, 1002),
        (Violation::CONTROL_TOO_LONG, 1002),
        (Violation::CLOSE_CODE_CUT, 1002),
        (Violation::CLOSE_CODE, 1002),
        (Violation::NOTHING_TO_CONTINUE, 1002),
        (Violation::MESSAGE_UNDER_WAY, 1002),
        (Violation::NotUtf8, 1007),
        (Violation::TooBig, 1009),
    ] {
        assert_eq!(violation.close_code(), code);
        assert!((1..=123).contains(&violation.reason().len()), "{violation:?}");
    }
}
