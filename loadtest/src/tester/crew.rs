//! Who does a run: this process alone, or several together.

use super::outcome::Outcome;
use super::plan::Plan;
use super::run::{Refusal, Surroundings, run};
use std::sync::atomic::Ordering::SeqCst;

/// Whoever does runs.
pub trait Crew {
    /// Does what the plan says, once.
    ///
    /// # Errors
    /// One sentence, where nothing could begin.
    fn run(&self, plan: &Plan) -> Result<Outcome, Refusal>;

    /// Whether somebody wants the end.
    fn is_interrupted(&self) -> bool;

    /// Tells people that another part begins.
    fn announce(&self, part: &str);
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
