//! The scenarios as their users run them: the real program against the real server.

mod program;

use loadtest::{Launch, Scratch, Server, eventually, outcome};
use program::{at, count, number, read, tester};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::Child;
use std::time::Duration;

/// The rounds whose name begins so.
fn rounds<'a>(result: &'a Value, name: &str) -> Vec<&'a Value> {
    let rounds = result["rounds"].as_array().expect("a list of rounds");
    rounds.iter().filter(|round| round["name"].as_str().is_some_and(|own| own.starts_with(name))).collect()
}

/// Where the clients that these words ask for connect.
fn at_for(words: &str, server: &Server) -> String {
    let workflow = at(server);
    if words.contains("--protocol flux") { workflow.replace("/ws?username={user}", "/flux/ws") } else { workflow }
}

/// Runs to the end; a machine that is busy with other things may saturate a schedule, which is no fault.
fn check(words: &str) -> Value {
    check_with(Launch::embedded(), words)
}

fn check_with(launch: Launch, words: &str) -> Value {
    let server = launch.start().unwrap();
    let (code, result) =
        read(&tester(&format!("{words} {} --server-pid {}", at_for(words, &server), server.pid())).output().unwrap());
    let verdict = (code, result["verdict"].as_str().unwrap());
    assert!([(Some(0), "pass"), (Some(3), "tester_saturated")].contains(&verdict), "{words}: {code:?} {result}");
    for fault in ["/lost", "/duplicated", "/reordered", "/foreign", "/closed", "/refused"] {
        assert_eq!(count(&result, fault), 0, "{words}: {fault} in {result}");
    }
    result
}

#[test]
fn connect_says_how_fast_clients_came_and_what_each_cost() {
    let ways = [
        "connect --clients 300 --seconds 0.5",
        "connect --clients 100 --ramp 200 --seconds 0.5",
        "connect --protocol flux --clients 300 --seconds 0.5",
    ];
    for words in ways {
        let result = check(words);
        assert!(number(&result, "/connected") >= 100.0 && count(&result, "/published") == 0, "{result}");
        assert!(number(&result, "/handshakes_per_second") > 0.0, "{result}");
        assert!(number(&result, "/connecting_us/p50") > 0.0, "{result}");
        assert!(number(&result, "/server/cpu_ns_per_handshake") > 0.0, "{result}");
        assert!(result["server"]["cpu_ns_per_delivery"].is_null(), "nothing was delivered: {result}");
    }
}

#[test]
fn a_ramp_is_a_schedule() {
    let result = check("connect --clients 100 --ramp 100 --seconds 0.2");
    // The hundredth is due after 0.99 s.
    assert!(number(&result, "/handshakes_per_second") < 102.0, "{result}");
}

#[test]
fn clients_that_are_not_let_in_are_counted_by_answer() {
    let server = Launch::embedded().option("--shards", "1").option("--max-connections", "30").start().unwrap();
    let (code, result) =
        read(&tester(&format!("connect --clients 50 --seconds 0.3 {}", at(&server))).output().unwrap());
    assert_eq!((code, result["verdict"].as_str()), (Some(1), Some("fail")), "{result}");
    let refused = count(&result, "/refused");
    let reasons = result["refused_by_reason"].as_object().unwrap();
    assert!(refused > 0 && count(&result, "/connected") + refused == 50, "{result}");
    assert_eq!(reasons.values().filter_map(Value::as_u64).sum::<u64>(), refused, "{reasons:?}");
    assert!(reasons.keys().any(|reason| reason.contains("503")), "{reasons:?}");
}

#[test]
fn idle_says_what_a_connection_that_waits_costs_user_and_kernel_apart() {
    let result = check("idle --clients 400 --seconds 1 --warmup 0.5");
    let figures = ["rss_bytes_per_connection", "anonymous_bytes_per_connection", "kernel_slabs_per_connection"];
    for figure in figures {
        assert!(result["server"][figure].is_number(), "{figure} in {result}");
    }
    assert!(number(&result, "/figures/cpu_ns_per_second_and_connection") >= 0.0, "{result}");
    assert!(result["notes"].to_string().contains("both") || result["notes"].to_string().contains("half"), "{result}");
}

#[test]
fn after_a_storm_everybody_is_back_and_bystanders_missed_nothing() {
    std::thread::scope(|scope| {
        for how in ["--stagger 0", "--stagger 0.3", "--protocol flux --stagger 0"] {
            scope.spawn(move || check_storms(how));
        }
    });
}

fn check_storms(how: &str) {
    let words = format!("storm --clients 60 --bystanders 10 --times 2 --seconds 0.5 --warmup 0.2 {how}");
    let result = check(&words);
    let storms = rounds(&result, "storm");
    assert_eq!(storms.len(), 2, "{result}");
    for storm in storms {
        assert_eq!((storm["held"].as_bool(), count(storm, "/figures/back")), (Some(true), 60), "{result}");
        assert!(number(storm, "/figures/connecting_p99_us") > 0.0, "{result}");
    }
    assert!(number(&result, "/delivered") > 100.0 && count(&result, "/connected") == 70, "{result}");
    assert!(number(&result, "/figures/bystanders_p99_ratio") > 0.0, "{result}");
}

#[test]
fn who_stops_reading_is_told_of_apart_and_the_others_miss_nothing() {
    std::thread::scope(|scope| {
        for slow_read in [0, 20_000] {
            scope.spawn(move || check_slow(slow_read));
        }
    });
}

