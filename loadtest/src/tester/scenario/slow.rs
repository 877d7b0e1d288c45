//! Some clients stop reading, or read slowly: what happens to the others, and to them?

use super::{Load, Scenario, USUAL};
use crate::tester::arguments::LoadArguments;
use crate::tester::board::Board;
use crate::tester::clock::{SECOND, from_seconds, seconds};
use crate::tester::course::Unrest;
use crate::tester::outcome::Round;
use crate::tester::plan::Plan;
use crate::tester::run::Stage;
use crate::tester::sockets::{Ends, established};
use std::collections::{BTreeMap, BTreeSet};

/// Big events to few clients of one username, so that what waits for the slow ones grows.
pub static SLOW: Scenario = Scenario {
    name: "slow",
    clients: 200,
    users: 1,
    load: Load::Rate(100.0),
    size: 4_096,
    seconds: 20.0,
    flags: &["ramp", "slow-share", "slow-read", "sizes"],
    is_divisible: false,
    shape,
    play: slow_down,
    ..USUAL
};

/// The part of the time that is calm, before anybody is slow.
const CALM: f64 = 0.25;

/// How long the slow ones read again at the end, so that they learn what became of them, in nanoseconds.
const READING_AGAIN: u64 = SECOND;

/// Between two looks at the server's ends, in nanoseconds: the kernel walks all sockets for it.
const LOOK_AGAIN: u64 = SECOND / 4;

/// One in twenty, where nobody says otherwise.
const SHARE: f64 = 0.05;

fn slow_down(stage: &mut Stage<'_, '_, '_>) {
    let all = stage.plan().seconds;
    let mut goes_on = stage.hold(all * CALM);
    let calm = stage.end_phase();
    stage.add_round(calm.round("the others before"));
    if !goes_on {
        return;
    }
    stage.announce("some clients are slow now");
    let from = stage.order();
    let mut watched = Watched::new(stage.board());
    let ending = stage.now() + from_seconds(all * (1.0 - CALM));
    while goes_on && stage.now() < ending {
        goes_on = stage.hold_until(ending.min(stage.now() + LOOK_AGAIN), |_| false);
        watched.look(stage.now().saturating_sub(from));
    }
    let slow = stage.end_phase();
    let mut round = slow.round("the others meanwhile");
    round.figures.extend(slow.over(&calm));
    stage.add_round(round);
    for (name, value) in slow.over(&calm) {
        stage.set(&format!("others_{name}"), value);
    }
    let ended = stage.now();
    if goes_on {
        let again = stage.order();
        stage.hold_until(again + READING_AGAIN, |_| false);
    }
    watched.tell(stage);
    tell_of_the_slow(stage, from, ended);
}

/// The server's ends of the slow connections, where they are on this machine.
struct Watched {
    open: BTreeSet<Ends>,
    /// When each was found closed, in nanoseconds after the slow ones began.
    closed: Vec<u64>,
}

impl Watched {
    fn new(board: &Board) -> Self {
        let ends: Vec<Ends> = board.tapes().flat_map(|tape| tape.slow_ends.clone()).collect();
        let established = established().unwrap_or_default();
        Self { open: ends.into_iter().filter(|ends| established.contains(ends)).collect(), closed: Vec::new() }
    }

    fn look(&mut self, now: u64) {
        let Ok(established) = established() else { return };
        let before = self.open.len();
        self.open.retain(|ends| established.contains(ends));
        self.closed.extend((self.open.len()..before).map(|_| now));
    }

    fn tell(&self, stage: &mut Stage<'_, '_, '_>) {
        let [Some(first), Some(last)] = [self.closed.first(), self.closed.last()] else { return };
        stage.set("slow_clients_closed_by_the_server_meanwhile", self.closed.len() as f64);
        stage.set("slow_clients_first_closed_after_seconds", seconds(*first));
        stage.set("slow_clients_last_closed_after_seconds", seconds(*last));
    }
}

/// When they were closed, by which code and how many.
fn tell_of_the_slow(stage: &mut Stage<'_, '_, '_>, from: u64, ended: u64) {
    let slow = stage.plan().course.restless;
    let mut closed: Vec<(u64, u16)> = stage.board().tapes().flat_map(|tape| tape.given_up.clone()).collect();
    closed.sort_unstable();
    let mut by_code: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    for (at, code) in &closed {
        by_code.entry(*code).or_default().push(at.saturating_sub(from));
    }
    let unnoticed = closed.iter().filter(|(at, _)| *at > ended).count();
    stage.set("slow_clients", f64::from(slow));
    stage.set("slow_clients_closed", closed.len() as f64);
    stage.set("slow_clients_found_closed_at_the_end", unnoticed as f64);
    for (code, times) in by_code {
        let figures = [
            ("closed", times.len() as f64),
            ("first_found_after_seconds", times.first().map_or(f64::NAN, |time| seconds(*time))),
            ("last_found_after_seconds", times.last().map_or(f64::NAN, |time| seconds(*time))),
        ];
        let figures = figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        stage.add_round(Round { name: format!("slow clients closed with {code}"), held: true, figures });
    }
    stage.note(
        "a client that does not read learns late that it was closed: the end waits behind what it has not read, and \
         where the close frame no longer fitted the code is 1006; what the server did meanwhile is seen on this machine \
         only"
            .to_owned(),
    );
}

/// The last of the clients are the slow ones.
fn shape(arguments: &LoadArguments, plan: &mut Plan) -> Result<(), String> {
    let share = arguments.slow_share.as_deref().map_or(Ok(SHARE), share)?;
    let slow = (f64::from(plan.clients) * share).ceil();
    plan.course.restless = (0..plan.clients).find(|count| f64::from(*count) >= slow).unwrap_or(plan.clients);
    plan.course.unrest = Unrest::Slow { bytes_per_second: arguments.slow_read.unwrap_or(0) };
    if plan.steady() < plan.users {
        return Err(format!("--slow-share leaves {} clients that read for {} users", plan.steady(), plan.users));
    }
    Ok(())
}

/// `5%` or `0.05`.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / scale);
    let unfit = || format!("--slow-share {text} is not between 0 and 1, such as 5% or 0.05");
    share.filter(|share| (0.0..1.0).contains(share)).ok_or_else(unfit)
}
