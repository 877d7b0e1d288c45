//! The client subcommands as processes: what they are told and what they say, line by line.

mod tls_proxy;

pub(crate) use tls_proxy::TlsProxy;

use loadtest::{PATIENCE, binary, ended, eventually};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, DirEntry};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

/// `fanout` with these words and nothing of the caller's environment.
pub(crate) fn fanout(words: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(words).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end with this for standard input.
pub(crate) fn finished(command: &mut Command, input: &str) -> Output {
    let mut process = command.spawn().unwrap();
    let (mut stdin, input) = (process.stdin.take().unwrap(), input.to_owned());
    // It may end before it has read everything.
    let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = loadtest::outcome(process);
    writer.join().unwrap();
    output
}

/// One that runs while a test goes on. Ends with this value.
pub(crate) struct Running {
    process: Child,
    output: Option<ChildStdout>,
    unread: Vec<u8>,
    notes: Receiver<String>,
}

impl Running {
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut process = command.spawn().unwrap();
        let (heard, notes) = channel();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
        let output = process.stdout.take();
        Self { process, output, unread: Vec::new(), notes }
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        let end = loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                break end;
            }
            assert!(self.read(), "it ended: {:?}, {:?}", self.unread, self.notes.try_iter().collect::<Vec<_>>());
        };
        let mut line: Vec<u8> = self.unread.drain(..=end).collect();
        line.pop();
        String::from_utf8(line).unwrap()
    }

    /// Reads on until each of these was part of a line, in this order; the last such line.
    pub(crate) fn lines(&mut self, parts: &[&str]) -> String {
        let (mut found, deadline) = (String::new(), Instant::now() + PATIENCE);
        for part in parts {
            while !found.contains(part) {
                assert!(Instant::now() < deadline, "nothing about {part:?}, but {found:?}");
                found = self.line();
            }
        }
        found
    }

    /// Everything that is left of standard output, once it ends.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        while self.read() {}
        String::from_utf8_lossy(&self.unread).lines().map(str::to_owned).collect()
    }

    /// Takes more of standard output, if there is more.
    fn read(&mut self) -> bool {
        let output = self.output.as_mut().expect("somebody reads");
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let readable = poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&patience)).unwrap();
        assert!(readable > 0, "it says nothing; its notes: {:?}", self.notes.try_iter().collect::<Vec<_>>());
        let mut bytes = [0; 16_384];
        let read = output.read(&mut bytes).unwrap();
        self.unread.extend_from_slice(&bytes[..read]);
        read > 0
    }

    /// Waits until each of these was part of a line of standard error, in any order.
    pub(crate) fn notes(&mut self, parts: &[&str]) {
        let (mut missing, mut seen, deadline) = (parts.to_vec(), Vec::new(), Instant::now() + PATIENCE);
        while !missing.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let note =
                self.notes.recv_timeout(left).unwrap_or_else(|_| panic!("nothing about {missing:?} in {seen:?}"));
            missing.retain(|part| !note.contains(part));
            seen.push(note);
        }
    }

    /// Stops it, as a shell does at Ctrl-Z, and lets it go on.
    pub(crate) fn stop_and_go_on(&self) {
        let (pid, threads) = (Pid::from_child(&self.process), format!("/proc/{}/task", self.process.id()));
        kill_process(pid, Signal::STOP).unwrap();
        let stat = |thread: DirEntry| fs::read_to_string(thread.path().join("stat")).unwrap();
        let has_stopped = || fs::read_dir(&threads).unwrap().all(|thread| stat(thread.unwrap()).contains(") T "));
        eventually("every thread has stopped", || has_stopped().then_some(()));
        kill_process(pid, Signal::CONT).unwrap();
    }

    /// Closes the pipe that standard output leads to.
    pub(crate) fn read_no_more(&mut self) {
        self.output = None;
    }

    /// The exit code, once it has ended by itself.
    pub(crate) fn code(&mut self) -> Option<i32> {
        ended(&mut self.process, PATIENCE).unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
