//! How the cost of a delivery grows with clients, bytes and windows, beside the floor; and memory with clients.

use super::super::figure::Unit;
use super::super::finding::Finding;
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::rounds::Rounds;
use super::super::section::Section;
use super::super::subject::{FANOUT, Subject};
use super::super::trial::Trial;
use crate::tester::floor::Mode;
use std::io;

const CLIENTS: u32 = 1_000;

/// From one client to as many as 20 000 open files allow.
pub(in super::super) fn clients(rig: &Rig) -> io::Result<Section> {
    let crowds = [1, 10, 100, 1_000, 5_000, 10_000, 19_000];
    let loads = crowds.map(|clients| Load::one_username(rig.scaled(clients), 4));
    costs(rig, "curve-clients", &loads, |load| format!("window 4, clients: {}", load.clients))
}

/// From small events to those that fill a socket.
pub(in super::super) fn sizes(rig: &Rig) -> io::Result<Section> {
    let sizes = [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10];
    let loads = sizes.map(|event_bytes| Load { event_bytes, ..Load::one_username(rig.scaled(CLIENTS), 1) });
    costs(rig, "curve-sizes", &loads, |load| {
        format!("window 1, clients: {}, bytes: {}", load.clients, load.event_bytes)
    })
}

/// From one event at a time to as many as one turn joins.
pub(in super::super) fn windows(rig: &Rig) -> io::Result<Section> {
    let windows = [1, 2, 4, 8, 16, 32, 64];
    let loads = windows.map(|window| Load::one_username(rig.scaled(CLIENTS), window));
    let what = |load: Load| match load.pace {
        Pace::Window(window) => format!("window {window}, clients: {}", load.clients),
        Pace::Silence => format!("no events, clients: {}", load.clients),
        Pace::Rate(rate) => format!("{rate} events/s, clients: {}", load.clients),
    };
    costs(rig, "curve-windows", &loads, what)
}

fn costs(rig: &Rig, row: &str, loads: &[Load], what: impl Fn(Load) -> String) -> io::Result<Section> {
    let mut section = Section::default();
    for &load in loads {
        let trials = [FANOUT, Subject::Floor(Mode::Joined)].map(|subject| Trial { subject, load });
        let rounds = Rounds::measure(rig, &trials)?;
        let finding = Finding::new(row, format!("{}: CPU per delivery", what(load)))
            .measured(Unit::Nanoseconds, &rounds.costs(0))
            .beside(&trials[1].subject.to_string(), &rounds.costs(0), &rounds.costs(1))
            .rests_on(&rounds, &[0, 1]);
        section.findings.push(finding);
        section.runs.extend(rounds.runs());
        if rig.is_interrupted() {
            break;
        }
    }
    Ok(section)
}

/// Resident memory of the server for each client.
pub(in super::super) fn memory(rig: &Rig) -> io::Result<Section> {
    let mut section = Section::default();
    for clients in [1_000, 5_000, 10_000, 15_000, 19_000] {
        // Some events show that they can be reached.
        let load = Load::usernames(rig.scaled(clients), Pace::Rate(rig.rate_of_some(1.0)));
        let rounds = Rounds::measure(rig, &[Trial { subject: FANOUT, load }])?;
        let bytes = rounds.values(0, super::user_bytes);
        let finding = Finding::new(
            "curve-memory",
            format!("{} idle clients, a username each: user memory of each", load.clients),
        )
        .measured(Unit::Bytes, &bytes)
        .rests_on(&rounds, &[0]);
        section.findings.push(finding);
        section.runs.extend(rounds.runs());
        if rig.is_interrupted() {
            break;
        }
    }
    Ok(section)
}
