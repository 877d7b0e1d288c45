//! The floor server sends what it should to whom it should; `floor` and `budgets` measure every row and survive a
//! server that dies.

use loadtest::tester::outcome::Verdict;
use loadtest::tester::record::Record;
use loadtest::{Client, PATIENCE, Publisher, Scratch, binary, ended, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

const MODES: [&str; 4] = ["send", "joined", "uring", "uring-joined"];

fn tester(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanout-loadtest"));
    command.args(words.split_whitespace()).stdin(Stdio::null());
    command
}

/// A floor server, ended with this value.
struct Floor {
    process: Child,
    clients: SocketAddr,
    publishers: SocketAddr,
}

impl Floor {
    fn start(options: &str) -> Self {
        let mut process = tester(&format!("floor serve {options}")).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (clients, publishers) = line.trim().split_once(' ').expect("two addresses");
        Self { process, clients: clients.parse().unwrap(), publishers: publishers.parse().unwrap() }
    }

    /// Waits for the end.
    fn exit_code(mut self) -> Option<i32> {
        eventually("the floor server ends", || self.process.try_wait().unwrap()).code()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Events of every length of header, each telling its number.
fn event(number: usize) -> String {
    format!("{number:06}{}", "x".repeat([0, 119, 120, 1_000, 65_530][number % 5]))
}

#[test]
fn every_way_of_sending_brings_events_to_whom_they_are_for_and_to_nobody_else() {
    for mode in MODES {
        let floor = Floor::start(&format!("--mode {mode} --clients 3 --publishers 2"));
        let [mut one, mut other, mut bob] =
            ["alice", "alice", "bob"].map(|username| Client::listen(floor.clients, username).unwrap());
        let mut idle = Publisher::connect(floor.publishers).unwrap();
        let mut publisher = Publisher::connect(floor.publishers).unwrap();
        for number in 0..60 {
            let username = ["alice", "nobody", "bob"][number % 3];
            publisher.send_event(username, event(number)).unwrap();
        }
        for number in 0..60 {
            assert_eq!(publisher.receivers().unwrap(), [2, 0, 1][number % 3], "{mode}, event {number}");
        }
        for number in (0..60).step_by(3) {
            assert!(one.text() == Some(event(number)), "{mode}, alice, event {number}");
            assert!(other.text() == Some(event(number)), "{mode}, alice's other one, event {number}");
            assert!(bob.text() == Some(event(number + 2)), "{mode}, bob, event {}", number + 2);
        }
        drop(publisher);
        assert_eq!(idle.publish("bob", "the last").unwrap(), 1, "{mode}: one publisher is left");
        assert_eq!(bob.text().as_deref(), Some("the last"), "{mode}");
        drop(idle);
        assert_eq!(floor.exit_code(), Some(0), "{mode}: nobody publishes any more");
    }
}

#[test]
fn a_client_that_reads_slower_than_events_come_gets_all_of_them_in_order() {
    const EVENTS: usize = 400;
    for mode in MODES {
        let floor = Floor::start(&format!("--mode {mode} --clients 2"));
        let mut clients = ["alice", "alice"].map(|username| Client::listen(floor.clients, username).unwrap());
        let mut publisher = Publisher::connect(floor.publishers).unwrap();
        // More than sockets take; the floor waits, and so does the publisher.
        let publishing = thread::spawn(move || {
            for number in 0..EVENTS {
                publisher.send_event("alice", event(5 * number + 4)).unwrap();
            }
            publisher
        });
        for number in 0..EVENTS {
            for client in &mut clients {
                assert!(client.text() == Some(event(5 * number + 4)), "{mode}, event {number}");
            }
        }
        publishing.join().unwrap();
    }
}

#[test]
fn what_is_no_publish_ends_the_floor_with_a_sentence() {
    let mut floor = tester("floor serve --clients 0").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(floor.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let publishers: SocketAddr = line.trim().split_once(' ').unwrap().1.parse().unwrap();
    assert!(Publisher::connect(publishers).unwrap().command(&["PING"]).is_err());
    let output = floor.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.contains("PUBLISH")), (Some(2), true), "{said}");
}

#[test]
fn a_publisher_that_leaves_its_answers_unread_is_no_fault() {
    let floor = Floor::start("--clients 1");
    let mut alice = Client::listen(floor.clients, "alice").unwrap();
    let mut publisher = Publisher::connect(floor.publishers).unwrap();
    publisher.send_event("alice", event(0)).unwrap();
    assert_eq!(alice.text(), Some(event(0)), "its answer is on the way back");
    drop(publisher);
    assert_eq!(floor.exit_code(), Some(0));
}

/// Runs the tester against the real server.
fn measure(words: &str) -> Output {
    let output = tester(words).arg("--server-binary").arg(binary()).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().count(), 1, "one object: {text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_floor_and_the_server_are_compared_in_every_window() {
    let output = measure("floor --quick --json --windows 1,16 --clients 200");
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    for (place, window) in [1, 16].into_iter().enumerate() {
        let table = &report["windows"][place];
        assert_eq!((&table["window"], &table["clients"]), (&window.into(), &10.into()));
        let subjects = table["subjects"].as_array().unwrap();
        let names: Vec<&str> = subjects.iter().filter_map(|line| line["subject"].as_str()).collect();
        assert_eq!(names, ["floor send", "floor joined", "floor uring", "floor uring-joined", "fanout"]);
        for line in subjects {
            assert!(line["cpu_ns_per_delivery"]["median"].as_f64().unwrap() > 0.0, "{line}");
            assert!(line["ratio_to_joined"]["median"].as_f64().unwrap() > 0.0, "{line}");
        }
        assert_eq!(subjects[0]["ratio_to_send"]["median"], 1.0, "the yardstick itself");
    }
}

/// Every recorded run by the row's name, files checked for the form of their names.
fn records(runs: &Path) -> Vec<Record> {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let record = Record::read(&path).unwrap();
        let name = format!("{}-{}.json", record.date, record.row);
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(&name[..]));
        record
    };
    let mut records: Vec<Record> = fs::read_dir(runs).unwrap().map(read).collect();
    records.sort_by(|one, other| one.row.cmp(&other.row));
    records
}

