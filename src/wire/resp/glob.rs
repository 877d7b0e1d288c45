//! Redis' glob patterns, matched in bounded time.
//!
//! ```text
//!   *  any bytes, none too     [abc] [a-c]  one of these      \x  x itself
//!   ?  one byte                [^a]         one of the others
//! ```

/// Whether `text` matches `pattern` in full, byte by byte, as `PSUBSCRIBE` understands it
/// (<https://redis.io/docs/latest/commands/psubscribe/>; odd patterns as Redis' `stringmatchlen` takes them).
///
/// A mismatch returns to the latest `*` only, and an earlier one could not do better; so the time is at most the
/// product of both lengths, where plain recursion takes exponential time for `a*a*a*a*b`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, read));
        } else if let Some(token_bytes) = match_one(&pattern[at..], text[read]) {
            at += token_bytes;
            read += 1;
        } else if let Some((after_star, swallowed)) = star {
            star = Some((after_star, swallowed + 1));
            (at, read) = (after_star, swallowed + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// How many bytes of the pattern stand for `byte`, if they do.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => (literal == byte).then_some(2),
        [b'[', ref class @ ..] => {
            let (is_member, class_bytes) = match_class(class, byte);
            is_member.then_some(1 + class_bytes)
        }
        [literal, ..] => (literal == byte).then_some(1),
    }
}

/// Whether `byte` is in the class that starts behind `[`, and how long it is, `]` included. One that is never closed
/// ends with the pattern.
fn match_class(class: &[u8], byte: u8) -> (bool, usize) {
    let is_negated = class.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_listed = false;
    loop {
        match class[at..] {
            [] => return (is_listed != is_negated, at),
            [b'\\', literal, ..] => {
                is_listed |= literal == byte;
                at += 2;
            }
            [b']', ..] => return (is_listed != is_negated, at + 1),
            [start, b'-', end, ..] => {
                is_listed |= (start.min(end)..=start.max(end)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                is_listed |= literal == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("**", "", true),
            ("workflow:events:*", "workflow:events:", true),
            ("workflow:events:*", "workflow:events:alice", true),
            ("workflow:events:*", "workflow:events", false),
            ("workflow:events:*", "other:workflow:events:alice", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("h[a-b]llo", "hcllo", false),
            (r"h\*llo", "h*llo", true),
            (r"h\*llo", "hello", false),
            (r"[\]]", "]", true),
            (r"[\^a]", "^", true),
            ("[]]", "]", false),
            ("[abc", "b", true),
            ("[abc", "d", false),
            ("[^abc", "d", true),
            ("[", "[", false),
            ("[a-", "-", true),
            (r"a\", r"a\", true),
            ("a*b*c", "a--b--b--c", true),
            ("a*b*c", "a--b--b--d", false),
            ("*ab", "aab", true),
            ("*[0-9]x", "1112x", true),
            ("?", "é", false),
            ("??", "é", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(128) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(512).as_bytes()));
    }

    #[test]
    fn a_mismatch_that_returns_to_the_latest_star_finds_what_trying_everything_finds() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..200_000 {
            let pattern: Vec<u8> = (0..random.usize(0..7)).map(|_| b"ab*?[]^-\\"[random.usize(0..9)]).collect();
            let text: Vec<u8> = (0..random.usize(0..6)).map(|_| b"ab-]"[random.usize(0..4)]).collect();
            assert_eq!(matches(&pattern, &text), matches_slowly(&pattern, &text), "{pattern:?} on {text:?}");
        }
    }

    fn matches_slowly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|swallowed| matches_slowly(rest, &text[swallowed..])),
            ([], []) => true,
            (_, []) => false,
            (_, [byte, rest @ ..]) => {
                match_one(pattern, *byte).is_some_and(|token_bytes| matches_slowly(&pattern[token_bytes..], rest))
            }
        }
    }
}
