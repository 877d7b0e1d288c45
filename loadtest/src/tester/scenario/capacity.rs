//! The highest rate that still meets the goal and loses nothing: by doubling, then by halving what is left, several
//! times over, each try a run of its own.

use super::definition::{Scenario, USUAL};
use crate::tester::crew::Crew;
use crate::tester::flags::Flags;
use crate::tester::outcome::{Outcome, Round, Verdict};
use crate::tester::plan::{Load, Plan};
use crate::tester::run::Refusal;

/// Short runs, because there are many.
pub static CAPACITY: Scenario =
    Scenario { name: "capacity", seconds: 5.0, flags: &["ramp", "searches", "sizes"], shape, conduct: search, ..USUAL };

/// The goal where none is given.
const GOAL: &str = "p99=50ms";

/// Searches where nobody says otherwise.
const SEARCHES: u32 = 3;

/// A rate that held and one that did not are this near when a search ends.
const NEAR: f64 = 1.05;

/// What was tried so far.
struct Searches<'a> {
    plan: &'a Plan,
    crew: &'a dyn Crew,
    rounds: Vec<Round>,
    /// The highest rate that each search found, and what happened just above it.
    found: Vec<(f64, Verdict)>,
    /// The try that held at the highest rate; before there is one, the last.
    shown: Option<(f64, Outcome)>,
    /// Why there will be no more.
    end: Option<String>,
}

fn search(plan: &Plan, crew: &dyn Crew) -> Result<Outcome, Refusal> {
    let mut searches = Searches { plan, crew, rounds: Vec::new(), found: Vec::new(), shown: None, end: None };
    let Load::Rate(mut start) = plan.load else { return Err(Refusal("capacity needs --rate to begin with".into())) };
    for number in 1..=plan.course.times {
        searches.once(number, start)?;
        match searches.found.last() {
            _ if searches.end.is_some() => break,
            // The next one begins below what this one found, on steps of its own.
            Some((rate, _)) if *rate > 0.0 => start = rate * (0.5 + 0.3 * fastrand::f64()),
            _ => break,
        }
    }
    Ok(searches.outcome())
}

impl Searches<'_> {
    /// One search from this rate on.
    fn once(&mut self, number: u32, start: f64) -> Result<(), Refusal> {
        let (mut held, mut broke): (Option<f64>, Option<(f64, Verdict)>) = (None, None);
        let mut rate = start.round().max(1.0);
        loop {
            self.crew.announce(&format!("search {number} of {}: {rate} events/s", self.plan.course.times));
            let Some(verdict) = self.attempt(number, rate)? else { break };
            if verdict == Verdict::Pass {
                held = Some(rate);
            } else {
                broke = Some((rate, verdict));
            }
            let next = match (held, broke) {
                (Some(held), Some((broke, _))) if broke <= held * NEAR => break,
                (Some(held), Some((broke, _))) => (held * broke).sqrt(),
                (Some(held), None) => held * 2.0,
                (None, _) => rate / 2.0,
            };
            let is_new =
                next.round() >= 1.0 && [held, broke.map(|it| it.0)].iter().all(|known| *known != Some(next.round()));
            if !is_new {
                break;
            }
            rate = next.round();
        }
        let verdict = broke.map_or(Verdict::Fail, |(_, verdict)| verdict);
        if self.end.is_none() {
            self.found.push((held.unwrap_or(0.0), verdict));
        }
        Ok(())
    }

    /// One try; `None` where there can be no more.
    fn attempt(&mut self, search: u32, rate: f64) -> Result<Option<Verdict>, Refusal> {
        let plan = Plan { load: Load::Rate(rate), ..self.plan.clone() };
        let outcome = match self.crew.run(&plan) {
            Ok(outcome) => outcome,
            Err(refusal) if self.shown.is_none() => return Err(refusal),
            Err(_) if self.crew.is_interrupted() => return Ok(self.interrupted()),
            Err(refusal) => {
                self.end = Some(format!("the server went away after {} tries: {refusal}", self.rounds.len()));
                return Ok(None);
            }
        };
        let verdict = outcome.verdict;
        self.rounds.push(round(search, rate, &outcome));
        let is_better = match &self.shown {
            Some((best, shown)) => {
                let both = (verdict == Verdict::Pass, shown.verdict == Verdict::Pass);
                both == (true, false) || (both == (true, true) && rate > *best) || both == (false, false)
            }
            None => true,
        };
        if is_better {
            self.shown = Some((rate, outcome));
        }
        Ok(if self.crew.is_interrupted() { self.interrupted() } else { Some(verdict) })
    }

    fn interrupted(&mut self) -> Option<Verdict> {
        self.end = Some(format!("interrupted after {} tries", self.rounds.len()));
        None
    }

    /// The best try, with all tries as rounds and the verdict of the whole.
    fn outcome(self) -> Outcome {
        let mut outcome = self.shown.map(|(_, outcome)| outcome).unwrap_or_default();
        let mut rates: Vec<f64> = self.found.iter().map(|(rate, _)| *rate).filter(|rate| *rate > 0.0).collect();
        rates.sort_by(f64::total_cmp);
        if let (Some(least), Some(most)) = (rates.first(), rates.last()) {
            let median = rates[rates.len() / 2];
            let figures = [
                ("capacity_events_per_second", median),
                ("capacity_least_events_per_second", *least),
                ("capacity_most_events_per_second", *most),
                ("capacity_spread_share", (most - least) / median),
            ];
            outcome.figures.extend(figures.map(|(name, value)| (name.to_owned(), value)));
        }
        outcome.notes.push("the figures of deliveries are those of the best try".to_owned());
        let found = self.found.iter().zip(1..).map(|((rate, _), search)| format!("search {search}: {rate} events/s"));
        outcome.notes.extend(found);
        let is_saturated = self.found.iter().any(|(_, above)| *above == Verdict::TesterSaturated);
        (outcome.verdict, outcome.reasons) = match (self.end, rates.first()) {
            (Some(end), _) => (Verdict::Fail, vec![end]),
            // What the last try said is all that is known.
            (None, None) => (outcome.verdict, outcome.reasons),
            (None, Some(least)) if is_saturated => {
                let reason = "the tester saturated first: add `--threads` or a second machine";
                (Verdict::TesterSaturated, vec![format!("at least {least} events/s: {reason}")])
            }
            (None, Some(_)) => (Verdict::Pass, Vec::new()),
        };
        outcome.rounds = self.rounds;
        outcome
    }
}

