//! Hours of events while some clients leave and come: memory must stay flat and nothing may be lost.

use super::{Scenario, USUAL};
use crate::tester::arguments::LoadArguments;
use crate::tester::course::Unrest;
use crate::tester::outcome::Sample;
use crate::tester::plan::Plan;
use crate::tester::run::Stage;

/// Two hours.
pub static SOAK: Scenario = Scenario {
    name: "soak",
    users: 500,
    seconds: 7_200.0,
    flags: &["ramp", "churn", "sizes"],
    shape,
    play: soak,
    ..USUAL
};

/// Connections that leave and come each second, where nobody says otherwise.
const CHURN: f64 = 10.0;

/// How long those who come stay, in seconds.
const STAY: f64 = 10.0;

/// Growth of the server's memory that is not flat any more, in percent per hour.
const GROWTH_MAX: f64 = 5.0;

/// A shorter last quarter says nothing about hours, in seconds.
const QUARTER_MIN: f64 = 600.0;

fn soak(stage: &mut Stage<'_, '_, '_>) {
    let began = stage.order();
    stage.play_out();
    let churned = stage.board().total(|tape| tape.returns);
    stage.set("clients_that_left_and_came_back", churned as f64);
    let quarter = stage.now().saturating_sub(began) as f64 / 4e9;
    let Some(slope) = growth(stage.samples()) else { return };
    stage.set("memory_growth_percent_per_hour", slope);
    if quarter < QUARTER_MIN {
        stage.note(format!(
            "the growth of memory is that of the last {quarter:.0} s: shorter than {QUARTER_MIN:.0} s, it is not judged"
        ));
    } else if slope > GROWTH_MAX {
        stage.fail(format!(
            "the server's memory grew by {slope:.1} % per hour in the last quarter: up to {GROWTH_MAX} % is flat"
        ));
    }
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

/// The last of the clients come and go, as many as stay for some seconds each.
fn shape(arguments: &LoadArguments, plan: &mut Plan) -> Result<(), String> {
    let per_second = arguments.churn.unwrap_or(CHURN);
    let passing = (0..plan.clients / 2).find(|count| f64::from(*count) >= per_second * STAY);
    plan.course.restless = if per_second > 0.0 { passing.unwrap_or(plan.clients / 2).max(1) } else { 0 };
    plan.course.unrest = if per_second == 0.0 { Unrest::None } else { Unrest::Churn { per_second } };
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
