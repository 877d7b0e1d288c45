//! What a publisher says to the embedded broker, as `wire::resp::request` reads it.
//!
//! - Wherever the bytes are cut, the same commands come out and the same error.
//! - A command takes no more bytes than there are, and its words stand within them.
//! - A command written again is the same command.

use super::cuts;
use bytes::BytesMut;
use fanout::wire::resp::command;
use fanout::wire::resp::request::{ProtocolError, RequestParser};
use std::ops::Range;

/// Longest word.
const BULK_BYTES_MAX: usize = 100;

/// What was asked, every command written as an array, and why there was no more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    commands: BytesMut,
    /// Where those are among them that an array can say: an empty line asks nothing, and a word on a line may be longer
    /// than one in an array.
    arrays: Vec<Range<usize>>,
    error: Option<ProtocolError>,
}

/// Panics where one of the invariants does not hold.
pub fn check(bytes: &[u8]) {
    let asked = listen(bytes, cuts::whole(bytes));
    for pieces in cuts::ways(bytes) {
        assert_eq!(listen(bytes, pieces.clone()), asked, "cut at {:?}", pieces.collect::<Vec<_>>());
    }
    let written: Vec<u8> = asked.arrays.iter().flat_map(|array| &asked.commands[array.clone()]).copied().collect();
    let again = listen(&written, cuts::whole(&written));
    assert_eq!((&again.commands[..], again.error), (&written[..], None), "written again");
}

/// Reads pieces that end at these places.
fn listen(bytes: &[u8], ends: impl Iterator<Item = usize>) -> Asked {
    let mut parser = RequestParser::new(BULK_BYTES_MAX);
    let (mut asked, mut start) = (Asked::default(), 0);
    for end in ends {
        loop {
            let buffer = &bytes[start..end];
            match parser.parse(buffer) {
                Ok(None) => break,
                Err(error) => {
                    asked.error = Some(error);
                    return asked;
                }
                Ok(Some(request)) => {
                    assert_ne!(request.bytes, 0, "each command brings the reader further");
                    asked.note(&request.words.of(&buffer[..request.bytes]));
                    start += request.bytes;
                }
            }
        }
    }
    asked
}

impl Asked {
    fn note(&mut self, words: &[&[u8]]) {
        let start = self.commands.len();
        command::encode(&mut self.commands, words);
        if !words.is_empty() && words.iter().all(|word| word.len() <= BULK_BYTES_MAX) {
            self.arrays.push(start..self.commands.len());
        }
    }
}
