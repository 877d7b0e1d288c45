//! Allocations per client and message: counted by a test of the engine, which this row runs.

use super::super::figure::Unit;
use super::super::finding::{Budget, Finding, Standing};
use super::super::rig::Rig;
use super::super::section::Section;
use super::REPOSITORY;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, ErrorKind};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

const COMMAND: &str = "cargo test -p fanout --test allocations";

/// Time between two looks: short against everything people wait for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Runs the test in the repository that this program was built from.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    rig.tell(&format!("  {COMMAND}"));
    let finding = Finding::new("allocations", "allocations per client and message, steady state");
    let finding = finding.within(Budget::AtMost(0.0)).note(format!("held by `{COMMAND}`"));
    let output = run(rig)?;
    let finding = if output.status.success() {
        finding.measured(Unit::Count, &[0.0])
    } else {
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let reason = said.lines().rev().find(|line| line.contains("panicked") || line.contains("error"));
        finding.but(Standing::Missed, format!("it failed: {}", reason.unwrap_or("see its output")))
    };
    Ok(Section { findings: vec![finding], runs: Vec::new() })
}

/// Ends it where it is interrupted: it may be building for minutes.
fn run(rig: &Rig) -> io::Result<Output> {
    let mut words = COMMAND.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg("--quiet").current_dir(REPOSITORY).stdin(Stdio::null());
    let test = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let test = test.map_err(|error| io::Error::new(error.kind(), format!("cargo does not run here: {error}")))?;
    let pid = Pid::from_child(&test);
    let output = thread::spawn(move || test.wait_with_output());
    while !output.is_finished() {
        if rig.is_interrupted() {
            // Gone already is fine.
            let _ = kill_process(pid, Signal::TERM);
            return Err(io::Error::new(ErrorKind::Interrupted, format!("interrupted during `{COMMAND}`")));
        }
        thread::sleep(LOOK_AGAIN);
    }
    output.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
