//! Who does a run: this process alone, or several together.

use super::outcome::Outcome;
use super::plan::Plan;
use super::run::Refusal;

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