/// Asserts that every row was measured without a fault, and recorded so.
fn check(options: &str, rows: &[&str], recorded: &[&str]) {
    let scratch = Scratch::new();
    let runs = scratch.join("runs");
    let output = measure(&format!("budgets --quick --json --runs {} {options}", runs.display()));
    let report = json(&output);
    let findings = report["findings"].as_array().unwrap();
    let names: Vec<&str> = findings.iter().filter_map(|finding| finding["row"].as_str()).collect();
    assert_eq!(names, rows, "{report}");
    for finding in findings {
        assert!(finding["measured"]["figure"]["median"].is_number(), "{finding}");
    }
    let records = records(&runs);
    assert_eq!(records.iter().map(|record| &record.row[..]).collect::<Vec<_>>(), recorded);
    for run in records.iter().flat_map(|record| &record.runs) {
        let outcome = &run.outcome;
        assert!(outcome.verdict != Verdict::Fail, "{}: {:?}", run.subject, outcome.reasons);
        assert!(outcome.delivered > 0 && run.settings["clients"] > 0 && run.round == 1, "{run:?}");
    }
}

#[test]
fn every_budget_about_deliveries_is_measured_and_recorded() {
    let mut rows = vec!["window-1", "window-16", "flux", "clients", "clients", "users", "shards"];
    rows.extend(["shards-instructions", "shards-instructions", "spread"]);
    let recorded = ["clients", "flux", "shards", "users", "window-1", "window-16"];
    check("--only window-1,window-16,flux,clients,users,shards,spread", &rows, &recorded);
}

