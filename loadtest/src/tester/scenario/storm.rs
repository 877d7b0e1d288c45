//! All clients drop at once and come back, while bystanders go on getting their events.

use super::definition::{Scenario, USUAL};
use crate::tester::board::{Board, histogram};
use crate::tester::clock::{SECOND, from_seconds, seconds};
use crate::tester::course::Unrest;
use crate::tester::flags::Flags;
use crate::tester::outcome::{Latency, Round};
use crate::tester::plan::Load;
use crate::tester::plan::Plan;
use crate::tester::run::{Phase, Play, Stage};
use hdrhistogram::Histogram;

/// Storms, each after some calm.
pub static STORM: Scenario = Scenario {
    name: "storm",
    load: Load::Rate(500.0),
    seconds: 5.0,
    flags: &["ramp", "bystanders", "times", "stagger"],
    is_divisible: false,
    shape,
    play: Play { perform: storms, ..Play::LISTENING },
    ..USUAL
};

/// Who stays and gets events, each under a name of its own, where nobody says otherwise.
const BYSTANDERS: u32 = 100;

/// A storm that is over sooner is compared with the calm for this long, in nanoseconds: it must hold some events.
const STORM_MIN: u64 = SECOND;

/// Nobody came back for so long: it is not going to end, in nanoseconds.
const PATIENCE: u64 = 15 * SECOND;

fn storms(stage: &mut Stage<'_, '_, '_>) {
    let (mut calm, mut stormy) = (Phase::new(), Phase::new());
    for number in 1..=stage.plan().course.times {
        if !stage.hold(stage.plan().seconds) {
            break;
        }
        calm.add(&stage.end_phase());
        stage.announce(&format!("storm {number} of {}", stage.plan().course.times));
        let goes_on = storm(stage, number);
        stormy.add(&stage.end_phase());
        if !goes_on {
            break;
        }
    }
    stage.add_round(calm.round("bystanders in the calm"));
    let mut round = stormy.round("bystanders in storms");
    round.figures.extend(stormy.over(&calm));
    for (name, value) in stormy.over(&calm) {
        stage.set(&format!("bystanders_{name}"), value);
    }
    stage.add_round(round);
}

/// One of them; whether there may be another.
fn storm(stage: &mut Stage<'_, '_, '_>, number: u32) -> bool {
    let before = refusals(stage.board());
    stage.board().tapes().for_each(|mut tape| tape.returning = histogram());
    let clients = stage.board().total(|tape| tape.open - tape.steady);
    let from = stage.order();
    let mut goes_on = wait_for_all(stage, clients, from);
    let returning = returning(stage.board());
    let all_are_back = returning.len() >= clients;
    let last = stage.board().tapes().map(|tape| tape.last_return).max().unwrap_or(0).max(from);
    goes_on &= stage.hold_until(from + STORM_MIN, |_| false);
    let latency = Latency::of(&returning);
    let mut figures = vec![
        ("clients", clients as f64),
        ("back", returning.len() as f64),
        ("until_the_last_was_back_us", seconds(last - from) * 1e6),
        ("refused", (refusals(stage.board()) - before) as f64),
    ];
    if !returning.is_empty() {
        let latency = [
            ("connecting_p50_us", latency.p50),
            ("connecting_p99_us", latency.p99),
            ("connecting_max_us", latency.max),
        ];
        figures.extend(latency.map(|(name, value)| (name, value as f64)));
    }
    let figures = figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    stage.add_round(Round { name: format!("storm {number}"), held: all_are_back, figures });
    if goes_on && !all_are_back {
        let back = returning.len();
        stage.fail(format!(
            "storm {number}: {back} of {clients} clients came back, then nobody for {} s",
            seconds(PATIENCE)
        ));
    }
    goes_on && all_are_back
}

/// Until everybody is back, or nobody has come for long; whether the run is to go on.
fn wait_for_all(stage: &mut Stage<'_, '_, '_>, clients: u64, from: u64) -> bool {
    let stagger = match stage.plan().course.unrest {
        Unrest::Storm { stagger } => from_seconds(stagger),
        _ => 0,
    };
    loop {
        let so_far = back(stage.board());
        let deadline = stage.now().max(from + stagger) + PATIENCE;
        let goes_on = stage.hold_until(deadline, |board| back(board) > so_far || so_far >= clients);
        if !goes_on || so_far >= clients {
            return goes_on;
        }
        if stage.now() >= deadline {
            return true;
        }
    }
}

/// How many are back from this storm.
fn back(board: &Board) -> u64 {
    board.total(|tape| tape.returning.len())
}

/// How long each of them took.
fn returning(board: &Board) -> Histogram<u64> {
    let mut returning = histogram();
    board.tapes().for_each(|tape| returning.add(&tape.returning).expect("histograms of one make"));
    returning
}

fn refusals(board: &Board) -> u64 {
    board.total(|tape| tape.reasons.values().sum())
}

/// Those who drop are the restless; bystanders come beside them.
fn shape(arguments: &Flags, plan: &mut Plan) -> Result<(), String> {
    let bystanders = arguments.bystanders.unwrap_or(BYSTANDERS);
    let clients = plan.clients.checked_add(bystanders).ok_or("too many clients")?;
    plan.course.restless = plan.clients;
    plan.course.times = arguments.times.unwrap_or(3);
    plan.course.unrest = Unrest::Storm { stagger: arguments.stagger.unwrap_or(0.0) };
    plan.clients = clients;
    plan.users = arguments.users.unwrap_or(clients);
    if bystanders == 0 {
        plan.load = Load::Silence;
    }
    Ok(())
}
