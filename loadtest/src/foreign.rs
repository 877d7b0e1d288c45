//! Programs that tests run beside the server: proxies, scrapers, builders.

use crate::patience::{PATIENCE, ended, eventually};
use crate::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Child, Command, Output, Stdio};

/// A program that runs while a test goes on. It is asked to end with this value, so that it ends what it has started.
#[derive(Debug)]
pub struct Foreign {
    process: Child,
    scratch: Scratch,
}

impl Foreign {
    /// Starts it and waits until it serves. All that it says goes to a file of its directory.
    ///
    /// # Panics
    /// Where there is no such program, it ends, or does not serve within [`PATIENCE`].
    pub fn start<T>(command: &mut Command, scratch: Scratch, serves: impl Fn() -> Option<T>) -> Self {
        let log = fs::File::create(scratch.join("log")).expect("a file can be written");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor is left")).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| not_there(command, &error));
        let mut foreign = Self { process, scratch };
        eventually("it serves", || {
            assert!(foreign.process.try_wait().expect("it is a child").is_none(), "it ended at once");
            serves()
        });
        foreign
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        if ended(&mut self.process, PATIENCE).is_err() {
            drop(self.process.kill());
            drop(self.process.wait());
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.scratch.join("log")).unwrap_or_default();
            eprintln!("log of {:?}:\n{log}", self.process);
        }
    }
}

/// Runs a program to its end; gives what it said.
///
/// # Panics
/// Where there is no such program, or it fails.
pub fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| not_there(command, &error));
    let (said, complained) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {said}{complained}");
    said.into_owned()
}

fn not_there(command: &Command, error: &std::io::Error) -> ! {
    panic!("{command:?} (scripts/test installs it): {error}")
}
