//! A long run in which everything happens that may: clients come and go, some are slow, Redis dies twice. Nothing is lost
//! beyond the gaps that were announced, and every counter is explained.
//!
//! `scripts/soak` runs the long form. `FANOUT_SOAK_SECONDS` says how long it is, `FANOUT_SOAK_RECORD` where it is kept.

mod program;

use loadtest::{Launch, Redis};
use program::{at, count, number, read, tester};
use serde_json::Value;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// What every form has in common; the load is that of `loadtest/scenarios/soak-full.toml` with fewer clients.
const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/soak-full.toml");

/// The short form: few clients with events that are large for them, so that the slow ones are closed in time.
const SHORT_SECONDS: f64 = 40.0;
const SHORT: &str = "--clients 400 --users 40 --churn 10 --slow-share 5% --rate 600 --size 2KiB";

/// Redis is away for so long each time.
const AWAY: Duration = Duration::from_millis(1_500);

/// When it is killed, as parts of the time: the last quarter is left to memory.
const KILLS: [f64; 2] = [0.3, 0.6];

#[test]
fn in_a_soak_with_churn_slow_clients_and_a_redis_that_dies_every_loss_is_announced_and_every_counter_explained() {
    let seconds = std::env::var("FANOUT_SOAK_SECONDS").ok().map(|text| text.parse::<f64>().expect("seconds"));
    let directory = std::env::var("FANOUT_SOAK_RECORD").ok();
    let mut redis = Redis::start().unwrap();
    // Nobody reads two lines for each client that comes and goes.
    let launch = Launch::with_redis(&redis).option("--log-level", "warn");
    let is_short = seconds.is_none();
    // The queue of a slow client of the short form is full within seconds.
    let server = if is_short { launch.option("--outbound-max", "64KiB") } else { launch }.start().unwrap();
    let load = if is_short { SHORT } else { "" };
    let seconds = seconds.unwrap_or(SHORT_SECONDS);
    let record = directory.map(|directory| format!("--record {directory}")).unwrap_or_default();
    let words = format!("soak --scenario {SCENARIO} {load} --seconds {seconds} {record}");
    // Hours want to be watched; a pipe that nobody reads would be full after some of them.
    let place = if is_short { at(&server) } else { at(&server).replace("--quiet", "") };
    let mut command = tester(&format!("{words} {place} --server-pid {}", server.pid()));
    let child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let output = thread::scope(|scope| {
        let running = scope.spawn(|| child.wait_with_output().unwrap());
        for pause in [KILLS[0], KILLS[1] - KILLS[0]] {
            thread::sleep(Duration::from_secs_f64(pause * seconds));
            redis.kill();
            thread::sleep(AWAY);
            redis.restart().unwrap();
        }
        running.join().unwrap()
    });
    judge(&read(&output));
    // A machine that stood still for seconds has cost one more.
    assert!(server.count("/broker/reconnects") >= 2);
}

/// What must hold in every form; that the tester had no time left on a busy machine is no fault of the server's.
fn judge((code, result): &(Option<i32>, Value)) {
    let rounds = result["rounds"].as_array().expect("a list of checks");
    let broken: Vec<&Value> = rounds.iter().filter(|round| round["held"] != true).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(rounds.len() >= 7, "{rounds:#?}");
    assert!(matches!(code, Some(0 | 3)), "{code:?} {}", result["reasons"]);
    for fault in ["/lost", "/duplicated", "/reordered", "/foreign", "/closed", "/refused"] {
        assert_eq!(count(result, fault), 0, "{fault}");
    }
    // Each part of it did happen.
    assert!(number(result, "/figures/events_not_published_while_the_broker_was_away") > 0.0, "{}", result["figures"]);
    assert!(number(result, "/figures/clients_that_left_and_came_back") > 0.0, "{}", result["figures"]);
    assert!(number(result, "/figures/slow_clients_closed") > 0.0, "{}", result["figures"]);
}
