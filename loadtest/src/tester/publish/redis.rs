//! `PUBLISH` in RESP, pipelined: to Redis and to the embedded broker alike.

use super::{Answers, Publisher};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Bytes of answers read at a time: thousands of them.
const CHUNK_BYTES: usize = 64 * 1024;

/// Longest answer that is understood: an error's sentence.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// One RESP connection.
pub(super) struct Redis {
    address: SocketAddr,
    socket: TcpStream,
    unsent: Vec<u8>,
    unanswered: usize,
    answers: Answers,
    /// The unfinished line of the answers.
    line: Vec<u8>,
    chunk: Box<[u8]>,
}

impl Redis {
    pub(super) fn connect(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&address, patience)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let answers = Answers::default();
        let chunk = vec![0; CHUNK_BYTES].into();
        Ok(Self { address, socket, unsent: Vec::new(), unanswered: 0, answers, line: Vec::new(), chunk })
    }

    /// Another connection to the same place.
    pub(super) fn connect_again(&self, patience: Duration) -> io::Result<Self> {
        Self::connect(self.address, patience)
    }

    fn send(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.socket.write(&self.unsent[sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(gone(&error)),
            }
        }
        self.unsent.drain(..sent);
        Ok(())
    }

    fn read_answers(&mut self) -> io::Result<()> {
        loop {
            match self.socket.read(&mut self.chunk) {
                Ok(0) => return Err(io::Error::other("the broker closed the publishing connection")),
                Ok(length) => {
                    self.take_answers(length)?;
                    if length < CHUNK_BYTES {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(gone(&error)),
            }
        }
    }

    /// Counts the lines of the chunk; every `PUBLISH` is answered with one, `:receivers` or `-error`.
    fn take_answers(&mut self, length: usize) -> io::Result<()> {
        for part in self.chunk[..length].split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("the broker answered PUBLISH with what is not RESP"));
            }
            if !part.ends_with(b"\n") {
                continue;
            }
            if !self.line.starts_with(b":") {
                let text = String::from_utf8_lossy(&self.line);
                return Err(io::Error::other(format!("the broker answered PUBLISH with `{}`", text.trim_end())));
            }
            match self.line.as_slice() {
                b":0\r\n" => self.answers.unheard += 1,
                _ => self.answers.heard += 1,
            }
            self.line.clear();
            self.unanswered = self.unanswered.saturating_sub(1);
        }
        Ok(())
    }
}

fn gone(error: &io::Error) -> io::Error {
    io::Error::other(format!("the broker ended the publishing connection: {error}"))
}

impl Publisher for Redis {
    fn publish(&mut self, name: &str, event: &[u8]) {
        // A vector takes every byte.
        drop(write!(self.unsent, "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{name}\r\n${}\r\n", name.len(), event.len()));
        self.unsent.extend_from_slice(event);
        self.unsent.extend_from_slice(b"\r\n");
        self.unanswered += 1;
    }

    fn turn(&mut self) -> io::Result<()> {
        self.send()?;
        self.read_answers()
    }

    fn unanswered(&self) -> usize {
        self.unanswered
    }

    fn unsent_bytes(&self) -> usize {
        self.unsent.len()
    }

    fn answers(&self) -> Answers {
        self.answers
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