fn round(search: u32, rate: f64, outcome: &Outcome) -> Round {
    let figures = [
        ("rate", rate),
        ("search", f64::from(search)),
        ("p99_us", outcome.latency_us.p99 as f64),
        ("lost", outcome.lost as f64),
        ("published_per_second", outcome.published_per_second),
        ("tester_busiest_thread_share", outcome.tester.busiest_thread),
    ];
    let figures = figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Round { name: format!("{rate} events/s"), held: outcome.verdict == Verdict::Pass, figures }
}

fn shape(arguments: &Flags, plan: &mut Plan) -> Result<(), String> {
    if plan.window() > 0 {
        return Err("capacity has no --window: it looks for a rate".to_owned());
    }
    plan.course.times = arguments.searches.unwrap_or(SEARCHES).max(1);
    if plan.slo.is_empty() {
        plan.slo = vec![GOAL.parse()?];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::arguments::{Arguments, Command};
    use clap::Parser;
    use std::cell::RefCell;

    /// Carries so many events a second, then loses some or saturates the tester.
    struct Pretence {
        carries: f64,
        above: Verdict,
        tried: RefCell<Vec<f64>>,
        gone_after: usize,
    }

    impl Crew for Pretence {
        fn run(&self, plan: &Plan) -> Result<Outcome, Refusal> {
            let Load::Rate(rate) = plan.load else { panic!("capacity is about rates") };
            if self.tried.borrow().len() == self.gone_after {
                return Err(Refusal("no connection".to_owned()));
            }
            self.tried.borrow_mut().push(rate);
            let verdict = if rate <= self.carries { Verdict::Pass } else { self.above };
            Ok(Outcome { verdict, published_per_second: rate, ..Outcome::default() })
        }

        fn is_interrupted(&self) -> bool {
            false
        }

        fn announce(&self, _: &str) {}
    }

    fn plan(words: &str) -> Plan {
        let words = ["fanout-loadtest", "capacity"].into_iter().chain(words.split_whitespace());
        let Command::Load(load) = Arguments::parse_from(words).command else { panic!("capacity is a load") };
        let (scenario, run) = load.parts();
        run.plan(scenario).unwrap()
    }

    fn searched(carries: f64, above: Verdict, gone_after: usize) -> (Outcome, Vec<f64>) {
        let pretence = Pretence { carries, above, tried: RefCell::default(), gone_after };
        let outcome = search(&plan("--rate 1000"), &pretence).unwrap();
        (outcome, pretence.tried.into_inner())
    }

    #[test]
    fn the_highest_rate_is_found_within_a_twentieth_from_above_and_from_below() {
        for carries in [3.0, 180.0, 1_000.0, 77_777.0, 2.5e6] {
            let (outcome, tried) = searched(carries, Verdict::Fail, usize::MAX);
            let found = outcome.figures["capacity_events_per_second"];
            assert!(found <= carries && (found * NEAR).max(found + 1.0) >= carries, "{carries}: {found} by {tried:?}");
            assert_eq!((outcome.verdict, outcome.rounds.len()), (Verdict::Pass, tried.len()), "{carries}");
            assert!(outcome.published_per_second >= found, "the best try is shown");
        }
    }

    #[test]
    fn a_saturated_tester_gives_a_lower_bound_and_says_so() {
        let (outcome, _) = searched(5_000.0, Verdict::TesterSaturated, usize::MAX);
        assert_eq!(outcome.verdict, Verdict::TesterSaturated);
        assert!(outcome.reasons[0].contains("at least 4") && outcome.reasons[0].contains("the tester saturated first"));
    }

    #[test]
    fn a_server_that_goes_away_leaves_what_was_found_until_then() {
        let (outcome, tried) = searched(5_000.0, Verdict::Fail, 2);
        assert_eq!((outcome.verdict, outcome.rounds.len(), tried.len()), (Verdict::Fail, 2, 2));
        assert!(outcome.reasons[0].contains("went away after 2 tries"), "{:?}", outcome.reasons);
    }

    #[test]
    fn where_not_even_one_event_a_second_holds_there_is_no_capacity() {
        let (outcome, tried) = searched(0.0, Verdict::Fail, usize::MAX);
        assert_eq!((outcome.verdict, tried.last()), (Verdict::Fail, Some(&1.0)));
        assert!(!outcome.figures.contains_key("capacity_events_per_second"));
    }
}
