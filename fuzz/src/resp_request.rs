//! What a publisher says to the embedded broker, as `wire::resp::request` reads it.
//!
//! - Wherever the bytes are cut, the same commands come out and the same error.
//! - A command takes no more bytes than there are, and its words stand within them.
//! - A command written again is the same command.

use super::cuts;
use bytes::BytesMut;
use fanout::wire::resp::command;
use fanout::wire::resp::request::{ProtocolError, RequestParser};

/// Longest word.
const BULK_BYTES_MAX: usize = 100;

type Words = Vec<Vec<u8>>;

/// Panics where one of the invariants does not hold.
pub fn check(bytes: &[u8]) {
    let [whole, cut @ ..] = cuts::ways(bytes);
    let asked = listen(bytes, &whole);
    for ends in cut {
        assert_eq!(listen(bytes, &ends), asked, "cut at {ends:?}");
    }
    // An empty line asks nothing, and a word on a line may be longer than one in an array.
    let is_array = |words: &&Words| !words.is_empty() && words.iter().all(|word| word.len() <= BULK_BYTES_MAX);
    for words in asked.0.iter().filter(is_array) {
        let mut written = BytesMut::new();
        command::encode(&mut written, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(listen(&written, &[written.len()]), (vec![words.clone()], None), "written again");
    }
}

/// Reads pieces that end where `ends` says: the commands, and why there are no more.
fn listen(bytes: &[u8], ends: &[usize]) -> (Vec<Words>, Option<ProtocolError>) {
    let mut parser = RequestParser::new(BULK_BYTES_MAX);
    let (mut asked, mut start) = (Vec::new(), 0);
    for &end in ends {
        loop {
            let buffer = &bytes[start..end];
            match parser.parse(buffer) {
                Ok(None) => break,
                Err(error) => return (asked, Some(error)),
                Ok(Some(request)) => {
                    assert_ne!(request.bytes, 0, "each command brings the reader further");
                    let words = request.words.of(&buffer[..request.bytes]);
                    asked.push(words.iter().map(|word| word.to_vec()).collect());
                    start += request.bytes;
                }
            }
        }
    }
    (asked, None)
}
