//! One connection to a Redis: a question, its answer.

use crate::client::question::PATIENCE;
use crate::config::RedisAddress;
use crate::wire::resp::{command, without_arguments};
use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

/// Longest answer, in bytes; `INFO server` takes one kilobyte.
const ANSWER_BYTES_MAX: usize = 1 << 20;

const CHUNK_BYTES: usize = 4096;

/// Why there is no conversation.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The name leads nowhere.
    Unknown(io::Error),
    /// Nobody answers.
    Unreachable(io::Error),
    /// It does not take the password, or wants one, in its words.
    Denied(String),
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Conversation {
    socket: TcpStream,
    unread: BytesMut,
}

impl Conversation {
    /// Connects and says who we are.
    pub(super) fn open(redis: &RedisAddress) -> Result<Self, Trouble> {
        let addresses = (redis.host.as_str(), redis.port).to_socket_addrs().map_err(Trouble::Unknown)?;
        let mut outcome = Err(io::Error::new(ErrorKind::NotFound, "it has no address"));
        for address in addresses {
            outcome = TcpStream::connect_timeout(&address, PATIENCE);
            if outcome.is_ok() {
                break;
            }
        }
        let socket = outcome.map_err(Trouble::Unreachable)?;
        socket.set_write_timeout(Some(PATIENCE)).and(socket.set_nodelay(true)).map_err(Trouble::Unreachable)?;
        let mut conversation = Self { socket, unread: BytesMut::new() };
        if let Some(password) = &redis.password {
            let words = ["AUTH"].into_iter().chain(redis.username.as_deref()).chain([password.expose()]);
            conversation.settle(&words.collect::<Vec<_>>())?;
        }
        conversation.settle(&["PING"])?;
        Ok(conversation)
    }

    /// Asks what must not be refused.
    fn settle(&mut self, words: &[&str]) -> Result<(), Trouble> {
        match self.ask(words).map_err(Trouble::Unreachable)? {
            BytesFrame::Error(words) => {
                Err(Trouble::Denied(String::from_utf8_lossy(without_arguments(words.as_bytes())).into_owned()))
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// Where the answer does not come within [`PATIENCE`]; then it may come as that to the next question.
    pub(super) fn ask(&mut self, words: &[&str]) -> io::Result<BytesFrame> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut request = BytesMut::new();
        command::encode(&mut request, &words);
        self.socket.write_all(&request)?;
        self.hear(|frame| !is_event(frame))
    }

    /// The next that is wanted; whatever else comes is passed over.
    ///
    /// # Errors
    /// Where it does not come within [`PATIENCE`].
    pub(super) fn hear(&mut self, is_wanted: impl Fn(&BytesFrame) -> bool) -> io::Result<BytesFrame> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some((frame, ..)) = decode_bytes_mut(&mut self.unread).map_err(io::Error::other)? {
                if is_wanted(&frame) {
                    return Ok(frame);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if self.unread.len() > ANSWER_BYTES_MAX || left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            let mut chunk = [0; CHUNK_BYTES];
            match self.socket.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
                // The deadline is over, and the loop says so in better words; or a signal came in between.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether somebody has published this to what is subscribed to.
fn is_event(frame: &BytesFrame) -> bool {
    matches!(frame, BytesFrame::Array(_))
        && texts(frame).first().is_some_and(|kind| *kind == "message" || *kind == "pmessage")
}

/// The texts of an answer, in their order; an error has none.
pub(super) fn texts(frame: &BytesFrame) -> Vec<Bytes> {
    match frame {
        BytesFrame::Array(parts) => parts.iter().flat_map(texts).collect(),
        BytesFrame::BulkString(bytes) | BytesFrame::SimpleString(bytes) => vec![bytes.clone()],
        BytesFrame::Integer(_) | BytesFrame::Error(_) | BytesFrame::Null => Vec::new(),
    }
}
