//! Clients that connect: how many in a second.

use super::super::figure::{Figure, Unit};
use super::super::finding::{Budget, Finding, Standing};
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::rounds::Rounds;
use super::super::section::Section;
use super::super::subject::{FANOUT, Subject};
use super::super::trial::Trial;
use crate::tester::floor::Mode;
use std::io;

/// As many as 20 000 open files allow: enough for a second of connecting.
const CLIENTS: u32 = 19_000;

/// What the budget asks of one core.
const PER_SECOND_MIN: f64 = 20_000.0;

/// Seconds of events after connecting, which show that everybody can be reached.
const SECONDS: f64 = 0.5;

/// Handshakes per second, beside a bare loop of `accept`, `read` and `write`.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    let load = Load::usernames(rig.scaled(CLIENTS), Pace::Rate(rig.scaled_rate(1_000.0)));
    let trials = [FANOUT, Subject::Floor(Mode::Send)].map(|subject| Trial { subject, load });
    let rounds = Rounds::measure(&rig.lasting(SECONDS), &trials)?;
    let rates = |trial| rounds.values(trial, |outcome| outcome.handshakes_per_second.unwrap_or(f64::NAN));
    let finding = Finding::new("handshakes", format!("{} clients connect: handshakes per second", load.clients))
        .within(Budget::AtLeast(PER_SECOND_MIN))
        .measured(Unit::PerSecond, &rates(0))
        .beside("floor accept loop", &rates(0), &rates(1));
    let finding = with_processor_time(finding, &rounds).rests_on(&rounds, &[0, 1]);
    Ok(Section { findings: vec![finding], runs: rounds.runs() })
}

/// Says what a handshake costs the server, and whether its core was the limit at all.
fn with_processor_time(finding: Finding, rounds: &Rounds) -> Finding {
    let cost = |trial| {
        let costs = rounds.values(trial, |it| it.server.map_or(f64::NAN, |server| server.cpu_ns_per_handshake));
        Figure::of(costs)
    };
    let (Some(cost), Some(floor), Some(rate)) = (cost(0), cost(1), finding.measured) else {
        return finding.but(Standing::NotShown, "connecting was not timed");
    };
    let busy = cost.median * rate.figure.median / 1e9;
    let finding = finding.note(format!(
        "the server's CPU per handshake is {} (floor: {}), that is {} of its own time; its core was busy for {:.0} % of \
         the connecting",
        Unit::Nanoseconds.show(cost.median),
        Unit::Nanoseconds.show(floor.median),
        Unit::PerSecond.show(1e9 / cost.median),
        busy * 100.0
    ));
    let bare = finding.yardstick.as_ref().map_or(f64::INFINITY, |yardstick| yardstick.figure.median);
    if finding.verdict == Standing::Missed && bare < PER_SECOND_MIN {
        return finding.but(Standing::NotShown, "the tester was the limit: it gets no more out of the bare loop");
    }
    finding
}
