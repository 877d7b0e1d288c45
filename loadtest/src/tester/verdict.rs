//! What a run means: pass, fail, or that the tester was the bottleneck.

use super::outcome::{Outcome, Verdict};
use super::plan::Plan;

/// A thread that ran or waited for a core this share of the time had no time left.
const BUSY_MAX: f64 = 0.95;

/// The tester's own lag at p99 that is too much where no goal is set, in microseconds.
const LAG_MAX: u64 = 50_000;

/// Lag may be this part of a goal at most, else the tester is measured and not the server.
const LAG_PART_OF_GOAL: u64 = 4;

/// Share of the events due that must have been published.
const PUBLISHED_MIN: f64 = 0.99;

/// What is known beside the figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signs {
    /// Measured events that were due.
    pub(crate) due: u64,
    /// The broker did not take what was due.
    pub(crate) was_blocked: bool,
    /// No event of the window was finished for as long as patience lasts.
    pub(crate) was_stalled: bool,
    /// Why publishing ended early.
    pub(crate) publishing_error: Option<String>,
    /// Why the first client that was refused was.
    pub(crate) refusal: Option<String>,
    /// The first foreign event.
    pub(crate) stranger: Option<String>,
    /// Why the scenario's own demands were not met.
    pub(crate) failures: Vec<String>,
    /// All connections had ended after so many seconds.
    pub(crate) gone_after: Option<f64>,
    /// Somebody wanted the end after so many seconds.
    pub(crate) interrupted_after: Option<f64>,
}

/// Fills in verdict and reasons.
pub(crate) fn judge(plan: &Plan, outcome: &mut Outcome, signs: &Signs) {
    let certain = certain_failures(plan, outcome, signs);
    let doubtful = doubtful_failures(plan, outcome, signs);
    let missed = missed_goals(plan, outcome);
    let saturation = saturation(plan, outcome, signs);
    let is_open_loop = plan.is_open_loop();
    // In a closed loop something is always saturated: only a goal that was missed is in doubt.
    let is_in_doubt =
        if is_open_loop { certain.is_empty() } else { certain.is_empty() && doubtful.is_empty() && !missed.is_empty() };
    outcome.verdict = match &saturation {
        Some(_) if is_in_doubt => Verdict::TesterSaturated,
        _ if certain.is_empty() && doubtful.is_empty() && missed.is_empty() => Verdict::Pass,
        _ => Verdict::Fail,
    };
    let note = saturation.map(|signs| match outcome.verdict {
        Verdict::TesterSaturated => {
            format!("the tester saturated first: add `--threads` or a second machine ({signs})")
        }
        _ => format!("the tester was the limit ({signs}): the rate is a lower bound, the cost per delivery stands"),
    });
    let mut reasons: Vec<String> =
        if outcome.verdict == Verdict::TesterSaturated { note.clone() } else { None }.into_iter().collect();
    reasons.extend(certain.into_iter().chain(doubtful).chain(missed));
    if outcome.verdict != Verdict::TesterSaturated {
        reasons.extend(note);
    }
    outcome.reasons = reasons;
}

/// Fills in verdict and reasons of what several agents did, each judged for itself but for the goals.
pub(crate) fn judge_together(plan: &Plan, outcome: &mut Outcome, parts: &[(String, Outcome)], failures: &[String]) {
    let is = |verdict| parts.iter().any(|(_, part)| part.verdict == verdict);
    let missed = missed_goals(plan, outcome);
    // Nothing of this is left out where all agents are well: only goals are new.
    let saturation = saturation(plan, outcome, &Signs { due: outcome.published, ..Signs::default() });
    let has_failed = !failures.is_empty() || is(Verdict::Fail);
    let is_saturated = is(Verdict::TesterSaturated) || (saturation.is_some() && plan.is_open_loop());
    outcome.verdict = match (has_failed, is_saturated, missed.is_empty()) {
        (true, _, _) | (false, false, false) => Verdict::Fail,
        (false, true, _) => Verdict::TesterSaturated,
        (false, false, true) => Verdict::Pass,
    };
    let own =
        parts.iter().flat_map(|(name, part)| part.reasons.iter().map(move |reason| format!("agent {name}: {reason}")));
    outcome.reasons = failures.iter().cloned().chain(own).chain(missed).collect();
    if let Some(signs) = saturation.filter(|_| outcome.reasons.is_empty()) {
        outcome.reasons.push(format!("the tester saturated first: add `--threads` or another agent ({signs})"));
    }
}

