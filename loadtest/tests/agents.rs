//! Several tester processes that run one test together.

mod program;

use loadtest::{Launch, Server, eventually, free_port, outcome};
use program::{at, count, number, read, tester};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::net::TcpStream;
use std::process::Child;

/// Agents on free ports. They end with this value.
struct Agents {
    processes: Vec<Child>,
    addresses: Vec<String>,
}

impl Agents {
    fn start(count: usize) -> Self {
        let addresses: Vec<String> = (0..count).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let processes = addresses.iter().map(|address| tester(&format!("agent --listen {address}")).spawn().unwrap());
        let agents = Self { processes: processes.collect(), addresses };
        for address in &agents.addresses {
            // Whoever connects and leaves is no conductor.
            eventually("an agent listens", || TcpStream::connect(address).ok());
        }
        agents
    }

    fn flag(&self) -> String {
        format!("--agents {}", self.addresses.join(","))
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        for process in &mut self.processes {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

fn run(agents: &Agents, server: &Server, words: &str) -> (Option<i32>, Value) {
    read(&tester(&format!("{words} {} {}", agents.flag(), at(server))).output().unwrap())
}

fn is_fair(code: Option<i32>, result: &Value) -> bool {
    matches!((code, result["verdict"].as_str()), (Some(0), Some("pass")) | (Some(3), Some("tester_saturated")))
}

#[test]
fn agents_do_one_test_together_and_their_figures_are_one() {
    let (server, agents) = (Launch::embedded().start().unwrap(), Agents::start(2));
    // One after another with the same agents, as a series of measurements does.
    for (words, clients_per_event) in [
        ("users --clients 32 --users 16 --rate 300", 2),
        ("fanout --clients 31 --window 8", 0),
        ("soak --clients 40 --users 10 --churn 20 --rate 200", 0),
    ] {
        let (code, result) =
            run(&agents, &server, &format!("{words} --seconds 1 --warmup 0.2 --server-pid {}", server.pid()));
        assert!(is_fair(code, &result), "{words}: {code:?} {result}");
        for fault in ["/lost", "/duplicated", "/reordered", "/foreign", "/closed", "/refused"] {
            assert_eq!(count(&result, fault), 0, "{words}: {fault} in {result}");
        }
        assert_eq!(count(&result, "/tester/agents"), 2, "{result}");
        assert!(words.contains(&format!("--clients {}", count(&result, "/connected"))), "{words}: {result}");
        let (published, delivered) = (count(&result, "/published"), count(&result, "/delivered"));
        assert!(published > 0 && delivered >= published, "{words}: {result}");
        assert!(clients_per_event == 0 || delivered == published * clients_per_event, "{words}: {result}");
        assert!(number(&result, "/server/cpu_ns_per_delivery") > 0.0, "{words}: {result}");
        let sampled: u64 = result["samples"].as_array().unwrap().iter().map(|sample| count(sample, "/delivered")).sum();
        assert!(sampled <= delivered && number(&result, "/latency_us/p50") > 0.0, "{words}: {result}");
    }
}

#[test]
fn agents_search_for_capacity_together() {
    let (server, agents) = (Launch::embedded().start().unwrap(), Agents::start(2));
    let words = "capacity --clients 10 --rate 200000 --searches 1 --seconds 0.3 --warmup 0 --slo p99=20ms --patience 1";
    let (code, result) = run(&agents, &server, words);
    assert!(is_fair(code, &result), "{code:?} {result}");
    assert!(number(&result, "/figures/capacity_events_per_second") >= 1.0, "{result}");
}

/// Ends something in the middle of a test of two agents.
fn cut_short(end: impl FnOnce(&mut Agents, Server, &Child) -> Option<Server>) -> Value {
    let (server, mut agents) = (Launch::embedded().start().unwrap(), Agents::start(2));
    let words = format!("users --clients 20 --rate 200 --seconds 300 --warmup 0 {} {}", agents.flag(), at(&server));
    let child = tester(&words).spawn().unwrap();
    eventually("events are delivered", || (server.count("/total/frames_out") > 60).then_some(()));
    let server = end(&mut agents, server, &child);
    let (code, result) = read(&outcome(child));
    drop(server);
    assert_eq!((code, result["verdict"].as_str()), (Some(1), Some("fail")), "{result}");
    assert!(count(&result, "/delivered") > 0, "{result}");
    result
}

#[test]
fn a_server_that_dies_is_said_to_have_gone_away() {
    let result = cut_short(|_, server, _| {
        drop(server);
        None
    });
    assert!(result["reasons"].to_string().contains("went away"), "{result}");
    assert_eq!(count(&result, "/closed"), 20, "{result}");
}

#[test]
fn an_agent_that_dies_ends_the_test_with_what_the_others_measured() {
    let result = cut_short(|agents, server, _| {
        agents.processes[1].kill().unwrap();
        Some(server)
    });
    let second = result["reasons"].to_string();
    assert!(second.contains("went away") && result["tester"]["agents"] == 1, "{result}");
}

#[test]
fn ctrl_c_ends_all_agents_runs_with_a_report_of_what_was() {
    let result = cut_short(|_, server, child| {
        kill_process(Pid::from_child(child), Signal::INT).unwrap();
        Some(server)
    });
    assert!(result["reasons"].to_string().contains("interrupted after"), "{result}");
    assert!(count(&result, "/lost") == 0 && result["tester"]["agents"] == 2, "{result}");
}

#[test]
fn what_agents_cannot_do_is_refused_in_a_sentence() {
    let (server, agents) = (Launch::embedded().start().unwrap(), Agents::start(2));
    let nobody = format!("127.0.0.1:{}", free_port());
    let table = [
        (format!("storm {} {}", agents.flag(), at(&server)), "storm has no --agents"),
        (format!("fanout --clients 1 {} {}", agents.flag(), at(&server)), "too few for 2 agents"),
        (format!("fanout --agents {nobody} {}", at(&server)), "Connection refused"),
        (format!("fanout {} --url ws://{nobody}/{{user}} --quiet", agents.flag()), "no connection to"),
    ];
    for (words, part) in table {
        let output = tester(&words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{words}: {said}");
        assert!(said.contains(part) && said.lines().count() == 1, "{words}: {said}");
    }
}