fn check_slow(slow_read: u32) {
    let words = format!(
        "slow --clients 8 --slow-share 20% --slow-read {slow_read} --rate 100 --size 64KiB --seconds 4 --warmup 0"
    );
    // Room enough for those who read on a busy machine.
    let result = check_with(Launch::embedded().option("--outbound-max", "2MiB"), &words);
    assert_eq!((count(&result, "/figures/slow_clients"), count(&result, "/connected")), (2, 8), "{result}");
    // 19 MB for each; queue and kernel keep half of that.
    assert_eq!(count(&result, "/figures/slow_clients_closed"), 2, "{result}");
    assert!(number(&result, "/figures/slow_clients_first_closed_after_seconds") > 0.0, "{result}");
    assert_eq!(rounds(&result, "the others").len(), 2, "{result}");
    let closed: u64 = rounds(&result, "slow clients closed").iter().map(|round| count(round, "/figures/closed")).sum();
    assert_eq!(closed, 2, "{result}");
    // All that was published after the beginning reached those who read.
    assert_eq!(count(&result, "/delivered"), count(&result, "/published") * 6, "{result}");
}

#[test]
fn a_soak_loses_nothing_while_clients_leave_and_come() {
    for protocol in ["workflow", "flux"] {
        let words = "soak --clients 60 --users 20 --churn 40 --rate 300 --sizes 64,300,2KiB --seconds 2 --warmup 0.1";
        let result = check(&format!("{words} --protocol {protocol}"));
        assert!(count(&result, "/figures/clients_that_left_and_came_back") >= 40, "{result}");
        // Three connections of each username, one of which may be on its way.
        assert!(count(&result, "/delivered") >= count(&result, "/published") * 2, "{result}");
    }
}

#[test]
fn capacity_finds_a_rate_that_holds_and_says_what_it_tried() {
    let server = Launch::embedded().start().unwrap();
    let words = "capacity --clients 10 --rate 400000 --searches 1 --seconds 0.3 --warmup 0 --slo p99=20ms --patience 1";
    let (code, result) =
        read(&tester(&format!("{words} {} --server-pid {}", at(&server), server.pid())).output().unwrap());
    let found = number(&result, "/figures/capacity_events_per_second");
    let tries = result["rounds"].as_array().unwrap();
    let held = |held: bool| tries.iter().filter(move |round| round["held"] == held);
    let highest = held(true).map(|round| number(round, "/figures/rate")).fold(0.0, f64::max);
    assert!((found - highest).abs() < 0.5 && held(false).count() > 0, "{result}");
    assert!(matches!(code, Some(0 | 3)) && number(&result, "/published_per_second") > 0.0, "{code:?} {result}");
}

/// Each scenario with a load that would last much longer than the test.
const LONG: [&str; 10] = [
    "fanout --clients 20 --rate 50 --seconds 300",
    "users --clients 20 --rate 200 --seconds 300",
    "users --protocol flux --clients 20 --rate 200 --seconds 300",
    "connect --clients 3000 --ramp 60 --seconds 300",
    "idle --clients 20 --seconds 300",
    "storm --clients 20 --bystanders 5 --seconds 0.3 --times 1000",
    "storm --protocol flux --clients 20 --bystanders 5 --seconds 0.3 --times 1000",
    "slow --clients 20 --size 1KiB --seconds 300",
    "soak --clients 20 --users 10 --seconds 300",
    "capacity --clients 20 --rate 50 --seconds 30",
];

/// Longer than any of them takes from its first clients to its first event that is measured.
const UNDER_WAY: Duration = Duration::from_millis(700);

/// Runs until `end` has been done to the server in the middle of it.
fn cut_short(words: &str, end: impl FnOnce(Server, &Child) -> Option<Server>) -> Value {
    let server = Launch::embedded().start().unwrap();
    let scratch = Scratch::new();
    let report = scratch.join("report.html");
    let words = format!(
        "{words} --warmup 0 --patience 1 --report {} {} --server-pid {}",
        report.display(),
        at_for(words, &server),
        server.pid()
    );
    let child = tester(&words).spawn().unwrap();
    eventually("clients are there", || (server.count("/total/connections") >= 20).then_some(()));
    std::thread::sleep(UNDER_WAY);
    let server = end(server, &child);
    let (code, result) = read(&outcome(child));
    drop(server);
    assert_eq!((code, result["verdict"].as_str()), (Some(1), Some("fail")), "{words}: {result}");
    let page = std::fs::read_to_string(&report).unwrap();
    assert!(page.contains("Failed"), "{words}");
    result
}

#[test]
fn a_server_that_dies_in_the_middle_of_any_scenario_is_said_to_have_gone_away() {
    std::thread::scope(|scope| {
        for words in LONG {
            scope.spawn(move || {
                let result = cut_short(words, |server, _| {
                    drop(server);
                    None
                });
                assert!(result["reasons"].to_string().contains("went away"), "{words}: {result}");
            });
        }
    });
}

#[test]
fn ctrl_c_in_the_middle_of_any_scenario_ends_it_with_a_report_of_what_was() {
    std::thread::scope(|scope| {
        for words in LONG {
            scope.spawn(move || {
                let result = cut_short(words, |server, child| {
                    kill_process(Pid::from_child(child), Signal::INT).unwrap();
                    Some(server)
                });
                assert!(result["reasons"].to_string().contains("interrupted after"), "{words}: {result}");
                assert!(count(&result, "/lost") == 0 && number(&result, "/connected") >= 20.0, "{words}: {result}");
            });
        }
    });
}

#[test]
fn a_flag_of_another_scenario_is_refused_in_a_sentence() {
    let output = tester("idle --stagger 3").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("--stagger is no setting of idle"), "{said}");
}
