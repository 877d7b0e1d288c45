//! Some clients stop reading, or read slowly: what happens to the others, and to them?

mod ends;

use super::definition::{Scenario, USUAL};
use crate::tester::clock::{SECOND, from_seconds, seconds, whole};
use crate::tester::course::Unrest;
use crate::tester::flags::Flags;
use crate::tester::outcome::Round;
use crate::tester::plan::Load;
use crate::tester::plan::Plan;
use crate::tester::publishing::Published;
use crate::tester::run::{Phase, Play, Stage};
use ends::SlowEnds;
use std::collections::BTreeMap;

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
    play: Play { reads_counters: true, perform: slow_down, conclude },
    ..USUAL
};

/// The part of the time that is calm, before anybody is slow.
const CALM: f64 = 0.25;

/// How long the slow ones read again at the end, so that they learn what became of them, in nanoseconds.
const READING_AGAIN: u64 = SECOND;

/// Between two looks at the server's ends, in nanoseconds: the kernel walks all sockets for it.
const LOOK_AGAIN: u64 = SECOND / 2;

/// Connections that were closed for being too slow, in the server's statistics.
const CLOSED_FOR_IT: &str = "/total/closed/4001";

/// One in twenty, where nobody says otherwise.
const SHARE: &str = "5%";

fn slow_down(stage: &mut Stage<'_, '_, '_>) {
    let all = stage.plan().seconds;
    // Looking and asking cost something: the calm part pays for it, too.
    let mut ends = SlowEnds::new(stage);
    let mut goes_on = watch_for(stage, all * CALM, |stage| {
        are_gone(stage, &mut ends, 0);
    });
    let calm = stage.end_phase();
    stage.add_round(calm.round("the others before"));
    if !goes_on {
        return;
    }
    stage.announce("some clients are slow now");
    let from = stage.order();
    let mut ends = SlowEnds::new(stage);
    let mut has_read_on = false;
    goes_on = watch_for(stage, all * (1.0 - CALM), |stage| {
        let are_gone = are_gone(stage, &mut ends, stage.now().saturating_sub(from));
        // The last of them may still learn why: the server waits for a moment before it drops who was closed.
        if are_gone && !has_read_on {
            has_read_on = true;
            stage.order();
        }
    });
    tell_of_the_others(stage, &calm);
    let ended = stage.now();
    if goes_on && !has_read_on {
        let again = stage.order();
        stage.hold_until(again + READING_AGAIN, |_| false);
    }
    ends.tell(stage);
    tell_of_the_slow(stage, from, ended);
}

/// Time passes, and the server's ends are looked at now and then; whether the run is to go on.
fn watch_for(stage: &mut Stage<'_, '_, '_>, seconds: f64, mut look: impl FnMut(&mut Stage<'_, '_, '_>)) -> bool {
    let ending = stage.now() + from_seconds(seconds);
    while stage.now() < ending {
        if !stage.hold_until(ending.min(stage.now() + LOOK_AGAIN), |_| false) {
            return false;
        }
        look(stage);
    }
    true
}

/// Looks again, so many nanoseconds after they began to be slow, and asks the server: whether one says that all are gone.
fn are_gone(stage: &Stage<'_, '_, '_>, ends: &mut SlowEnds, now: u64) -> bool {
    ends.look(stage.board(), now);
    let are_closed = are_closed(stage);
    ends.are_gone() || are_closed
}

/// Whether the server says that it has closed as many as are slow.
fn are_closed(stage: &Stage<'_, '_, '_>) -> bool {
    let slow = u64::from(stage.plan().course.restless);
    let counters = stage.counters();
    counters.is_some_and(|[before, now]| now.count(CLOSED_FOR_IT).saturating_sub(before.count(CLOSED_FOR_IT)) >= slow)
}

/// What those who read noticed.
fn tell_of_the_others(stage: &mut Stage<'_, '_, '_>, calm: &Phase) {
    let slow = stage.end_phase();
    let mut round = slow.round("the others meanwhile");
    round.figures.extend(slow.over(calm));
    stage.add_round(round);
    for (name, value) in slow.over(calm) {
        stage.set(&format!("others_{name}"), value);
    }
}

/// Whether the server's counters and what its clients saw explain each other.
fn conclude(stage: &mut Stage<'_, '_, '_>, published: &Published) {
    if let Some(reckoning) = stage.reckon(published) {
        reckoning.rounds().into_iter().for_each(|round| stage.check(round));
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
        "a client that does not read learns late that it was closed: the end waits behind what it has not read. Who \
         reads on within two seconds finds 4001, who does so later 1006; the server's own count has the cause. What the \
         server did meanwhile is seen on this machine only"
            .to_owned(),
    );
}

/// The last of the clients are the slow ones.
fn shape(arguments: &Flags, plan: &mut Plan) -> Result<(), String> {
    plan.course.restless = share(plan.clients, arguments.slow_share.as_deref().unwrap_or(SHARE))?;
    plan.course.unrest = Unrest::Slow { bytes_per_second: arguments.slow_read.unwrap_or(0) };
    if plan.steady() < plan.users {
        return Err(format!("--slow-share leaves {} clients that read for {} users", plan.steady(), plan.users));
    }
    Ok(())
}

/// How many are `5%` or `0.05` of so many clients, rounded up.
pub(super) fn share(clients: u32, text: &str) -> Result<u32, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / scale);
    let unfit = || format!("--slow-share {text} is not between 0 and 1, such as 5% or 0.05");
    let share = share.filter(|share| (0.0..1.0).contains(share)).ok_or_else(unfit)?;
    Ok(u32::try_from(whole((f64::from(clients) * share).ceil())).unwrap_or(clients))
}
