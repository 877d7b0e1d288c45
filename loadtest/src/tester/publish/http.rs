//! `POST` of one event at a time over a connection that is kept.

use super::Publisher;
use crate::answer::Answer;
use crate::patience::PATIENCE;
use crate::tester::target::Target;
use rustix::event::PollFlags;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 4 * 1024;

/// One HTTP/1.1 connection, one request on its way.
pub(super) struct Http {
    socket: TcpStream,
    host: String,
    /// Requests that wait, the first may be on its way.
    requests: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    /// Bytes of the first request that were sent.
    sent: usize,
    unread: Vec<u8>,
}

impl Http {
    pub(super) fn connect(target: &Target) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&target.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let (requests, unread) = (VecDeque::new(), Vec::new());
        Ok(Self { socket, host: target.host.clone(), requests, queued_bytes: 0, sent: 0, unread })
    }

    fn send(&mut self) -> io::Result<()> {
        while let Some(request) = self.requests.front().filter(|request| self.sent < request.len()) {
            match self.socket.write(&request[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(gone(&error)),
            }
        }
        Ok(())
    }

    fn read_answer(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK_BYTES];
        match self.socket.read(&mut chunk) {
            Ok(0) => Err(io::Error::other("the server closed the publishing connection")),
            Ok(length) => {
                self.unread.extend_from_slice(&chunk[..length]);
                self.take_answer()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(gone(&error)),
        }
    }

    fn take_answer(&mut self) -> io::Result<()> {
        let Some((answer, head)) = Answer::parse_head(&self.unread)? else { return Ok(()) };
        let whole = head + answer.body_length();
        let Some(body) = self.unread.get(head..whole) else { return Ok(()) };
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(body).into_owned();
            return Err(io::Error::other(format!("publishing was answered with {} {}", answer.status, text.trim())));
        }
        self.unread.drain(..whole);
        self.sent = 0;
        self.queued_bytes -= self.requests.pop_front().map_or(0, |request| request.len());
        Ok(())
    }
}

fn gone(error: &io::Error) -> io::Error {
    io::Error::other(format!("the server ended the publishing connection: {error}"))
}

impl Publisher for Http {
    fn publish(&mut self, name: &str, event: &[u8]) {
        let head = format!("POST {name} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", self.host, event.len());
        let request = [head.as_bytes(), event].concat();
        self.queued_bytes += request.len();
        self.requests.push_back(request);
    }

    fn turn(&mut self) -> io::Result<()> {
        self.send()?;
        self.read_answer()?;
        self.send()
    }

    fn unanswered(&self) -> usize {
        self.requests.len()
    }

    fn unsent_bytes(&self) -> usize {
        self.queued_bytes - self.sent
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn interest(&self) -> PollFlags {
        let is_sent = self.requests.front().is_none_or(|request| self.sent == request.len());
        if is_sent { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }
}