/// What no load excuses.
fn certain_failures(plan: &Plan, outcome: &Outcome, signs: &Signs) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(seconds) = signs.gone_after {
        let connected = outcome.connected;
        reasons.push(format!(
            "the server went away after {seconds:.1} s: all {connected} connections ended ({})",
            codes(outcome)
        ));
    }
    if let Some(seconds) = signs.interrupted_after {
        reasons.push(format!("interrupted after {seconds:.1} s: the figures are of the time until then"));
    }
    reasons.extend(signs.publishing_error.as_ref().map(|error| format!("publishing ended early: {error}")));
    let counts = [
        (outcome.duplicated, "events came more than once"),
        (outcome.reordered, "events came after a later one of the same topic"),
    ];
    reasons.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    if outcome.foreign > 0 {
        let first = signs.stranger.as_deref().unwrap_or_default();
        reasons.push(format!(
            "{} events came to the wrong client or were none of this run, first: {first}",
            outcome.foreign
        ));
    }
    if signs.due == 0 && !plan.is_silent() && !signs.was_stalled && reasons.is_empty() {
        reasons.push("nothing was published: the rate and the time give no event".to_owned());
    }
    reasons
}

/// What may be the tester's own fault when it is saturated.
fn doubtful_failures(plan: &Plan, outcome: &Outcome, signs: &Signs) -> Vec<String> {
    let mut reasons = signs.failures.clone();
    if outcome.lost > 0 {
        reasons.push(format!("{} events were lost", outcome.lost));
    }
    if outcome.closed > 0 && signs.gone_after.is_none() {
        let closed = outcome.closed;
        reasons.push(format!(
            "{closed} connections ended early ({}); what they missed afterwards is not counted as lost",
            codes(outcome)
        ));
    }
    if outcome.refused > 0 {
        let (refused, clients) = (outcome.refused, plan.clients);
        let first = signs.refusal.as_deref().unwrap_or("no reason is known");
        reasons.push(format!("{refused} of {clients} clients could not connect, the first because {first}"));
    }
    if signs.was_stalled {
        reasons.push(format!("no event was finished for {} s: the window stood still", plan.patience));
    }
    if signs.was_blocked {
        let due = signs.due as f64 / outcome.seconds.max(1e-9);
        reasons.push(format!(
            "published {:.0} of {due:.0} events per second: the broker took no more over {} connections",
            outcome.published_per_second, plan.publishers
        ));
    }
    reasons
}

fn missed_goals(plan: &Plan, outcome: &Outcome) -> Vec<String> {
    // Where no event is published, goals are about connecting.
    let (what, latency) = match &outcome.connecting_us {
        Some(connecting) if plan.is_silent() => ("connecting: ", connecting),
        _ => ("", &outcome.latency_us),
    };
    let missed = plan.slo.iter().filter(|goal| goal.percentile.of(latency) > goal.microseconds_max);
    missed
        .map(|goal| {
            let was = goal.percentile.of(latency);
            format!("{what}{} was {was} µs, the goal is {goal}", goal.percentile)
        })
        .collect()
}

