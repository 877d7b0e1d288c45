//! Every block of the documents that can be run, run as it stands there.

#[path = "recipes/kitchen.rs"]
mod kitchen;

use kitchen::{DOCUMENTS, Kitchen, recipe};
use loadtest::{
    Client, FluxClient, Launch, PATIENCE, Publisher, Redis, Server, binary, eventually, free_port, get, succeed,
};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

const EVENT: &str = r#"{"type":"node_completed"}"#;

/// 32 bytes and more.
const SECRET: &str = "a secret of tests that is long enough";

/// A listener hears an event, loses its server, tries in vain, and hears the next one of the server that comes after it.
fn listens(name: &str) {
    let first = Launch::embedded().start().unwrap();
    let mut kitchen = Kitchen::beside(&first);
    if kitchen.start(name, recipe(name), &[]) {
        hears(&kitchen, name, &first, 1);
        let address = first.address.to_string();
        drop(first);
        nobody_serves(&address);
        let second = Launch::embedded().option("--listen", &address).start().unwrap();
        hears(&kitchen, name, &second, 2);
    }
}

/// Until somebody has tried to connect, and found no server.
fn nobody_serves(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    eventually("somebody comes back", || listener.accept().ok());
}

fn hears(kitchen: &Kitchen, name: &str, server: &Server, events: usize) {
    server.wait_until("/total/connections", 1);
    server.publisher().unwrap().publish("alice", EVENT).unwrap();
    eventually("the event is heard", || (kitchen.count(name, "node_completed") == events).then_some(()));
}

