//! One RESP connection that publishes, to Redis and to the embedded broker alike.

use crate::patience::PATIENCE;
use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A reply in RESP2.
pub type Reply = BytesFrame;

/// The prefix of the channels of workflow events.
const WORKFLOW_PREFIX: &str = "workflow:events:";

/// Bytes read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// A connected publisher.
#[derive(Debug)]
pub struct Publisher {
    socket: TcpStream,
    unread: BytesMut,
}

impl Publisher {
    /// Connects to whatever speaks RESP there.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, unread: BytesMut::new() })
    }

    /// Publishes an event for `username`; gives the number of receivers.
    pub fn publish(&mut self, username: &str, event: impl AsRef<[u8]>) -> io::Result<i64> {
        self.send_event(username, event)?;
        self.receivers()
    }

    /// Sends an event for `username` without waiting; each needs one [`Publisher::receivers`] later.
    pub fn send_event(&mut self, username: &str, event: impl AsRef<[u8]>) -> io::Result<()> {
        let channel = [WORKFLOW_PREFIX, username].concat();
        self.send(&[b"PUBLISH", channel.as_bytes(), event.as_ref()])
    }

    /// The number of receivers of the oldest event that was not asked about.
    pub fn receivers(&mut self) -> io::Result<i64> {
        match self.reply()? {
            BytesFrame::Integer(receivers) => Ok(receivers),
            other => Err(io::Error::other(format!("PUBLISH was answered with {other:?}"))),
        }
    }

    /// Sends any command and waits for its reply.
    pub fn command(&mut self, words: &[&str]) -> io::Result<Reply> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.send(&words)?;
        self.reply()
    }

    /// The next reply or push.
    pub fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let decoded = decode_bytes_mut(&mut self.unread).map_err(io::Error::other)?;
            if let Some((frame, _, _)) = decoded {
                return Ok(frame);
            }
            let mut chunk = [0; CHUNK_BYTES];
            match self.socket.read(&mut chunk)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => self.unread.extend_from_slice(&chunk[..length]),
            }
        }
    }

    fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.socket.write_all(&request)
    }
}

/// Text of a reply's bulk strings, nested ones flattened: for assertions about pushes.
pub fn words(reply: &Reply) -> Vec<Bytes> {
    match reply {
        BytesFrame::Array(parts) => parts.iter().flat_map(words).collect(),
        BytesFrame::BulkString(bytes) | BytesFrame::SimpleString(bytes) => vec![bytes.clone()],
        BytesFrame::Integer(number) => vec![Bytes::from(number.to_string())],
        BytesFrame::Error(_) | BytesFrame::Null => Vec::new(),
    }
}
