//! What thousands who connect do to the events of those who are there already.

use super::super::figure::Unit;
use super::super::finding::{Budget, Finding, Standing};
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::section::Section;
use super::super::subject::{FANOUT, Running};
use super::super::trial::{self, load_once};
use crate::tester::alone;
use crate::tester::outcome::{Outcome, Verdict};
use crate::tester::plan::Plan;
use crate::tester::progress::Quiet;
use crate::tester::record::Run;
use crate::tester::run::Surroundings;
use rustix::process::setpriority_process;
use std::collections::BTreeMap;
use std::io;
use std::iter::Sum;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Instant;

/// Those who are there, and their events.
const CLIENTS: u32 = 1_000;
const EVENTS_PER_SECOND: f64 = 2_000.0;

/// Those who connect in one storm.
const STORM_CLIENTS: u32 = 5_000;

/// Storms that take turns, so that one connects while another one has done so and leaves.
const STORMS: usize = 2;

/// The latest delivery at p99, in microseconds.
const P99_MAX: f64 = 20_000.0;

/// Connecting clients give way to those who are measured: the tester's core must not be the limit.
const NICE: i32 = 10;

/// One event in 50 ms shows that the storm's clients are subscribed; then they leave.
const STORM_SECONDS: f64 = 0.05;
const STORM_EVENTS_PER_SECOND: f64 = 40.0;

/// What storms there were during a run.
#[derive(Clone, Copy, Debug, Default)]
struct Storms {
    count: u32,
    connecting_seconds: f64,
    clients: u64,
}

impl Sum for Storms {
    fn sum<I: Iterator<Item = Self>>(storms: I) -> Self {
        storms.fold(Self::default(), |sum, storms| Self {
            count: sum.count + storms.count,
            connecting_seconds: sum.connecting_seconds + storms.connecting_seconds,
            clients: sum.clients + storms.clients,
        })
    }
}

/// Events go on while 5 000 connect, again and again.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    let load = Load::usernames(rig.scaled(CLIENTS), Pace::Rate(rig.scaled_rate(EVENTS_PER_SECOND)));
    let clients = rig.scaled(STORM_CLIENTS);
    let mut measurements = Vec::new();
    for round in 0..rig.rounds {
        let (outcome, storms) = weather(rig, load, clients)?;
        if rig.is_interrupted() {
            break;
        }
        rig.tell(&format!(
            "  round {} p99 {} µs, {} times {clients} connected at {:.0}/s",
            round + 1,
            outcome.latency_us.p99,
            storms.count,
            storms.clients as f64 / storms.connecting_seconds
        ));
        measurements.push((outcome, storms));
    }
    let p99 = measurements.iter().map(|(outcome, _)| outcome.latency_us.p99 as f64);
    let what = format!("events of {} users while {clients} connect, again and again: p99", load.clients);
    let finding = Finding::new("connecting", what)
        .within(Budget::AtMost(P99_MAX))
        .measured(Unit::Microseconds, &p99.collect::<Vec<_>>());
    let findings = vec![judged(finding, &measurements)];
    let runs = measurements.into_iter().enumerate().map(|(round, it)| recorded(round, load, it)).collect();
    Ok(Section { findings, runs })
}

/// One run in the middle of storms.
fn weather(rig: &Rig, load: Load, clients: u32) -> io::Result<(Outcome, Storms)> {
    let running = FANOUT.start(rig, load)?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let storms: Vec<_> = (0..STORMS).map(|_| scope.spawn(|| storm(rig, &running, clients, &is_over))).collect();
        let outcome = load_once(rig, &running, load, Instant::now());
        is_over.store(true, SeqCst);
        let storms = storms.into_iter().map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let sum = storms.sum::<io::Result<Storms>>();
        // Where the run failed, the storms had the same trouble.
        let sum = if outcome.verdict == Verdict::Fail { sum.unwrap_or_default() } else { sum? };
        Ok((outcome, sum))
    })
}

/// One crowd that connects, hears an event, leaves and comes back.
fn storm(rig: &Rig, running: &Running, clients: u32, is_over: &AtomicBool) -> io::Result<Storms> {
    setpriority_process(Some(rustix::thread::gettid()), NICE)?;
    let load = Load::usernames(clients, Pace::Rate(STORM_EVENTS_PER_SECOND));
    let plan = Plan { server_pid: None, seconds: STORM_SECONDS, warmup: 0.0, ..trial::plan(rig, running, load) };
    let mut storms = Storms::default();
    while !is_over.load(SeqCst) {
        let surroundings = Surroundings { progress: &Quiet, interrupted: is_over, epoch: Instant::now() };
        let outcome = alone::run(&plan, &surroundings);
        if is_over.load(SeqCst) {
            break;
        }
        let outcome = outcome.map_err(|refusal| io::Error::other(refusal.to_string()))?;
        if outcome.verdict == Verdict::Fail {
            return Err(io::Error::other(format!("a storm failed: {}", outcome.reasons.join("; "))));
        }
        storms.count += 1;
        storms.clients += outcome.connected;
        storms.connecting_seconds += outcome.connected as f64 / outcome.handshakes_per_second.unwrap_or(f64::INFINITY);
    }
    Ok(storms)
}

/// The tester's own delays are in the figure: within the budget they do not matter, above it they may be the cause.
fn judged(finding: Finding, measurements: &[(Outcome, Storms)]) -> Finding {
    let outcomes = || measurements.iter().map(|(outcome, _)| outcome);
    let storms = measurements.iter().map(|(_, storms)| storms.count).min().unwrap_or_default();
    let finding = finding.note(format!("{storms} storms or more in each round"));
    if let Some(failed) = outcomes().find(|outcome| outcome.verdict == Verdict::Fail) {
        return finding.but(Standing::Missed, failed.reasons.join("; "));
    }
    if storms == 0 {
        return finding.but(Standing::NotShown, "no storm was over before the run was: more --seconds");
    }
    match outcomes().find(|outcome| outcome.verdict == Verdict::TesterSaturated) {
        Some(outcome) if finding.verdict != Standing::Met => {
            finding.but(Standing::NotShown, outcome.reasons.join("; "))
        }
        _ => finding,
    }
}

fn recorded(round: usize, load: Load, (outcome, storms): (Outcome, Storms)) -> Run {
    let figures = [
        ("storms", f64::from(storms.count)),
        ("storm_handshakes_per_second", storms.clients as f64 / storms.connecting_seconds.max(f64::EPSILON)),
    ];
    let figures: BTreeMap<String, f64> = figures.map(|(name, value)| (name.to_owned(), value)).into();
    Run {
        subject: FANOUT.to_string(),
        round: u32::try_from(round + 1).unwrap_or(u32::MAX),
        settings: load.settings(),
        figures,
        outcome,
    }
}
