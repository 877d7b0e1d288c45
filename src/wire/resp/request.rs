//! What a RESP client asks: arrays of bulk strings, or words on a line. Hostile until parsed.

use super::{LINE_BYTES_MAX, integer, line_end};
use smallvec::SmallVec;
use std::ops::Range;

/// Words a command may have: a client that comes back subscribes in one command to all it had before.
/// Redis allows a million; here each costs 16 bytes until the command is whole, so 1 MiB at most.
pub const WORDS_MAX: usize = 64 * 1024;

/// Bytes of a command beside its largest bulk string: the other words of [`WORDS_MAX`] and all the lengths.
pub const OTHER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A whole command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The command and its arguments; none for an empty line, which asks nothing.
    pub words: Words,
    /// Bytes of the buffer that it took.
    pub bytes: usize,
}

/// The words of a command, the first of which names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// From an array: each a range of the buffer, directly behind the `\r\n$length\r\n` that announced it.
    InPlace(SmallVec<[Range<usize>; 4]>),
    /// From a line: quotes resolved.
    Apart(Vec<Vec<u8>>),
}

impl Words {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::InPlace(ranges) => ranges.len(),
            Self::Apart(words) => words.len(),
        }
    }

    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The words' bytes; `buffer` starts where the request does.
    pub fn of<'a>(&'a self, buffer: &'a [u8]) -> SmallVec<[&'a [u8]; 4]> {
        match self {
            Self::InPlace(ranges) => ranges.iter().map(|range| &buffer[range.clone()]).collect(),
            Self::Apart(words) => words.iter().map(Vec::as_slice).collect(),
        }
    }
}

/// Why a connection is not understood and must end; worded as Redis words it (`networking.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The number of words is not a number, or above [`WORDS_MAX`].
    InvalidMultibulkLength,
    /// A length is not a number, or negative.
    InvalidBulkLength,
    /// A word is longer than the limit.
    BulkAboveLimit,
    /// A length was due, and this byte came.
    ExpectedDollar(u8),
    /// A quote that never closes, or is not followed by a space.
    UnbalancedQuotes,
    /// A line of words above [`LINE_BYTES_MAX`].
    TooBigInline,
    /// A count that does not end.
    TooBigCount,
    /// A length that does not end.
    TooBigLength,
    /// All words together are above the limit.
    TooBigRequest,
}

impl std::fmt::Display for ProtocolError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Protocol error: ")?;
        match self {
            Self::InvalidMultibulkLength => formatter.write_str("invalid multibulk length"),
            Self::InvalidBulkLength | Self::BulkAboveLimit => formatter.write_str("invalid bulk length"),
            Self::ExpectedDollar(byte @ b' '..=b'~') => write!(formatter, "expected '$', got '{}'", char::from(*byte)),
            Self::ExpectedDollar(_) => formatter.write_str("expected '$', got ' '"),
            Self::UnbalancedQuotes => formatter.write_str("unbalanced quotes in request"),
            Self::TooBigInline => formatter.write_str("too big inline request"),
            Self::TooBigCount => formatter.write_str("too big mbulk count string"),
            Self::TooBigLength => formatter.write_str("too big bulk count string"),
            Self::TooBigRequest => formatter.write_str("too big request"),
        }
    }
}

/// Parses one connection's requests, each byte once however they are split.
///
/// ```text
///   Idle ──'*'──► Length ◄──────────────┐
///    │              └─'$n'─► Bulk ──n───┘──► whole
///    └──words──► whole
/// ```
///
/// What is claimed costs nothing: memory grows with the words that have arrived.
#[derive(Debug)]
pub struct RequestParser {
    bulk_bytes_max: usize,
    state: State,
    /// Where the line or bulk string in progress begins.
    at: usize,
    /// Bytes before this hold no line end.
    scanned: usize,
    words: SmallVec<[Range<usize>; 4]>,
    /// Words that were announced and have not arrived.
    missing: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Length,
    Bulk { bytes: usize },
}

