//! A text frame as this server sends it, taken apart by other means than those it was made with.

/// The text of a whole frame: final, not masked, its length in as few bytes as it needs (RFC 6455 §5.2).
pub(crate) fn text(frame: &[u8]) -> &str {
    let (length, text) = match frame {
        [0x81, 127, ..] if frame.len() >= 10 => (number(&frame[2..10]), &frame[10..]),
        [0x81, 126, ..] if frame.len() >= 4 => (number(&frame[2..4]), &frame[4..]),
        [0x81, length, text @ ..] => (usize::from(*length), text),
        _ => panic!("not a text frame: {}", frame.escape_ascii()),
    };
    assert_eq!(length, text.len(), "the header says how long the text is");
    str::from_utf8(text).expect("a text frame holds UTF-8")
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}
