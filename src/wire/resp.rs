//! RESP, the language of Redis: what a subscriber hears, what a publisher asks, what a server answers, how patterns match.
//!
//! Rules: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

pub mod command;
pub mod glob;
pub mod push;
pub mod reply;
pub mod request;

/// Longest line either side may send before its `\r\n`: an error, a count, a length, an inline command.
/// Redis' own limit (`PROTO_INLINE_MAX_SIZE`).
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// An error reply without the arguments that it repeats. Redis quotes those of a command that it does not know (`ERR
/// unknown command 'AUTH', with args beginning with: 'a secret'`); what was sent may be a password or somebody's event.
pub fn without_arguments(error: &[u8]) -> &[u8] {
    const REPEATS: &[u8] = b", with args";
    let end = error.windows(REPEATS.len()).position(|words| words == REPEATS);
    &error[..end.unwrap_or(error.len())]
}

/// Where a whole line ends: the position of its `\r`, if `\r\n` has arrived. Bytes before `from` are known to hold none.
fn line_end(buffer: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += buffer.get(at..)?.iter().position(|&byte| byte == b'\r')?;
        match buffer.get(at + 1) {
            Some(b'\n') => return Some(at),
            Some(_) => at += 1,
            None => return None,
        }
    }
}

/// A number as Redis writes and accepts it: an optional minus, no plus, no leading zeroes, no spaces.
fn integer(digits: &[u8]) -> Option<i64> {
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    if unsigned.is_empty() || (unsigned.starts_with(b"0") && digits != b"0") {
        return None;
    }
    let sign = if unsigned.len() == digits.len() { 1 } else { -1 };
    unsigned.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(sign * digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_strict_as_those_of_redis() {
        let good: [(&[u8], i64); 5] = [
            (b"0", 0),
            (b"-1", -1),
            (b"42", 42),
            (b"9223372036854775807", i64::MAX),
            (b"-9223372036854775808", i64::MIN),
        ];
        for (digits, number) in good {
            assert_eq!(integer(digits), Some(number));
        }
        for digits in ["", "-", "-0", "+1", " 1", "1 ", "01", "1x", "9223372036854775808", "1\n", "0x10", "é"] {
            assert_eq!(integer(digits.as_bytes()), None, "{digits:?}");
        }
    }

    #[test]
    fn a_line_ends_where_both_bytes_stand() {
        let table: [(&[u8], Option<usize>); 6] = [
            (b"", None),
            (b"abc", None),
            (b"abc\r", None),
            (b"abc\r\n", Some(3)),
            (b"a\rb\r\n", Some(3)),
            (b"a\nb", None),
        ];
        for (buffer, end) in table {
            assert_eq!(line_end(buffer, 0), end, "{buffer:?}");
        }
        assert_eq!(line_end(b"a\r\nb\r\n", 3), Some(4));
        assert_eq!(line_end(b"a", 7), None);
    }
}
