//! Hours of events while some clients leave and come, some are slow and the broker may die: memory must stay flat,
//! nothing may be lost but in gaps that were announced, and every counter must be explained.

use super::definition::{Scenario, USUAL};
use super::slow::share;
use crate::tester::course::{SlowClients, Unrest};
use crate::tester::crew::Crew;
use crate::tester::flags::Flags;
use crate::tester::outcome::{Outcome, Round, Sample};
use crate::tester::plan::{Plan, Publish};
use crate::tester::publishing::Published;
use crate::tester::run::{Play, Refusal, Stage};
use std::collections::BTreeMap;

/// Two hours.
pub static SOAK: Scenario = Scenario {
    name: "soak",
    users: 500,
    seconds: 7_200.0,
    flags: &["ramp", "churn", "sizes", "slow-share", "slow-read"],
    shape,
    conduct,
    play: Play { reads_counters: true, perform: soak, conclude },
    ..USUAL
};

/// Connections that leave and come each second, where nobody says otherwise.
const CHURN: f64 = 10.0;

/// How long those who come stay, in seconds.
const STAY: f64 = 10.0;

/// How long a slow client pauses, in seconds: several times what fills its socket, and no more than a sixth of the run.
const PAUSE: f64 = 60.0;
const PAUSES_MIN: f64 = 6.0;

/// What the other slow ones read in a second, in bytes, where nobody says otherwise.
const SIP: u32 = 1_024;

/// Families of this server, which tell of gaps to those who ask.
const TOLD_OF_GAPS: [&str; 2] = ["workflow", "flux"];

/// Growth of the server's memory that is not flat any more, in percent per hour.
const GROWTH_MAX: f64 = 1.0;

/// A shorter last quarter says nothing about hours, in seconds.
const QUARTER_MIN: f64 = 600.0;

fn soak(stage: &mut Stage<'_, '_, '_>) {
    let began = stage.order();
    stage.play_out();
    let quarter = stage.now().saturating_sub(began) as f64 / 4e9;
    let Some(slope) = growth(stage.samples()) else { return };
    let is_judged = quarter >= QUARTER_MIN;
    let figures = [("memory_growth_percent_per_hour", slope), ("last_quarter_seconds", quarter)];
    for (name, value) in figures {
        stage.set(name, value);
    }
    let held = !is_judged || slope <= GROWTH_MAX;
    let name = if is_judged { "memory flat" } else { "memory (too short to be judged)" };
    let figures = figures.map(|(name, value)| (name.to_owned(), value)).into();
    stage.check(Round { name: name.to_owned(), held, figures });
}

/// What the server counts against what its clients saw.
fn conclude(stage: &mut Stage<'_, '_, '_>, published: &Published) {
    let Some(reckoning) = stage.reckon(published) else {
        let why = "the server's own counters were not compared: it has none, or several agents share it";
        return stage.note(why.to_owned());
    };
    let figures: [(&str, u64); 3] = [
        ("clients_that_left_and_came_back", reckoning.clients[1].goodbyes.values().sum()),
        ("slow_clients_closed", reckoning.given_up.values().sum()),
        ("events_not_published_while_the_broker_was_away", published.unpublished),
    ];
    for (name, count) in figures {
        stage.set(name, count as f64);
    }
    reckoning.rounds().into_iter().for_each(|round| stage.check(round));
}

/// What only the whole run shows comes first.
fn conduct(plan: &Plan, crew: &dyn Crew) -> Result<Outcome, Refusal> {
    let mut outcome = crew.run(plan)?;
    let faults = [
        ("lost", outcome.lost),
        ("duplicated", outcome.duplicated),
        ("reordered", outcome.reordered),
        ("foreign", outcome.foreign),
    ];
    let mut figures: BTreeMap<String, f64> = faults.map(|(name, count)| (name.to_owned(), count as f64)).into();
    figures.insert("delivered".to_owned(), outcome.delivered as f64);
    figures.extend(
        outcome.figures.get_key_value("events_missing_in_announced_gaps").map(|(name, count)| (name.clone(), *count)),
    );
    let held = faults.iter().all(|(_, count)| *count == 0);
    outcome.rounds.insert(0, Round { name: "nothing lost beyond announced gaps".to_owned(), held, figures });
    Ok(outcome)
}

/// Slope of the straight line that fits the memory of the last quarter best, in percent of its mean per hour; nothing
/// where memory was not read.
fn growth(samples: &[Sample]) -> Option<f64> {
    let ended = samples.last()?.second;
    let quarter = samples.iter().filter(|sample| sample.second >= ended * 0.75 && sample.rss_bytes > 0);
    let points: Vec<(f64, f64)> = quarter.map(|sample| (sample.second, sample.rss_bytes as f64)).collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (time, bytes) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - time).powi(2)).sum();
    let both: f64 = points.iter().map(|point| (point.0 - time) * (point.1 - bytes)).sum();
    let slope = both / spread / bytes * 100.0 * 3_600.0;
    slope.is_finite().then_some(slope)
}

/// The last of the clients come and go, as many as stay for some seconds each; in front of them are the slow ones.
fn shape(arguments: &Flags, plan: &mut Plan) -> Result<(), String> {
    let per_second = arguments.churn.unwrap_or(CHURN);
    let passing = (0..plan.clients / 2).find(|count| f64::from(*count) >= per_second * STAY);
    plan.course.restless = if per_second > 0.0 { passing.unwrap_or(plan.clients / 2).max(1) } else { 0 };
    plan.course.unrest = if per_second == 0.0 { Unrest::None } else { Unrest::Churn { per_second } };
    if let Some(text) = &arguments.slow_share {
        let clients = share(plan.clients, text)?;
        let bytes_per_second = arguments.slow_read.unwrap_or(SIP);
        plan.course.slow = SlowClients { clients, pause: PAUSE.min(plan.seconds / PAUSES_MIN), bytes_per_second };
    }
    plan.course.outlasts_broker = matches!(plan.publish, Publish::Redis { .. });
    if TOLD_OF_GAPS.contains(&plan.protocol.as_str()) && !plan.is_told() {
        plan.url.0.push_str(if plan.url.0.contains('?') { "&meta=1" } else { "?meta=1" });
    }
    if plan.steady() == 0 {
        return Err("--clients 1 leaves nobody who stays".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(bytes: impl Fn(f64) -> f64) -> Vec<Sample> {
        let sample = |second: u32| {
            let second = f64::from(second);
            Sample { second, rss_bytes: format!("{:.0}", bytes(second)).parse().unwrap(), ..Sample::default() }
        };
        (1..=4_000).map(sample).collect()
    }

    #[test]
    fn growth_is_that_of_the_last_quarter() {
        let steps = samples(|second| if second < 2_900.0 { second * 1e6 } else { 1e9 });
        assert!(growth(&steps).unwrap().abs() < 0.01, "flat at the end");
        // From 1e9 at 3000 s by 1e5 a second: 3.6e8 an hour of 1.05e9 on average.
        let rising = samples(|second| 1e9 + (second - 3_000.0) * 1e5);
        assert!((growth(&rising).unwrap() - 34.3).abs() < 0.1, "{:?}", growth(&rising));
        assert_eq!(growth(&samples(|_| 0.0)), None);
        assert_eq!(growth(&[]), None);
    }
}
