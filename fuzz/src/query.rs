//! Query strings and escaped segments of paths, as `wire::query` reads them, and the usernames in them.
//!
//! - A slow reader who looks at one byte after the other finds the same value or the same fault.
//! - A value written again, all of it escaped, is the same value.
//! - A username is 1 to 255 bytes without control characters, and exactly the value.

use fanout::wire::query::{BadQuery, Query, decode_segment};
use fanout::wire::username::{USERNAME_BYTES_MAX, Username};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Names that somebody asks for; the last is no name of a parameter in use, but short enough to be hit by chance.
const NAMES: [&str; 3] = ["username", "meta", "a"];

/// Panics where one of the invariants does not hold.
pub fn check(bytes: &[u8]) {
    let Ok(raw) = str::from_utf8(bytes) else { return };
    let pairs = pairs_slowly(raw);
    for name in NAMES {
        let value = Query::parse(raw).and_then(|query| query.unique(name));
        let value = value.as_ref().map(|value| value.as_deref()).map_err(|&bad| bad);
        let expected = pairs.as_ref().map_err(|&bad| bad).and_then(|pairs| find_slowly(pairs, name));
        assert_eq!(value, expected.as_ref().map(Option::as_deref).map_err(|&bad| bad), "{name}");
        if let Ok(Some(value)) = value {
            check_value(value);
        }
    }
    let segment = decode_segment(raw);
    assert_eq!(segment.as_deref().map_err(|&bad| bad), decode_slowly(raw, '+').as_deref().map_err(|&bad| bad));
}

fn check_value(value: &str) {
    let written = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let query = format!("meta=1&username={written}");
    let again = Query::parse(&query).and_then(|query| query.unique("username"));
    assert_eq!(again.as_ref().map(|again| again.as_deref()), Ok(Some(value)), "written again");
    assert_eq!(decode_segment(&written).as_deref(), Ok(value), "written again in a path");
    let is_good = (1..=USERNAME_BYTES_MAX).contains(&value.len()) && !value.chars().any(char::is_control);
    let name = Username::parse(value);
    assert_eq!(name.as_ref().map(Username::as_str).ok(), is_good.then_some(value));
}

/// A parameter: its name as it is meant, and its value as it is written.
type Pair<'a> = (Result<String, BadQuery>, &'a str);

fn pairs_slowly(raw: &str) -> Result<Vec<Pair<'_>>, BadQuery> {
    if decode_slowly(raw, ' ') == Err(BadQuery::BrokenEscape) {
        return Err(BadQuery::BrokenEscape);
    }
    let pairs = raw.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Ok(pairs.map(|(name, value)| (decode_slowly(name, ' '), value)).collect())
}

fn find_slowly(pairs: &[Pair<'_>], wanted: &str) -> Result<Option<String>, BadQuery> {
    let mut found = pairs.iter().filter(|(name, _)| name.as_deref() == Ok(wanted)).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => decode_slowly(value, ' ').map(Some),
        (Some(_), Some(_)) => Err(BadQuery::Repeated),
    }
}

fn decode_slowly(raw: &str, plus: char) -> Result<String, BadQuery> {
    let (mut decoded, mut bytes) = (Vec::with_capacity(raw.len()), raw.bytes());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or(BadQuery::BrokenEscape)?, digit().ok_or(BadQuery::BrokenEscape)?);
                u8::try_from(high * 16 + low).expect("two digits")
            }
            b'+' => u8::try_from(plus).expect("ASCII"),
            byte => byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| BadQuery::NotUtf8)
}
