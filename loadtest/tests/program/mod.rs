//! The load tester as a process: what it is told and what it says.

use loadtest::Server;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

/// The program with these words.
pub(crate) fn tester(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanout-loadtest"));
    command.args(words.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Against this server.
pub(crate) fn at(server: &Server) -> String {
    at_places(server.address, server.broker)
}

/// Where clients connect and events are published.
pub(crate) fn at_places(address: SocketAddr, broker: SocketAddr) -> String {
    format!("--url ws://{address}/ws?username={{user}} --redis {broker} --quiet --json")
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
