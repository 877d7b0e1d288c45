//! A run by this process alone.

use super::crew::Crew;
use super::outcome::Outcome;
use super::plan::Plan;
use super::run::{self, Refusal, Surroundings};
use super::scenario;
use std::sync::atomic::Ordering::SeqCst;

/// Does what the plan says, once, as its scenario plays it.
///
/// # Errors
/// One sentence, where the plan does not fit or nobody could connect. Whatever goes wrong later is in the outcome.
pub fn run(plan: &Plan, surroundings: &Surroundings<'_>) -> Result<Outcome, Refusal> {
    let scenario = scenario::find(&plan.scenario).ok_or_else(|| format!("no scenario {}", plan.scenario))?;
    run::run(plan, scenario.play, surroundings)
}

/// This process.
#[derive(Clone, Copy)]
pub struct Alone<'a>(pub Surroundings<'a>);

impl Crew for Alone<'_> {
    fn run(&self, plan: &Plan) -> Result<Outcome, Refusal> {
        run(plan, &self.0)
    }

    fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(SeqCst)
    }

    fn announce(&self, part: &str) {
        self.0.progress.begin(part);
    }
}