#[test]
fn every_budget_about_connections_and_latency_is_measured_and_recorded() {
    let rows = ["idle-memory", "idle-memory", "idle-cpu", "handshakes", "connecting", "latency-p50", "latency-p99"];
    let recorded = ["connecting", "handshakes", "idle", "latency"];
    check("--only idle,handshakes,connecting,latency", &rows, &recorded);
}

#[test]
fn every_curve_is_measured_and_recorded() {
    let points = [("curve-clients", 7), ("curve-sizes", 6), ("curve-windows", 7), ("curve-memory", 5)];
    let rows: Vec<&str> = points.iter().flat_map(|(name, count)| vec![*name; *count]).collect();
    check("--curves", &rows, &["curve-clients", "curve-memory", "curve-sizes", "curve-windows"]);
}

#[test]
fn the_table_is_markdown_that_says_where_it_was_measured() {
    let output = measure("budgets --quick --only window-1");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 3, "a head, a line and a row: {text}");
    assert!(rows[1].chars().all(|letter| "|-: ".contains(letter)), "{text}");
    for part in ["window-1", "≤ 0.85 ×", "floor send"] {
        assert!(rows[2].contains(part), "{part} in {text}");
    }
    assert!(text.contains(" cores, ") && text.contains("the figures mean nothing"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_in_a_sentence() {
    let table = [
        ("floor --server-binary /nowhere/fanout", "no server at /nowhere/fanout"),
        ("budgets --server-binary /nowhere/fanout", "cargo build --release -p fanout"),
        ("budgets --only nonsense", "window-16"),
        ("budgets --rounds 0", "--rounds"),
        ("budgets --seconds 0", "above 0"),
        ("floor --windows 0", "--windows"),
        ("floor --size 64K", "64KiB"),
        ("floor serve --mode fast", "uring-joined"),
    ];
    for (words, part) in table {
        let output = tester(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(part)), (Some(2), true), "{words}: {said}");
    }
    let output = measure("floor --server-core 4000");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--server-core 4000"), "no such core");
}

/// Starts `budgets` on one row with far more time than the test has, and waits until its first server has clients.
fn in_the_middle(seconds: &str) -> (Child, Pid) {
    let mut command = tester("budgets --only window-1 --rounds 1 --seconds");
    command.arg(seconds).arg("--server-binary").arg(binary());
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let server = eventually("a server with 1 000 clients", || {
        let server = *children(process.id()).first()?;
        let files = fs::read_dir(format!("/proc/{}/fd", server.as_raw_nonzero())).ok()?;
        (files.count() > 1_000).then_some(server)
    });
    (process, server)
}

fn children(parent: u32) -> Vec<Pid> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| number(entry.ok()?));
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name may contain anything, so count from its end: state, parent (proc(5)).
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&parent.to_string())
    };
    pids.filter(is_child).filter_map(Pid::from_raw).collect()
}

/// What a process wrote and its exit code, within [`PATIENCE`].
fn end(mut process: Child) -> (Option<i32>, String) {
    let (mut output, mut errors) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
    let progress = thread::spawn(move || drop(errors.read_to_end(&mut Vec::new())));
    let text = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text).unwrap()
    });
    if ended(&mut process, PATIENCE).is_err() {
        drop(process.kill());
    }
    progress.join().unwrap();
    (process.wait().unwrap().code(), text.join().unwrap())
}

#[test]
fn a_server_that_dies_is_told_in_the_table_and_fails_the_budget() {
    let (process, server) = in_the_middle("2");
    kill_process(server, Signal::KILL).unwrap();
    let (code, text) = end(process);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("**not met**") && text.contains("the server went away"), "{text}");
}

#[test]
fn an_interruption_ends_the_servers_too_and_leaves_a_table() {
    let (process, server) = in_the_middle("600");
    let tester = Pid::from_child(&process);
    kill_process(tester, Signal::TERM).unwrap();
    let (code, text) = end(process);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("window-1") && text.contains("interrupted"), "{text}");
    eventually("the server is gone", || {
        (!fs::exists(format!("/proc/{}", server.as_raw_nonzero())).unwrap()).then_some(())
    });
}
