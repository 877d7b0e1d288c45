//! Standard output, line by line, and what is said beside it on standard error.

use super::failure::{Cause, Failure};
use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Write};

/// Standard output.
pub(super) struct Output(io::Stdout);

impl Output {
    pub(super) fn new() -> Self {
        Self(io::stdout())
    }

    /// Prints a line, which is out when this returns.
    pub(super) fn line(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = self.0.lock();
        let written = out.write_all(bytes).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => reader_gone(),
            _ => Failure::new(format!("standard output takes no more: {error}")),
        })
    }

    /// Fails once nobody can read what is printed: who waits for events would else wait for one too many.
    pub(super) fn check_reader(&self) -> Result<(), Failure> {
        // The end of a pipe is told about whatever is asked for (poll(2)).
        let mut asked = [PollFd::new(&self.0, PollFlags::empty())];
        let is_answered = matches!(poll(&mut asked, Some(&Timespec::default())), Ok(1));
        let is_gone = is_answered && asked[0].revents().contains(PollFlags::ERR);
        if is_gone { Err(reader_gone()) } else { Ok(()) }
    }

    /// Prints a line of ours, its colours only where they are wanted (no-color.org).
    pub(super) fn coloured_line(&mut self, line: &str) -> Result<(), Failure> {
        match AutoStream::choice(&self.0) {
            ColorChoice::Never => self.line(strip_str(line).to_string().as_bytes()),
            _ => self.line(line.as_bytes()),
        }
    }
}

fn reader_gone() -> Failure {
    Failure::of(Cause::ReaderGone, "nobody reads on")
}

/// Says something on standard error. Where nobody hears it, nothing else is lost.
pub(super) fn note(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}
