//! The console in a real browser, which a script drives.

use loadtest::{PATIENCE, Server, foreign_packages};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// A script of this directory, for node.
pub(crate) fn script(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/console/").to_owned() + name);
    command.env("NODE_PATH", packages());
    command
}

fn packages() -> PathBuf {
    foreign_packages("node").join("node_modules")
}

/// One page. Ends with this value, and the browser with it.
pub(crate) struct Page {
    process: Child,
    tells: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Page {
    /// Opens this path of the server; `options` are the script's. Nothing where there is no node, as for other clients
    /// that run on it.
    pub(crate) fn open(server: &Server, path: &str, options: &Value) -> Option<Self> {
        if !packages().join("playwright-core").exists() {
            eprintln!("skipped: scripts/test found no node and npm to install playwright-core with");
            return None;
        }
        let mut command = script("browser.cjs");
        command.arg(format!("http://{}{path}", server.address)).arg(options.to_string());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node runs");
        let tells = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().expect("it is a pipe")).lines();
        let (sender, answers) = channel();
        // Ends with the process, or with whoever listens.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Some(Self { process, tells, answers })
    }

    /// Plays something, to its end.
    ///
    /// # Panics
    /// Where that fails, or takes too long.
    pub(crate) fn plays<V: Into<Value>, const N: usize>(&mut self, play: &str, arguments: [V; N]) {
        let told: Vec<Value> = [json!(play)].into_iter().chain(arguments.map(V::into)).collect();
        let outcome = self.ask(&json!(told));
        assert_eq!(outcome, Value::Null, "{told:?}");
    }

    /// Closes the page, in which nothing may have gone wrong that a browser notices, nor anything been asked of others.
    pub(crate) fn close(mut self) {
        assert_eq!(self.ask(&json!(["complaints"])), json!([]));
        drop(self.tells.take());
        loadtest::ended(&mut self.process, PATIENCE).expect("a browser whose page is closed ends");
    }

    fn ask(&mut self, told: &Value) -> Value {
        let tells = self.tells.as_mut().expect("the page is open");
        writeln!(tells, "{told}").expect("the script reads");
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer.unwrap_or_else(|error| panic!("{told}: {error}"));
        serde_json::from_str(&answer).expect("the script answers in JSON")
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Where a test has failed: the browser goes with the script that drives it.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