/// Signs that the tester had no time left.
fn saturation(plan: &Plan, outcome: &Outcome, signs: &Signs) -> Option<String> {
    let tester = &outcome.tester;
    let goal = plan.slo.iter().map(|goal| goal.microseconds_max / LAG_PART_OF_GOAL).min().unwrap_or(LAG_MAX);
    if tester.busiest_thread >= BUSY_MAX {
        return Some(format!("its busiest thread ran or waited {:.0} % of the time", tester.busiest_thread * 100.0));
    }
    if tester.lag_us.p99 > goal {
        return Some(format!("its own lag was {} µs at p99, {goal} µs would be fair", tester.lag_us.p99));
    }
    let is_behind = (outcome.published as f64) < PUBLISHED_MIN * signs.due as f64;
    (is_behind && !signs.was_blocked).then(|| format!("it published {} of {} events due", outcome.published, signs.due))
}

fn codes(outcome: &Outcome) -> String {
    let codes: Vec<String> = outcome.closed_by_code.iter().map(|(code, count)| format!("{code}: {count}")).collect();
    codes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::arguments::{Arguments, Command};
    use crate::tester::outcome::{Latency, Tester};
    use clap::Parser;

    fn plan(load: &str) -> Plan {
        let words = ["fanout-loadtest", "fanout", "--slo", "p99=20ms"].into_iter().chain(load.split(' '));
        let Command::Load(load) = Arguments::parse_from(words).command else { panic!("{load} is of a fanout") };
        let (scenario, run) = load.parts();
        run.plan(scenario).unwrap()
    }

    fn faultless() -> (Outcome, Signs) {
        let latency_us = Latency { p99: 20_000, ..Latency::default() };
        let tester = Tester { busiest_thread: 0.5, ..Tester::default() };
        let outcome =
            Outcome { published: 1_000, delivered: 1_000, seconds: 1.0, latency_us, tester, ..Outcome::default() };
        (outcome, Signs { due: 1_000, ..Signs::default() })
    }

    /// Judges a faultless run in which `change` happened, at a rate and with a window.
    fn check(change: impl Fn(&mut Outcome, &mut Signs), [at_a_rate, with_a_window]: [Verdict; 2], reason: &str) {
        for (load, expected) in [("--rate 1000", at_a_rate), ("--window 16", with_a_window)] {
            let (mut outcome, mut signs) = faultless();
            change(&mut outcome, &mut signs);
            judge(&plan(load), &mut outcome, &signs);
            let reasons = outcome.reasons.join("\n");
            assert_eq!(outcome.verdict, expected, "{load}: {reasons}");
            assert!(reasons.contains(reason) && reasons.is_empty() == reason.is_empty(), "{load}: {reasons}");
        }
    }

    use Verdict::{Fail, Pass, TesterSaturated as Saturated};

    #[test]
    fn a_faultless_run_passes_without_a_word() {
        check(|_, _| {}, [Pass, Pass], "");
    }

    #[test]
    fn every_fault_fails_and_is_named() {
        check(|outcome, _| outcome.lost = 3, [Fail, Fail], "3 events were lost");
        check(|outcome, _| outcome.duplicated = 1, [Fail, Fail], "1 events came more than once");
        check(|outcome, _| outcome.reordered = 1, [Fail, Fail], "after a later one");
        check(|outcome, _| outcome.foreign = 1, [Fail, Fail], "wrong client");
        check(|outcome, _| outcome.refused = 1, [Fail, Fail], "1 of 1000 clients could not connect");
        check(|outcome, _| outcome.latency_us.p99 = 20_001, [Fail, Fail], "p99 was 20001 µs, the goal is p99=20ms");
        let nothing = |outcome: &mut Outcome, signs: &mut Signs| {
            (outcome.published, outcome.delivered, signs.due) = (0, 0, 0);
        };
        check(nothing, [Fail, Fail], "nothing was published");
        check(|_, signs| signs.was_stalled = true, [Fail, Fail], "the window stood still");
        check(|_, signs| signs.interrupted_after = Some(3.2), [Fail, Fail], "interrupted after 3.2 s");
        check(|_, signs| signs.publishing_error = Some("gone".to_owned()), [Fail, Fail], "ended early: gone");
    }

    #[test]
    fn connections_that_ended_are_told_apart_from_a_server_that_went_away() {
        let close = |outcome: &mut Outcome, signs: &mut Signs| {
            (outcome.connected, outcome.closed, outcome.closed_by_code) = (10, 3, [(4001, 3)].into());
            signs.gone_after = None;
        };
        check(close, [Fail, Fail], "3 connections ended early (4001: 3)");
        let gone = |outcome: &mut Outcome, signs: &mut Signs| {
            (outcome.connected, outcome.closed, outcome.closed_by_code) = (10, 10, [(1006, 10)].into());
            signs.gone_after = Some(3.21);
        };
        check(gone, [Fail, Fail], "the server went away after 3.2 s: all 10 connections ended (1006: 10)");
    }

    #[test]
    fn a_busy_tester_gives_no_verdict_at_a_rate_and_a_note_with_a_window() {
        check(|outcome, _| outcome.tester.busiest_thread = 0.95, [Saturated, Pass], "95 % of the time");
        check(
            |outcome, _| outcome.tester.lag_us.p99 = 5_001,
            [Saturated, Pass],
            "5001 µs at p99, 5000 µs would be fair",
        );
        check(|_, signs| signs.due = 1_011, [Saturated, Pass], "published 1000 of 1011");
        let missed = |outcome: &mut Outcome, _: &mut Signs| {
            outcome.tester.busiest_thread = 1.0;
            outcome.latency_us.p99 = 30_000;
        };
        check(missed, [Saturated, Saturated], "add `--threads` or a second machine");
        let lost = |outcome: &mut Outcome, _: &mut Signs| {
            outcome.tester.busiest_thread = 1.0;
            outcome.lost = 1;
        };
        check(lost, [Saturated, Fail], "1 events were lost");
    }

    #[test]
    fn no_load_excuses_duplicates_or_a_server_that_went_away() {
        let doubled = |outcome: &mut Outcome, _: &mut Signs| {
            outcome.tester.busiest_thread = 1.0;
            outcome.duplicated = 1;
        };
        check(doubled, [Fail, Fail], "more than once");
        let gone = |outcome: &mut Outcome, signs: &mut Signs| {
            outcome.tester.busiest_thread = 1.0;
            signs.gone_after = Some(1.0);
        };
        check(gone, [Fail, Fail], "went away");
    }

    #[test]
    fn a_broker_that_takes_no_more_is_not_the_tester_s_fault() {
        let blocked = |outcome: &mut Outcome, signs: &mut Signs| {
            (outcome.published, outcome.published_per_second) = (400, 400.0);
            signs.was_blocked = true;
        };
        check(blocked, [Fail, Fail], "published 400 of 1000 events per second: the broker took no more");
    }

    #[test]
    fn several_agents_pass_together_or_not_at_all() {
        let part = |verdict| (String::from("one"), Outcome { verdict, reasons: vec!["so".into()], ..faultless().0 });
        let table = [
            (vec![Pass, Pass], vec![], 20_000, Pass),
            (vec![Pass, Fail], vec![], 20_000, Fail),
            (vec![Pass, Saturated], vec![], 20_000, Saturated),
            (vec![Fail, Saturated], vec![], 20_000, Fail),
            (vec![Pass, Pass], vec!["gone".to_owned()], 20_000, Fail),
            (vec![Pass, Pass], vec![], 20_001, Fail),
            (vec![Saturated, Pass], vec![], 20_001, Saturated),
        ];
        for (verdicts, failures, p99, expected) in table {
            let parts: Vec<_> = verdicts.iter().map(|verdict| part(*verdict)).collect();
            let mut whole = faultless().0;
            whole.latency_us.p99 = p99;
            judge_together(&plan("--rate 1000"), &mut whole, &parts, &failures);
            assert_eq!(whole.verdict, expected, "{verdicts:?} {failures:?} {p99}");
        }
    }
}
