//! Text from outside, on a terminal.

use std::fmt::Write as _;

/// A text from outside that does nothing to a terminal but stand in one line of it.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        // Beside control characters, those that turn the direction of what follows.
        match letter {
            letter if letter.is_control() => write!(shown, "{}", letter.escape_default()).expect("a String takes all"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(shown, "{}", letter.escape_unicode()).expect("a String takes all");
            }
            letter => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_comes_from_outside_stays_in_its_line() {
        for (text, shown) in [
            ("{\"type\":\"grün\"} 日本", "{\"type\":\"grün\"} 日本"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\x1b[2J\u{9b}", "\\u{1b}[2J\\u{9b}"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }
}