impl RequestParser {
    /// A parser that accepts single words of up to `bulk_bytes_max` bytes.
    pub fn new(bulk_bytes_max: usize) -> Self {
        Self { bulk_bytes_max, state: State::Idle, at: 0, scanned: 0, words: SmallVec::new(), missing: 0 }
    }

    /// Goes on with the request that `buffer` starts with; `None` while it is not whole.
    ///
    /// The caller appends to the buffer between calls, and removes a request's bytes before it asks for the next.
    /// After an error the connection is past saving.
    pub fn parse(&mut self, buffer: &[u8]) -> Result<Option<Request>, ProtocolError> {
        loop {
            let has_moved = match self.state {
                State::Idle => match buffer.first() {
                    None => return Ok(None),
                    Some(b'*') => self.take_count(buffer)?,
                    Some(_) => return self.take_line(buffer),
                },
                State::Length => self.take_length(buffer)?,
                State::Bulk { bytes } => self.take_bulk(buffer, bytes),
            };
            if !has_moved {
                return Ok(None);
            }
            if self.missing == 0 {
                return Ok(Some(self.finish()));
            }
        }
    }

    fn finish(&mut self) -> Request {
        let request = Request { words: Words::InPlace(std::mem::take(&mut self.words)), bytes: self.at };
        *self = Self::new(self.bulk_bytes_max);
        request
    }

    fn take_count(&mut self, buffer: &[u8]) -> Result<bool, ProtocolError> {
        let Some(end) = self.line(buffer, ProtocolError::TooBigCount)? else { return Ok(false) };
        let count = integer(&buffer[1..end]).ok_or(ProtocolError::InvalidMultibulkLength)?;
        // Redis takes a count of zero or less for an empty request.
        self.missing = usize::try_from(count.max(0)).map_err(|_| ProtocolError::InvalidMultibulkLength)?;
        if self.missing > WORDS_MAX {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        self.go_on_at(end + 2, State::Length)
    }

    fn take_length(&mut self, buffer: &[u8]) -> Result<bool, ProtocolError> {
        match buffer.get(self.at) {
            None => return Ok(false),
            Some(b'$') => {}
            Some(&byte) => return Err(ProtocolError::ExpectedDollar(byte)),
        }
        let Some(end) = self.line(buffer, ProtocolError::TooBigLength)? else { return Ok(false) };
        let bytes = integer(&buffer[self.at + 1..end])
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if bytes > self.bulk_bytes_max {
            return Err(ProtocolError::BulkAboveLimit);
        }
        self.go_on_at(end + 2, State::Bulk { bytes })
    }

    fn take_bulk(&mut self, buffer: &[u8], bytes: usize) -> bool {
        let end = self.at + bytes + 2;
        if buffer.len() < end {
            return false;
        }
        self.words.push(self.at..self.at + bytes);
        self.missing -= 1;
        (self.at, self.scanned, self.state) = (end, end, State::Length);
        true
    }

    fn go_on_at(&mut self, at: usize, state: State) -> Result<bool, ProtocolError> {
        if at > self.bulk_bytes_max + OTHER_BYTES_MAX {
            return Err(ProtocolError::TooBigRequest);
        }
        (self.at, self.scanned, self.state) = (at, at, state);
        Ok(true)
    }

    /// The end of the line at `self.at`.
    fn line(&mut self, buffer: &[u8], too_big: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let end = line_end(buffer, self.scanned);
        // A `\r` at the very end may be half of the line's end. It counts, so that the limit does not depend on cuts.
        if end.map_or(buffer.len(), |end| end + 1) - self.at > LINE_BYTES_MAX {
            return Err(too_big);
        }
        self.scanned = buffer.len().saturating_sub(1).max(self.at);
        Ok(end)
    }

    /// Words on a line: what people type into telnet.
    fn take_line(&mut self, buffer: &[u8]) -> Result<Option<Request>, ProtocolError> {
        let end = buffer[self.scanned..].iter().position(|&byte| byte == b'\n').map(|at| self.scanned + at);
        if end.unwrap_or(buffer.len()) > LINE_BYTES_MAX {
            return Err(ProtocolError::TooBigInline);
        }
        let Some(end) = end else {
            self.scanned = buffer.len();
            return Ok(None);
        };
        self.scanned = 0;
        let line = buffer[..end].strip_suffix(b"\r").unwrap_or(&buffer[..end]);
        let words = split(line).ok_or(ProtocolError::UnbalancedQuotes)?;
        Ok(Some(Request { words: Words::Apart(words), bytes: end + 1 }))
    }
}

/// Splits a line into words as Redis does (`sdssplitargs`); `None` where a quote is left open.
///
/// ```text
///   a  "b c" 'd e' "\x41\n" f"g h"  →  a · b c · d e · A⏎ · fg h
/// ```
fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        rest = match take_word(rest, &mut word)? {
            [] => &[],
            after => after.trim_ascii_start(),
        };
        words.push(word);
    }
    Some(words)
}

fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match *rest {
            [] => return Some(rest),
            [byte, ..] if byte.is_ascii_whitespace() => return Some(rest),
            [b'"', ref quoted @ ..] => return take_double_quoted(quoted, word),
            [b'\'', ref quoted @ ..] => return take_single_quoted(quoted, word),
            [byte, ref after @ ..] => {
                word.push(byte);
                after
            }
        };
    }
}

fn take_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match *rest {
            [] => return None,
            [b'"', ref after @ ..] => return is_closed(after).then_some(after),
            [b'\\', b'x', high, low, ref after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_digit(high) * 16 + hex_digit(low), after)
            }
            [b'\\', letter, ref after @ ..] => (unescape(letter), after),
            [byte, ref after @ ..] => (byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, after) = match *rest {
            [] => return None,
            [b'\'', ref after @ ..] => return is_closed(after).then_some(after),
            [b'\\', b'\'', ref after @ ..] => (b'\'', after),
            [byte, ref after @ ..] => (byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

/// Behind a closing quote stands a space or nothing.
fn is_closed(after: &[u8]) -> bool {
    after.first().is_none_or(u8::is_ascii_whitespace)
}

fn unescape(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100;

    /// Feeds `bytes` in pieces that end where `cuts` says, and returns the words of every request and the error.
    fn feed(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
        let mut parser = RequestParser::new(LIMIT);
        let (mut requests, mut start) = (Vec::new(), 0);
        for end in cuts.chain([bytes.len()]) {
            loop {
                match parser.parse(&bytes[start..end]) {
                    Ok(Some(request)) => {
                        let words = request.words.of(&bytes[start..end]);
                        requests.push(words.iter().map(|word| word.to_vec()).collect());
                        start += request.bytes;
                    }
                    Ok(None) => break,
                    Err(error) => return (requests, Some(error.to_string())),
                }
            }
        }
        (requests, None)
    }

    #[test]
    fn requests_are_the_same_wherever_they_are_split() {
        type Row = (&'static [u8], &'static [&'static [&'static str]], Option<&'static str>);
        let table: [Row; 24] = [
            (b"*1\r\n$4\r\nPING\r\n", &[&["PING"]], None),
            (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", &[&["ECHO", ""]], None),
            (b"*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n", &[&["ECHO", "a\r\nb"]], None),
            (b"PING\r\nPING\n", &[&["PING"], &["PING"]], None),
            (b"\r\n\r\nPING\r\n", &[&[], &[], &["PING"]], None),
            (b"*0\r\n*-1\r\nPING\r\n", &[&[], &[], &["PING"]], None),
            (b"  publish  c  \"a b\" \r\n", &[&["publish", "c", "a b"]], None),
            (b"echo \"\\x41\\n\\\"\\q\" 'it\\'s \\n'\r\n", &[&["echo", "A\n\"q", "it's \\n"]], None),
            (b"echo a\"b c\"\r\n", &[&["echo", "ab c"]], None),
            (b"echo \"\"\r\n", &[&["echo", ""]], None),
            (b"*1\r\n$4\r\nPING\r\necho hi\r\n", &[&["PING"], &["echo", "hi"]], None),
            (b"echo \"a\r\n", &[], Some("Protocol error: unbalanced quotes in request")),
            (b"echo 'a'b\r\n", &[], Some("Protocol error: unbalanced quotes in request")),
            (b"*x\r\n", &[], Some("Protocol error: invalid multibulk length")),
            (b"*\r\n", &[], Some("Protocol error: invalid multibulk length")),
            (b"*65537\r\n", &[], Some("Protocol error: invalid multibulk length")),
            (b"*99999999999999999999\r\n", &[], Some("Protocol error: invalid multibulk length")),
            (b"*2\r\n$4\r\nECHO\r\n:1\r\n", &[], Some("Protocol error: expected '$', got ':'")),
            (b"*1\r\n\r\n", &[], Some("Protocol error: expected '$', got ' '")),
            (b"*1\r\n$-1\r\n", &[], Some("Protocol error: invalid bulk length")),
            (b"*1\r\n$101\r\n", &[], Some("Protocol error: invalid bulk length")),
            (b"*1\r\n$536870912\r\n", &[], Some("Protocol error: invalid bulk length")),
            (b"*1\r\n$1a\r\n", &[], Some("Protocol error: invalid bulk length")),
            (b"PING\r\n*1\r\n$x\r\n", &[&["PING"]], Some("Protocol error: invalid bulk length")),
        ];
        for (bytes, requests, error) in table {
            let expected: Vec<Vec<Vec<u8>>> =
                requests.iter().map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect()).collect();
            let expected = (expected, error.map(str::to_owned));
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(feed(bytes, 0..bytes.len()), expected, "{text:?} byte by byte");
            for cut in 0..=bytes.len() {
                assert_eq!(feed(bytes, std::iter::once(cut)), expected, "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn lines_that_do_not_end_are_refused() {
        let long = vec![b'1'; LINE_BYTES_MAX + 1];
        let table: [(&[u8], &str); 3] = [
            (b"", "Protocol error: too big inline request"),
            (b"*", "Protocol error: too big mbulk count string"),
            (b"*1\r\n$", "Protocol error: too big bulk count string"),
        ];
        for (head, error) in table {
            let bytes = [head, &long].concat();
            assert_eq!(feed(&bytes, std::iter::empty()).1.as_deref(), Some(error));
        }
    }

    #[test]
    fn all_words_together_have_a_limit() {
        let mut bytes = b"*65536\r\n".to_vec();
        for _ in 0..65_536 {
            bytes.extend_from_slice(b"$100\r\n");
            bytes.extend_from_slice(&[b'c'; 100]);
            bytes.extend_from_slice(b"\r\n");
        }
        assert_eq!(feed(&bytes, std::iter::empty()).1.as_deref(), Some("Protocol error: too big request"));
    }

    #[test]
    fn claims_cost_no_memory() {
        let mut parser = RequestParser::new(512 << 20);
        assert_eq!(parser.parse(b"*65536\r\n$536870912\r\n"), Ok(None));
        assert!(!parser.words.spilled(), "nothing is reserved for words that have not arrived");
    }

    #[test]
    fn random_commands_survive_random_splits_and_garbage_never_panics() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..5_000 {
            let words: Vec<Vec<u8>> =
                (0..random.usize(1..6)).map(|_| (0..random.usize(0..40)).map(|_| random.u8(..)).collect()).collect();
            let mut bytes = bytes::BytesMut::new();
            super::super::command::encode(&mut bytes, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let mut cuts: Vec<usize> = (0..random.usize(0..6)).map(|_| random.usize(0..=bytes.len())).collect();
            cuts.sort_unstable();
            assert_eq!(feed(&bytes, cuts.into_iter()), (vec![words], None));
        }
        let alphabet = b"*$0123459\r\n\r\n\"'\\x41 aPING\xff";
        for _ in 0..100_000 {
            let garbage: Vec<u8> =
                (0..random.usize(0..60)).map(|_| alphabet[random.usize(0..alphabet.len())]).collect();
            assert_eq!(feed(&garbage, 0..garbage.len()), feed(&garbage, std::iter::empty()));
        }
    }
}
