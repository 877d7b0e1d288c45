//! What a client costs that is only there: memory, and processor time for its pings.

use super::super::figure::Unit;
use super::super::finding::{Budget, Finding};
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::rounds::Rounds;
use super::super::section::Section;
use super::super::subject::{Options, Subject};
use super::super::trial::Trial;
use crate::tester::outcome::Outcome;
use std::io;

const CLIENTS: u32 = 15_000;

/// Three open pages each.
const USERS: u32 = 5_000;

/// The ping interval of the budget, and time for two pings to every client.
const PING_INTERVAL: &str = "25s";
const PINGING: Subject = Subject::Fanout(Options { others: &[("--ping-interval", PING_INTERVAL)], ..Options::USUAL });
const SECONDS: f64 = 50.0;

/// Some events, which show that clients can still be reached: 1 in a second costs 20 µs of its 7 500.
const EVENTS_PER_SECOND: f64 = 1.0;

/// Memory and processor time of the same idle clients; memory once more with a username for each of them.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    let clients = rig.scaled(CLIENTS);
    let long = rig.lasting(SECONDS);
    let tabs = Load { users: rig.scaled(USERS), ..some_events(&long, clients) };
    let rounds = Rounds::measure(&long, &[Trial { subject: PINGING, load: tabs }])?;
    let mut section = Section { findings: vec![memory(&rounds, tabs), processor(&rounds, tabs)], runs: rounds.runs() };
    if !rig.is_interrupted() {
        let alone = some_events(rig, clients);
        let rounds = Rounds::measure(rig, &[Trial { subject: PINGING, load: alone }])?;
        section.findings.insert(1, memory(&rounds, alone));
        section.runs.extend(rounds.runs());
    }
    Ok(section)
}

fn some_events(rig: &Rig, clients: u32) -> Load {
    Load::usernames(clients, Pace::Rate(rig.rate_of_some(EVENTS_PER_SECOND)))
}

fn memory(rounds: &Rounds, load: Load) -> Finding {
    let bytes = rounds.values(0, super::user_bytes);
    let what = format!("{} idle clients of {} usernames: user memory of each", load.clients, load.users);
    Finding::new("idle-memory", what)
        .within(Budget::AtMost(1_000.0))
        .measured(Unit::Bytes, &bytes)
        .rests_on(rounds, &[0])
}

fn processor(rounds: &Rounds, load: Load) -> Finding {
    let what = format!("{} idle clients, a ping every {PING_INTERVAL}: CPU per second and client", load.clients);
    let nanoseconds = rounds.values(0, |outcome| idle_nanoseconds(outcome, load.clients));
    Finding::new("idle-cpu", what)
        .within(Budget::AtMost(500.0))
        .measured(Unit::Nanoseconds, &nanoseconds)
        .note("with an event a second on top")
        .rests_on(rounds, &[0])
}

/// Processor time per second and client, in nanoseconds.
fn idle_nanoseconds(outcome: &Outcome, clients: u32) -> f64 {
    outcome.server.map_or(f64::NAN, |server| server.cores * 1e9 / f64::from(clients))
}
