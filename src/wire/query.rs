//! Query strings (application/x-www-form-urlencoded) and escaped path segments (RFC 3986 §2.1), decoded strictly.

use percent_encoding::percent_decode;
use std::borrow::Cow;
use std::fmt;

/// Why a query or a path segment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadQuery {
    /// A `%` that is not followed by two hexadecimal digits.
    BrokenEscape,
    /// The parameter is there more than once.
    Repeated,
    /// The decoded bytes are not UTF-8.
    NotUtf8,
}

impl fmt::Display for BadQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BrokenEscape => "a % is not followed by two hexadecimal digits",
            Self::Repeated => "the parameter is given more than once",
            Self::NotUtf8 => "the decoded bytes are not UTF-8",
        })
    }
}

impl std::error::Error for BadQuery {}

/// A query without its `?`, every escape of which is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Takes a raw query; a broken escape anywhere in it is an error, whichever parameter it belongs to.
    pub fn parse(raw: &'a str) -> Result<Self, BadQuery> {
        if has_whole_escapes(raw) { Ok(Self(raw)) } else { Err(BadQuery::BrokenEscape) }
    }

    /// The decoded value of a parameter that may be there once; `+` is a space. Without a `=` the value is empty.
    pub fn unique(&self, name: &str) -> Result<Option<Cow<'a, str>>, BadQuery> {
        let mut found = self.0.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (*decode_form(key) == *name.as_bytes()).then_some(value)
        });
        let first = found.next();
        if found.next().is_some() {
            return Err(BadQuery::Repeated);
        }
        first.map(|value| into_text(decode_form(value))).transpose()
    }
}

/// Decodes one segment of a path; `+` is a plus sign there.
pub fn decode_segment(raw: &str) -> Result<Cow<'_, str>, BadQuery> {
    if !has_whole_escapes(raw) {
        return Err(BadQuery::BrokenEscape);
    }
    into_text(percent_decode(raw.as_bytes()).into())
}

fn has_whole_escapes(raw: &str) -> bool {
    let mut pieces = raw.as_bytes().split(|&byte| byte == b'%');
    pieces.next();
    pieces.all(|piece| piece.len() >= 2 && piece[..2].iter().all(u8::is_ascii_hexdigit))
}

fn decode_form(raw: &str) -> Cow<'_, [u8]> {
    if !raw.contains('+') {
        return percent_decode(raw.as_bytes()).into();
    }
    // Spaces first: an escaped plus sign (%2B) must stay one.
    let spaced = raw.replace('+', " ");
    Cow::Owned(percent_decode(spaced.as_bytes()).collect())
}

fn into_text(decoded: Cow<'_, [u8]>) -> Result<Cow<'_, str>, BadQuery> {
    match decoded {
        Cow::Borrowed(bytes) => str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| BadQuery::NotUtf8),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BadQuery::NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: Result<Option<&str>, BadQuery>) {
        let found = Query::parse(raw).and_then(|query| query.unique("username"));
        assert_eq!(found.as_ref().map(Option::as_deref).map_err(|&bad| bad), expected, "{raw}");
    }

    #[test]
    fn a_parameter_is_found_once_and_decoded() {
        for (raw, expected) in [
            ("", None),
            ("username", Some("")),
            ("username=", Some("")),
            ("username=alice", Some("alice")),
            ("meta=1&username=alice", Some("alice")),
            ("username=alice&", Some("alice")),
            ("&&username=a=b", Some("a=b")),
            ("user%6Eame=alice", Some("alice")),
            ("username=a+b%2Bc%20d", Some("a b+c d")),
            ("username=%e2%82%AC", Some("€")),
            ("username=%00", Some("\0")),
            ("username=%26%3d%25", Some("&=%")),
            ("Username=alice", None),
            ("usernames=alice", None),
            ("xusername=alice", None),
            ("username=*%5B%3f%5D", Some("*[?]")),
        ] {
            check(raw, Ok(expected));
        }
    }

    #[test]
    fn a_query_that_can_be_read_in_two_ways_is_refused() {
        for (raw, expected) in [
            ("username=%zz", BadQuery::BrokenEscape),
            ("username=%4", BadQuery::BrokenEscape),
            ("username=%", BadQuery::BrokenEscape),
            ("username=%+1", BadQuery::BrokenEscape),
            ("username=alice&other=100%", BadQuery::BrokenEscape),
            ("username=%%34", BadQuery::BrokenEscape),
            ("username=alice&username=bob", BadQuery::Repeated),
            ("username=alice&username=alice", BadQuery::Repeated),
            ("username=alice&user%6eame=bob", BadQuery::Repeated),
            ("username&username", BadQuery::Repeated),
            ("username=%ff", BadQuery::NotUtf8),
            ("username=%c3", BadQuery::NotUtf8),
            ("username=%ed%a0%80", BadQuery::NotUtf8),
        ] {
            check(raw, Err(expected));
        }
    }

    #[test]
    fn a_plus_sign_in_a_path_is_a_plus_sign() {
        for (raw, expected) in [
            ("alice", Ok("alice")),
            ("a+b", Ok("a+b")),
            ("a%20b%2Fc", Ok("a b/c")),
            ("%zz", Err(BadQuery::BrokenEscape)),
            ("%ff", Err(BadQuery::NotUtf8)),
        ] {
            assert_eq!(decode_segment(raw).as_deref().map_err(|&bad| bad), expected, "{raw}");
        }
    }

    #[test]
    fn what_was_encoded_is_decoded_to_itself() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..2_000 {
            let name: String = (0..random.usize(0..40)).map(|_| random.char(..)).collect();
            let encoded = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC).to_string();
            check(&format!("meta=1&username={encoded}"), Ok(Some(&name)));
            assert_eq!(decode_segment(&encoded).as_deref(), Ok(name.as_str()));
        }
    }

    #[test]
    fn garbage_is_answered_and_never_panics() {
        let mut random = fastrand::Rng::with_seed(4);
        let alphabet = b"%%%&=+username0aFzZ\xc3\xa9";
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..30)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
            let raw = String::from_utf8_lossy(&bytes);
            let _ = Query::parse(&raw).and_then(|query| query.unique("username"));
            let _ = decode_segment(&raw);
        }
    }
}
