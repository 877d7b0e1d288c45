//! What this server asks of a Redis: a command as an array of bulk strings.

use bytes::BytesMut;
use redis_protocol::resp2::encode::extend_encode_borrowed;
use redis_protocol::resp2::types::BorrowedFrame;

/// Appends a command with its arguments to `out`.
pub fn encode(out: &mut BytesMut, words: &[&[u8]]) {
    let words: Vec<BorrowedFrame<'_>> = words.iter().map(|word| BorrowedFrame::BulkString(word)).collect();
    extend_encode_borrowed(out, &BorrowedFrame::Array(&words), false).expect("the buffer grows as needed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let table: [(&[&[u8]], &[u8]); 3] = [
            (&[b"PING"], b"*1\r\n$4\r\nPING\r\n"),
            (&[b"PUBLISH", b"c", b""], b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$0\r\n\r\n"),
            (&[b"AUTH", "pässword".as_bytes()], "*2\r\n$4\r\nAUTH\r\n$9\r\npässword\r\n".as_bytes()),
        ];
        for (words, encoded) in table {
            let mut out = BytesMut::new();
            encode(&mut out, words);
            assert_eq!(out, encoded);
        }
    }
}