/// A publisher's events reach a client.
fn publishes(name: &str, events: usize) {
    let server = Launch::embedded().start().unwrap();
    let mut client = Client::listen(server.address, "alice").unwrap();
    let mut kitchen = Kitchen::beside(&server);
    let Some(code) = kitchen.finish(name, recipe(name)) else { return };
    assert_eq!(code, 0, "{}", kitchen.said(name));
    for _ in 0..events {
        let event: Value = serde_json::from_str(&client.text().expect("it arrives")).unwrap();
        assert!(event["type"].is_string(), "{event}");
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
    publishes("try.sh", 1);
}

/// Until a server that a recipe has started is ready.
fn wait_for_server(kitchen: &Kitchen) {
    eventually("a server is ready", || (get(kitchen.address, "/ready").ok()?.status == 200).then_some(()));
}

#[test]
fn one_command_serves() {
    let mut kitchen = Kitchen::without_a_server();
    kitchen.start("serve.sh", recipe("serve.sh"), &[]);
    wait_for_server(&kitchen);
}

#[test]
fn a_page_follows_a_channel_and_another_one_broadcasts_on_it() {
    let server = Launch::embedded().start().unwrap();
    let mut kitchen = Kitchen::beside(&server);
    let page = recipe("channels.mjs");
    if kitchen.start("channels.mjs", page, &[]) {
        kitchen.hears("channels.mjs", r#""type":"subscribed""#);
        let said = page.split_once("flux.send('{\"type\":\"broadcast").expect("what the other one says").1;
        let said = format!("{{\"type\":\"broadcast{}", said.split_once("')").expect("its end").0);
        FluxClient::connect(server.address).unwrap().say(said).unwrap();
        kitchen.hears("channels.mjs", r#""payload":{"hello":1}"#);
    }
}

#[test]
fn the_program_listens_and_publishes_and_traces() {
    let server = Launch::embedded().start().unwrap();
    for name in ["terminals.sh", "program.sh"] {
        let mut kitchen = Kitchen::beside(&server);
        kitchen.write("log", "a line of a log\n");
        let lines: Vec<&str> = recipe(name).lines().collect();
        assert!(kitchen.start("listen.sh", lines[0], &[]));
        server.wait_until("/total/connections", 1);
        assert_eq!(kitchen.finish("publish.sh", lines[1]), Some(0), "{}", kitchen.said("publish.sh"));
        kitchen.hears("listen.sh", r#"{"type":"test"}"#);
        if let [_, _, pipe, trace] = lines[..] {
            kitchen.start("pipe.sh", pipe, &[]);
            kitchen.hears("listen.sh", "a line of a log");
            kitchen.start("trace.sh", trace, &[]);
            kitchen.hears("trace.sh", "1 connection follows alice");
            server.publisher().unwrap().publish("alice", EVENT).unwrap();
            kitchen.hears("trace.sh", "written");
        }
        drop(kitchen);
        server.wait_until("/total/connections", 0);
    }
}

#[test]
fn who_has_a_token_listens() {
    let mut kitchen = Kitchen::without_a_server();
    kitchen.start("token.sh", recipe("token.sh"), &[]);
    kitchen.hears("token.sh", "alice: connected");
    let mut publisher = Publisher::connect(kitchen.broker).unwrap();
    publisher.publish("alice", EVENT).unwrap();
    kitchen.hears("token.sh", EVENT);
}

#[test]
fn a_page_that_has_a_token_listens() {
    let launch = Launch::embedded().option("--auth", "token").variable("JWT_HS256_SECRET", SECRET);
    let server = launch.start().unwrap();
    let mut command = Command::new(binary());
    let token = succeed(command.args(["token", "--sub", "alice"]).env("JWT_HS256_SECRET", SECRET));
    let mut kitchen = Kitchen::beside(&server);
    if kitchen.start("token.mjs", recipe("token.mjs"), &[("FANOUT_TOKEN", token.trim())]) {
        hears(&kitchen, "token.mjs", &server, 1);
    }
}

#[test]
fn the_configuration_file_is_one_and_the_doctor_reads_it() {
    let mut kitchen = Kitchen::without_a_server();
    kitchen.write("fanout.toml", recipe("fanout.toml"));
    let show = "unset LISTEN BROKER_LISTEN && fanout --config fanout.toml config";
    assert_eq!(kitchen.finish("config.sh", show), Some(0), "{}", kitchen.said("config.sh"));
    for (number, line) in recipe("fanout.toml").lines().enumerate().skip(1) {
        let setting = line.split_once(' ').unwrap().0;
        let said = kitchen.said("config.sh");
        let is_in_force = |line: &str| line.starts_with(setting) && line.ends_with(&format!("line {}", number + 1));
        assert!(said.lines().any(is_in_force), "{setting}: {said}");
    }
    // What it finds is the machine's.
    let script = recipe("doctor.sh").replace("https://fanout.example", "http://127.0.0.1:1");
    let code = kitchen.finish("doctor.sh", &script.replace("--capacity", "--capacity=100ms"));
    let examinations = kitchen.count("doctor.sh", "io_uring");
    assert!(matches!(code, Some(0 | 1)) && examinations == 3, "{}", kitchen.said("doctor.sh"));
}

#[test]
fn a_server_is_replaced_by_another_one() {
    let redis = Redis::start().unwrap();
    let mut server = Launch::with_redis(&redis).start().unwrap();
    let mut kitchen = Kitchen::beside(&server);
    let (pid, port) = (server.pid().to_string(), server.address.port().to_string());
    let script = format!("unset LISTEN BROKER_LISTEN\n{}", recipe("restart.sh").replace("8084", &port));
    kitchen.start("restart.sh", &script, &[("pid", &pid), ("REDIS_URL", &format!("redis://{}", redis.address()))]);
    assert_eq!(server.wait(PATIENCE).unwrap().code(), Some(0));
    wait_for_server(&kitchen);
}

#[test]
fn testers_measure_alone_and_together() {
    let server = Launch::embedded().start().unwrap();
    let mut kitchen = Kitchen::beside(&server);
    let agents = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let scaled = |text: &str| {
        // A hundredth of the load, on the agents of here.
        let text = text.replace("000 ", "0 ").replace("$(pidof fanout)", &server.pid().to_string());
        text.replace("10.0.0.2:7001", &agents[0]).replace("10.0.0.3:7001", &agents[1])
    };
    let place = format!("--url 'ws://{}/ws?username={{user}}' --redis {}", server.address, server.broker);
    let (listens, measures) = recipe("agents.sh").split_once('\n').expect("two commands");
    kitchen.start("first.sh", &scaled(listens), &[]);
    kitchen.start("second.sh", &scaled(&listens.replace("10.0.0.2", "10.0.0.3")), &[]);
    let alone = recipe("tester.sh").lines().map(|line| format!("{line} {place}"));
    for (number, line) in alone.chain([measures.to_owned()]).enumerate() {
        let name = format!("{number}.sh");
        let code = kitchen.finish(&name, &scaled(&format!("{line} --seconds 1 --warmup 0.2")));
        // What is measured is the machine's.
        assert!(matches!(code, Some(0 | 1 | 3)), "{line}: {code:?} {}", kitchen.said(&name));
        assert!(kitchen.said(&name).contains("delivered"), "{line}: {}", kitchen.said(&name));
    }
}

/// Languages of blocks that nobody runs: a drawing, and what a program has said.
const PICTURES: [&str; 2] = ["mermaid", "text"];

#[test]
fn no_recipe_is_left_untried() {
    let (mut blocks, mut tried) = (0, Vec::new());
    for document in DOCUMENTS {
        let pieces: Vec<&str> = document.split("```").collect();
        for pair in pieces.chunks_exact(2) {
            let language = pair[1].lines().next().unwrap_or_default();
            let name = pair[0].trim_end().rsplit_once("<!-- recipe: ").and_then(|(_, name)| name.strip_suffix(" -->"));
            blocks += usize::from(!PICTURES.contains(&language));
            tried.extend(name);
        }
    }
    let here = include_str!("recipes.rs");
    assert!(tried.len() == blocks && blocks > 10, "each has a name: {tried:?} of {blocks}");
    assert!(tried.iter().all(|name| here.contains(&format!("\"{name}\""))), "a test has each: {tried:?}");
}

#[test]
fn every_metric_that_the_documents_name_is_there() {
    let redis = Redis::start().unwrap();
    let server = Launch::with_redis(&redis).start().unwrap();
    let page = server.get("/metrics").unwrap().text();
    let is_name = |word: &&str| word.starts_with("fanout_") || word.starts_with("process_");
    let words =
        DOCUMENTS.iter().flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
    // The cookie that carries a token.
    for name in words.filter(is_name).filter(|word| *word != "fanout_token") {
        let is_there =
            page.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{', '_'])));
        assert!(is_there, "{name} is not in /metrics");
    }
}
