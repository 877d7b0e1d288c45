//! The load tester as a process: what it is told and what it says.

use loadtest::{PATIENCE, Server};
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The program with these words.
pub(crate) fn tester(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanout-loadtest"));
    command.args(words.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Against this server.
pub(crate) fn at(server: &Server) -> String {
    format!("--url ws://{}/ws?username={{user}} --redis {} --quiet --json", server.address, server.broker)
}

/// What a run said: its exit code and its one JSON object.
pub(crate) fn read(output: &Output) -> (Option<i32>, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let result = serde_json::from_str(&text);
    let result = result.unwrap_or_else(|error| panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), result)
}

pub(crate) fn number(result: &Value, pointer: &str) -> f64 {
    result.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer} in {result}"))
}

/// A figure that counts something.
pub(crate) fn count(result: &Value, pointer: &str) -> u64 {
    let count = result
        .pointer(pointer)
        .and_then(|value| value.as_u64().or_else(|| format!("{:.0}", value.as_f64()?).parse().ok()));
    count.unwrap_or_else(|| panic!("no number {pointer} in {result}"))
}

/// Waits for the end; kills what does not end.
pub(crate) fn ended(mut child: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the tester hangs: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}
