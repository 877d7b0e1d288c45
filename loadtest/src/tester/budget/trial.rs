//! One subject under one load: started, loaded once, ended.

use super::load::Load;
use super::rig::Rig;
use super::subject::{Running, Subject};
use crate::tester::alone;
use crate::tester::course::Course;
use crate::tester::event_size::EventSize;
use crate::tester::outcome::{Outcome, Verdict};
use crate::tester::plan::{Plan, Publish, Source};
use crate::tester::template::Template;
use std::time::Instant;

/// Seconds that a missing event is waited for: far above any delay of a server that still works.
const PATIENCE_SECONDS: f64 = 10.0;

/// Lines of a server's log that are shown when a run has failed.
const LOG_LINES: usize = 5;

/// One subject under one load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// What is loaded.
    pub subject: Subject,
    /// With what.
    pub load: Load,
}

impl Trial {
    /// Starts the subject, loads it once, ends it.
    pub fn measure(self, rig: &Rig) -> Outcome {
        match self.subject.start(rig, self.load) {
            Ok(running) => load_once(rig, &running, self.load, Instant::now()),
            Err(error) => failed(rig, format!("{} does not start: {error}", self.subject)),
        }
    }
}

/// Loads what runs already. Due times in events count from `epoch`. What cannot be loaded has failed.
pub fn load_once(rig: &Rig, running: &Running, load: Load, epoch: Instant) -> Outcome {
    match alone::run(&plan(rig, running, load), &rig.surroundings(epoch)) {
        Ok(outcome) if outcome.verdict != Verdict::Fail => outcome,
        Ok(outcome) => {
            rig.tell(&format!("  a run failed: {}", outcome.reasons.join("; ")));
            tell_log(rig, &running.log());
            outcome
        }
        Err(refusal) if running.has_ended() => failed(rig, format!("the server went away: {refusal}")),
        Err(refusal) => failed(rig, refusal.to_string()),
    }
}

/// The end of a server's log without the greeting, whose lines are indented below the first.
fn tell_log(rig: &Rig, log: &str) {
    let lines: Vec<&str> = log.lines().skip(1).filter(|line| !line.starts_with("  ")).collect();
    lines.iter().rev().take(LOG_LINES).rev().for_each(|line| rig.tell(&format!("  {line}")));
}

fn failed(rig: &Rig, reason: String) -> Outcome {
    rig.tell(&format!("  {reason}"));
    Outcome { verdict: Verdict::Fail, reasons: vec![reason], ..Outcome::default() }
}

/// The plan of one measurement.
pub fn plan(rig: &Rig, running: &Running, load: Load) -> Plan {
    let dialect = running.dialect();
    let publish =
        Publish::Redis { address: running.publish().to_string(), channel: Template(dialect.publish_to().to_owned()) };
    Plan {
        scenario: if load.users == 1 { "fanout" } else { "users" }.to_owned(),
        protocol: dialect.name().to_owned(),
        url: Template(running.url()),
        publish,
        clients: load.clients,
        users: load.users,
        load: load.pace,
        size: EventSize(load.event_bytes),
        seconds: rig.seconds,
        warmup: rig.warmup(),
        patience: PATIENCE_SECONDS,
        threads: u32::try_from(rig.tester_cores().len()).unwrap_or(1).min(4),
        publishers: load.publishers(),
        slo: Vec::new(),
        server_pid: Some(running.pid()),
        source: Source::Auto,
        course: Course::default(),
    }
}
