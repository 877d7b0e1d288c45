//! What a delivery costs: the server's processor time, beside the floor's in the same rounds.

use super::super::figure::{Figure, Unit};
use super::super::finding::{Budget, Finding, Standing};
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::rounds::Rounds;
use super::super::section::Section;
use super::super::subject::{FANOUT, FLUX, Subject};
use super::super::trial::Trial;
use crate::tester::floor::Mode;
use crate::tester::outcome::Verdict;
use std::io;

const ONE_USERNAME: u32 = 1_000;
const USERS: u32 = 5_000;

/// One event at a time: nothing can be joined.
pub(in super::super) fn window_1(rig: &Rig) -> io::Result<Section> {
    let load = Load::one_username(rig.scaled(ONE_USERNAME), 1);
    let row = Comparison {
        row: "window-1",
        what: format!("{} clients on one username, window 1: CPU per delivery", load.clients),
        subject: FANOUT,
        yardsticks: &[Subject::Floor(Mode::Send), Subject::Floor(Mode::Uring)],
        budget: 0.85,
    };
    row.measure(rig, load)
}

/// Sixteen at a time: a good server joins them.
pub(in super::super) fn window_16(rig: &Rig) -> io::Result<Section> {
    let load = Load::one_username(rig.scaled(ONE_USERNAME), 16);
    let row = Comparison {
        row: "window-16",
        what: format!("{} clients on one username, window 16: CPU per delivery", load.clients),
        subject: FANOUT,
        yardsticks: &[Subject::Floor(Mode::Joined), Subject::Floor(Mode::UringJoined), Subject::Floor(Mode::Send)],
        budget: 0.9,
    };
    row.measure(rig, load)
}

/// The same with flux clients: an event is taken out of one envelope and put into another.
pub(in super::super) fn flux(rig: &Rig) -> io::Result<Section> {
    let load = Load::one_username(rig.scaled(ONE_USERNAME), 16);
    let row = Comparison {
        row: "flux",
        what: format!(
            "{} flux clients on one channel, window 16: CPU per delivery, against workflow clients",
            load.clients
        ),
        subject: FLUX,
        yardsticks: &[FANOUT, Subject::Floor(Mode::Joined)],
        budget: 1.15,
    };
    row.measure(rig, load)
}

/// One connection for each user: every event is for another one.
pub(in super::super) fn users(rig: &Rig) -> io::Result<Section> {
    let load = Load::usernames(rig.scaled(USERS), Pace::Window(64));
    let row = Comparison {
        row: "users",
        what: format!("{} users with one connection each, window 64: CPU per delivery", load.clients),
        subject: FANOUT,
        yardsticks: &[Subject::Floor(Mode::Send), Subject::Floor(Mode::Joined), Subject::Floor(Mode::Uring)],
        // 3.6 µs where one `send` for each event with routing costs 3.
        budget: 3.6 / 3.0,
    };
    row.measure(rig, load)
}

/// The real server beside others; the first of the yardsticks is the one that counts.
struct Comparison {
    row: &'static str,
    what: String,
    subject: Subject,
    yardsticks: &'static [Subject],
    budget: f64,
}

impl Comparison {
    fn measure(self, rig: &Rig, load: Load) -> io::Result<Section> {
        let subjects = [self.subject].into_iter().chain(self.yardsticks.iter().copied());
        let trials: Vec<Trial> = subjects.map(|subject| Trial { subject, load }).collect();
        let rounds = Rounds::measure(rig, &trials)?;
        let costs = rounds.costs(0);
        let finding = Finding::new(self.row, self.what)
            .within(Budget::RatioAtMost(self.budget))
            .measured(Unit::Nanoseconds, &costs)
            .beside(&trials[1].subject.to_string(), &costs, &rounds.costs(1));
        let others = trials.iter().enumerate().skip(2);
        let finding = others.fold(finding, |finding, (number, trial)| {
            finding.also(&trial.subject.to_string(), &costs, &rounds.costs(number))
        });
        let finding = finding.note(rates(&rounds, trials.len())).rests_on(&rounds, &[0, 1]);
        Ok(Section { findings: vec![finding], runs: rounds.runs() })
    }
}

/// A server that is slower joins more of what waits for it: the rates belong to the costs.
fn rates(rounds: &Rounds, trials: usize) -> String {
    let rate = |trial| {
        let rate = Figure::of(rounds.values(trial, |outcome| outcome.delivered_per_second))?;
        Some(format!("{} {}", rounds.subject(trial), Unit::PerSecond.show(rate.median)))
    };
    let rates: Vec<String> = (0..trials).filter_map(rate).collect();
    format!("deliveries: {}", rates.join(", "))
}

/// Many clients: what one delivery costs must not grow with them.
pub(in super::super) fn clients(rig: &Rig) -> io::Result<Section> {
    let crowds = [1_000, 10_000, 19_000].map(|clients| Load::one_username(rig.scaled(clients), 4));
    let subjects = [FANOUT, Subject::Floor(Mode::Joined)];
    let trials: Vec<Trial> = crowds.iter().flat_map(|&load| subjects.map(|subject| Trial { subject, load })).collect();
    let rounds = Rounds::measure(rig, &trials)?;
    let few = rounds.costs(0);
    let findings = [2, 4].map(|many| {
        let clients = trials[many].load.clients;
        let costs = rounds.costs(many);
        Finding::new("clients", format!("{clients} clients on one username, window 4: CPU per delivery"))
            .within(Budget::RatioAtMost(1.25))
            .measured(Unit::Nanoseconds, &costs)
            .beside(&format!("fanout with {}", trials[0].load.clients), &costs, &few)
            .also(&format!("floor joined with {clients}"), &costs, &rounds.costs(many + 1))
            .note(growth(&rounds.costs(many + 1), &rounds.costs(1)))
            .rests_on(&rounds, &[0, many])
    });
    Ok(Section { findings: findings.into(), runs: rounds.runs() })
}

fn growth(many: &[f64], few: &[f64]) -> String {
    let growth = Figure::ratio(many, few).map_or_else(|| "unknown".to_owned(), |it| Unit::Times.show(it.median));
    format!("the floor's own growth: {growth}")
}

impl Finding {
    /// With something else that was measured beside it, as a note.
    pub(super) fn also(self, name: &str, values: &[f64], against: &[f64]) -> Self {
        let beside = Finding::new("", "").beside(name, values, against).yardstick;
        match (beside, self.measured) {
            (Some(beside), Some(measured)) => {
                let shown = measured.unit.show(beside.figure.median);
                self.note(format!("{} {name} ({shown})", Unit::Times.show(beside.ratio.median)))
            }
            _ => self,
        }
    }

    /// It does not stand where a run of these trials was not valid.
    pub(super) fn rests_on(self, rounds: &Rounds, trials: &[usize]) -> Self {
        match trials.iter().find_map(|&trial| Some((rounds.subject(trial), rounds.trouble(trial)?))) {
            Some((Subject::Fanout(_), trouble)) if trouble.verdict == Verdict::Fail => {
                self.but(Standing::Missed, trouble.reason)
            }
            Some((_, trouble)) => self.but(Standing::NotShown, trouble.reason),
            None => self,
        }
    }
}
