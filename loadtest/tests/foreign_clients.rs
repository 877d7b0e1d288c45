//! Clients and publishers that are nobody's own: Python's `websockets` and `redis`, Node's `ws` and `ioredis`.

use loadtest::{Launch, Redis, Server, foreign_packages};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const EVENTS: [&str; 4] = [r#"{"type":"workflow_started"}"#, r#"{"text":"日本 é"}"#, "", "last"];

/// A listener in a language of its own prints every event it gets as a line; a publisher takes them as arguments.
struct Pair {
    interpreter: PathBuf,
    listener: &'static str,
    publisher: &'static str,
    packages: PathBuf,
}

fn python() -> Pair {
    let packages = foreign_packages("python");
    let interpreter = packages.join("bin/python");
    assert!(interpreter.exists(), "{} is missing: scripts/test installs it", interpreter.display());
    Pair { interpreter, listener: "websockets_client.py", publisher: "redis_publisher.py", packages }
}

fn node() -> Option<Pair> {
    let packages = foreign_packages("node");
    let is_there = packages.join("node_modules/ioredis").exists();
    let pair =
        Pair { interpreter: "node".into(), listener: "ws_client.cjs", publisher: "ioredis_publisher.cjs", packages };
    is_there.then_some(pair)
}

impl Pair {
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/").to_owned() + script);
        command.env("NODE_PATH", self.packages.join("node_modules"));
        command
    }

    fn check(&self, server: &Server) {
        let url = format!("ws://{}/ws?username=a%20b", server.address);
        let mut listener = self.command(self.listener);
        let listener = listener.args([&url, &EVENTS.len().to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        server.wait_until("/total/connections", 1);
        let port = server.broker.port().to_string();
        let published =
            self.command(self.publisher).args([&port, "workflow:events:a b"]).args(EVENTS).output().unwrap();
        assert!(published.status.success(), "{published:?}");
        assert_eq!(String::from_utf8_lossy(&published.stdout).trim(), "1 1 1 1", "the number of receivers each time");
        let output = listener.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let lines: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines, EVENTS);
    }

    fn check_both_brokers(&self) {
        self.check(&Launch::embedded().start().unwrap());
        let redis = Redis::start().unwrap();
        self.check(&Launch::with_redis(&redis).start().unwrap());
    }
}

#[test]
fn python_clients_listen_and_publish_unchanged() {
    python().check_both_brokers();
}

#[test]
fn node_clients_listen_and_publish_unchanged() {
    match node() {
        Some(pair) => pair.check_both_brokers(),
        None => eprintln!("skipped: scripts/test found no node and npm to install ws and ioredis with"),
    }
}
