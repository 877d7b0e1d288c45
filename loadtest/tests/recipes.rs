//! README's recipes, run as they stand there: listeners that come back, and publishers.

use loadtest::{Launch, Server, eventually, foreign_packages};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const README: &str = include_str!("../../README.md");

/// Where a recipe is written to; gone with the value, and so is what runs it.
struct Kitchen {
    directory: PathBuf,
    process: Option<Child>,
}

impl Kitchen {
    /// Writes a recipe down, with the addresses of this server instead of the usual ones.
    fn with(name: &str, server: &Server) -> Self {
        let directory = std::env::temp_dir().join(format!("fanout-recipe-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let broker = server.broker.port().to_string();
        let recipe = recipe(name).replace("127.0.0.1:8084", &server.address.to_string()).replace("6379", &broker);
        fs::write(directory.join(name), recipe).unwrap();
        Self { directory, process: None }
    }

    fn heard(&self) -> usize {
        let heard = fs::read_to_string(self.directory.join("heard")).unwrap();
        heard.lines().filter(|line| *line == "node_completed").count()
    }
}

impl Drop for Kitchen {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.kill());
            drop(process.wait());
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// The code behind the marker of this name.
fn recipe(name: &str) -> &'static str {
    let behind = README.split_once(&format!("<!-- recipe: {name} -->\n```")).unwrap_or_else(|| panic!("{name}")).1;
    let (_, code) = behind.split_once('\n').expect("the language");
    code.split_once("\n```\n").expect("the end").0
}

/// A recipe's command, in its directory; nothing where what it runs on is not there.
fn command(kitchen: &Kitchen, name: &str) -> Option<Command> {
    let packages = foreign_packages(if name.ends_with("py") { "python" } else { "node" });
    let file = kitchen.directory.join(name);
    let extension = file.extension().unwrap().to_str().unwrap();
    let mut command = match extension {
        "py" => Command::new(packages.join("bin/python")),
        "sh" => Command::new("sh"),
        "mjs" if packages.join("node_modules/ioredis").exists() => node(&packages, &kitchen.directory),
        "mjs" => return None,
        "go" => go(&file),
        other => panic!("nobody runs .{other}"),
    };
    if extension != "go" {
        command.arg(&file);
    }
    command.current_dir(&kitchen.directory);
    Some(command)
}

/// Node finds packages beside a module, and has no `WebSocket` of its own before version 22.
fn node(packages: &Path, directory: &Path) -> Command {
    std::os::unix::fs::symlink(packages.join("node_modules"), directory.join("node_modules")).unwrap();
    fs::write(directory.join("browser.cjs"), "globalThis.WebSocket ??= require('ws');").unwrap();
    let mut command = Command::new("node");
    command.args(["--require", "./browser.cjs"]);
    command
}

/// Built first: what `go run` starts outlives it. The packages are Debian's.
fn go(file: &Path) -> Command {
    let program = file.with_extension("");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).args([&program, file]).env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode");
    let outcome = build.env("GOCACHE", file.with_extension("cache")).output().unwrap();
    assert!(outcome.status.success(), "{outcome:?}");
    Command::new(program)
}

/// A listener hears an event, loses its server, and hears the next one of the server that comes after it.
fn listens(name: &str) {
    let first = Launch::embedded().start().unwrap();
    let mut kitchen = Kitchen::with(name, &first);
    let Some(mut command) = command(&kitchen, name) else { return };
    let heard = fs::File::create(kitchen.directory.join("heard")).unwrap();
    kitchen.process = Some(command.stdout(heard).stderr(Stdio::null()).spawn().unwrap());
    hears(&kitchen, &first, 1);
    let address = first.address.to_string();
    drop(first);
    let second = Launch::embedded().option("--listen", &address).start().unwrap();
    hears(&kitchen, &second, 2);
}

fn hears(kitchen: &Kitchen, server: &Server, events: usize) {
    server.wait_until("/total/connections", 1);
    server.publisher().unwrap().publish("alice", r#"{"type":"node_completed"}"#).unwrap();
    eventually("the event is heard", || (kitchen.heard() == events).then_some(()));
}

/// A publisher's events reach a client.
fn publishes(name: &str, events: usize) {
    let server = Launch::embedded().start().unwrap();
    let mut client = loadtest::Client::listen(server.address, "alice").unwrap();
    let kitchen = Kitchen::with(name, &server);
    let Some(mut command) = command(&kitchen, name) else { return };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for _ in 0..events {
        let event = client.text().expect("it arrives");
        let event: serde_json::Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["type"], "node_completed");
    }
}

#[test]
fn a_page_listens_and_comes_back() {
    listens("listen.mjs");
}

#[test]
fn python_listens_and_comes_back() {
    listens("listen.py");
}

#[test]
fn go_listens_and_comes_back() {
    listens("listen.go");
}

#[test]
fn redis_clients_and_curl_publish() {
    publishes("publish.py", 1);
    publishes("publish.mjs", 1);
    publishes("publish.sh", 2);
}

#[test]
fn no_recipe_is_left_untried() {
    let named: Vec<&str> = README.split("<!-- recipe: ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    assert_eq!(named, ["listen.mjs", "listen.py", "listen.go", "publish.py", "publish.mjs", "publish.sh"]);
}

#[test]
fn every_metric_that_the_readme_names_is_there() {
    let redis = loadtest::Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let page = server.get("/metrics").unwrap().text();
    let is_name = |word: &&str| word.starts_with("fanout_") || word.starts_with("process_");
    let words = README.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').filter(is_name);
    // The cookie that carries a token.
    for name in words.filter(|word| *word != "fanout_token") {
        let is_there =
            page.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{', '_'])));
        assert!(is_there, "{name} is not in /metrics");
    }
}
