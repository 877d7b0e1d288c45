//! Standard output, line by line, and what is said beside it on standard error.

use super::failure::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal, Write};

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
            ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::new(format!("standard output takes no more: {error}")),
        })
    }

    /// Fails once nobody can read what is printed: who waits for events would else wait for one too many.
    pub(super) fn check_reader(&self) -> Result<(), Failure> {
        // The end of a pipe is told about whatever is asked for (poll(2)).
        let mut asked = [PollFd::new(&self.0, PollFlags::empty())];
        let is_answered = matches!(poll(&mut asked, Some(&Timespec::default())), Ok(1));
        let is_gone = is_answered && asked[0].revents().contains(PollFlags::ERR);
        if is_gone { Err(Failure::ReaderGone) } else { Ok(()) }
    }

    /// Whether colours are wanted: a terminal, and no `NO_COLOR` (no-color.org).
    pub(super) fn wants_colours(&self) -> bool {
        self.0.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
    }
}

/// Says something on standard error. Where nobody hears it, nothing else is lost.
pub(super) fn note(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// A text from outside that does nothing to a terminal but stand in one line of it.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        // Beside control characters, those that turn the direction of what follows.
        match letter {
            letter if letter.is_control() => write!(shown, "{}", letter.escape_default()).expect("a String takes all"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                write!(shown, "{}", letter.escape_unicode()).expect("a String takes all");
            }
            letter => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_comes_from_outside_stays_in_its_line() {
        for (text, shown) in [
            ("{\"type\":\"grün\"} 日本", "{\"type\":\"grün\"} 日本"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\x1b[2J\u{9b}", "\\u{1b}[2J\\u{9b}"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }
}
