//! Where recipes of the documents are tried: a directory, addresses instead of the usual ones, and what runs there.

use loadtest::{Scratch, Server, binary, eventually, foreign_packages, free_port, succeed};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// All documents with recipes.
pub(crate) const DOCUMENTS: [&str; 2] = [include_str!("../../../README.md"), include_str!("../../README.md")];

/// What the documents have cargo do: to run what it has built.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
  run) exec fanout ;;
  'run -- '*) shift 2 && exec fanout "$@" ;;
  'run --release -p loadtest -- '*) shift 5 && exec fanout-loadtest "$@" ;;
esac
exit 1
"#;

/// What a page has and Node 20 has not; and what is known to whoever has a token.
const BROWSER: &str = "globalThis.WebSocket ??= require('ws'); globalThis.jwt = process.env.FANOUT_TOKEN;";

/// The code behind the marker of this name.
pub(crate) fn recipe(name: &str) -> &'static str {
    let marker = format!("<!-- recipe: {name} -->\n```");
    let behind = DOCUMENTS.iter().find_map(|document| document.split_once(&marker)).unwrap_or_else(|| panic!("{name}"));
    let (_, code) = behind.1.split_once('\n').expect("the language");
    code.split_once("\n```\n").expect("the end").0
}

/// Whatever runs here ends with this value, and what that has started as well.
pub(crate) struct Kitchen {
    /// Where recipes meet their server.
    pub(crate) address: SocketAddr,
    /// Where events are published to it.
    pub(crate) broker: SocketAddr,
    scratch: Scratch,
    processes: Vec<Child>,
}

impl Kitchen {
    /// With a server that is there.
    pub(crate) fn beside(server: &Server) -> Self {
        Self::at(server.address, server.broker)
    }

    /// Where a recipe starts the server.
    pub(crate) fn without_a_server() -> Self {
        let [address, broker] = [(); 2].map(|()| (Ipv4Addr::LOCALHOST, free_port()).into());
        Self::at(address, broker)
    }

    fn at(address: SocketAddr, broker: SocketAddr) -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("bin")).unwrap();
        symlink(binary(), scratch.join("bin/fanout")).unwrap();
        symlink(env!("CARGO_BIN_EXE_fanout-loadtest"), scratch.join("bin/fanout-loadtest")).unwrap();
        let cargo = scratch.write("bin/cargo", CARGO);
        fs::set_permissions(cargo, fs::Permissions::from_mode(0o755)).unwrap();
        Self { address, broker, scratch, processes: Vec::new() }
    }

    /// A file that a recipe reads.
    pub(crate) fn write(&self, name: &str, text: &str) {
        self.scratch.write(name, text);
    }

    /// A text of the documents, with the addresses of here.
    fn placed(&self, text: &str) -> String {
        let [address, broker] = [self.address, self.broker].map(|address| address.to_string());
        let text = text.replace("127.0.0.1:8084", &address).replace("10.0.0.1:8084", &address);
        text.replace("10.0.0.1:6379", &broker).replace("6379", &self.broker.port().to_string())
    }

    /// A program of its own for a recipe or a line of one; nothing where what it runs on is not there.
    fn command(&self, name: &str, text: &str) -> Option<Command> {
        let file = self.scratch.write(name, self.placed(text));
        let mut command = match name.rsplit_once('.')?.1 {
            "sh" => Command::new("sh"),
            "py" => Command::new(foreign_packages("python").join("bin/python")),
            "mjs" => self.node()?,
            "go" => self.go(&file),
            other => panic!("nobody runs .{other}"),
        };
        if !name.ends_with("go") {
            command.arg(file);
        }
        let path = format!("{}:{}", self.scratch.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).env("LISTEN", self.address.to_string()).env("BROKER_LISTEN", self.broker.to_string());
        Some(command)
    }

    /// Node finds packages beside a module.
    fn node(&self) -> Option<Command> {
        let packages = foreign_packages("node").join("node_modules");
        if !packages.join("ioredis").exists() {
            eprintln!("skipped: scripts/test found no node and npm");
            return None;
        }
        drop(symlink(packages, self.scratch.join("node_modules")));
        self.scratch.write("browser.cjs", BROWSER);
        let mut command = Command::new("node");
        command.args(["--require", "./browser.cjs"]);
        Some(command)
    }

    /// Built first: what `go run` starts outlives it. The packages are Debian's.
    fn go(&self, file: &PathBuf) -> Command {
        let program = self.scratch.join("program");
        let mut build = Command::new("go");
        build.args(["build", "-o"]).args([&program, file]).env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode");
        succeed(build.env("GOCACHE", self.scratch.join("cache")));
        Command::new(program)
    }

    /// Runs it while the test goes on; what it says is known by its name. Whether what it runs on is there.
    pub(crate) fn start(&mut self, name: &str, text: &str, variables: &[(&str, &str)]) -> bool {
        let Some(mut command) = self.command(name, text) else { return false };
        let said = File::create(self.scratch.join(format!("{name}.said"))).unwrap();
        command.current_dir(self.scratch.path()).process_group(0).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        self.processes.push(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
        true
    }

    /// Runs it to its end: the exit code; nothing where what it runs on is not there.
    pub(crate) fn finish(&mut self, name: &str, text: &str) -> Option<i32> {
        if !self.start(name, text, &[]) {
            return None;
        }
        let pid = Pid::from_child(self.processes.last().expect("it was started"));
        // Looked at and not taken: as long as it is there, nobody else's group gets its number.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        eventually(&format!("{name} ends"), || waitid(WaitId::Pid(pid), look).unwrap()).exit_status()
    }

    /// How often it has said a line with this part.
    pub(crate) fn count(&self, name: &str, part: &str) -> usize {
        self.said(name).lines().filter(|line| line.contains(part)).count()
    }

    /// Everything that it has said so far.
    pub(crate) fn said(&self, name: &str) -> String {
        fs::read_to_string(self.scratch.join(format!("{name}.said"))).unwrap_or_default()
    }

    /// Waits until it has said this.
    pub(crate) fn hears(&self, name: &str, part: &str) {
        eventually(&format!("{name} says {part}"), || (self.count(name, part) > 0).then_some(()));
    }
}

impl Drop for Kitchen {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may have ended by itself, with all of its own.
            let _ = kill_process_group(Pid::from_child(process), Signal::KILL);
            drop(process.wait());
        }
    }
}
