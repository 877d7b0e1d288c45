//! Several subjects in turns, several times: what is compared was measured side by side.

use super::rig::Rig;
use super::subject::Subject;
use super::trial::Trial;
use crate::tester::outcome::{Outcome, Verdict};
use crate::tester::record::Run;
use std::io;

/// Every trial, once in every round.
#[derive(Debug)]
pub struct Rounds {
    trials: Vec<Trial>,
    /// By round, then by trial.
    outcomes: Vec<Vec<Outcome>>,
}

/// Why figures do not stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The server's fault, or the tester's.
    pub verdict: Verdict,
    /// In a sentence.
    pub reason: String,
}

impl Rounds {
    /// Makes them. Each round begins with another trial, so that none always follows the same one.
    ///
    /// # Errors
    /// Where it was interrupted before the first round was complete; a later one that is not complete is dropped.
    pub fn measure(rig: &Rig, trials: &[Trial]) -> io::Result<Self> {
        let mut outcomes = Vec::with_capacity(rig.rounds);
        for round in 0..rig.rounds {
            let mut row = vec![Outcome::default(); trials.len()];
            for place in 0..trials.len() {
                let number = (place + round) % trials.len();
                row[number] = trials[number].measure(rig);
                if rig.is_interrupted() {
                    return Self::cut_short(trials, outcomes);
                }
                rig.tell(&line(round, trials[number], &row[number]));
            }
            outcomes.push(row);
        }
        Ok(Self { trials: trials.to_vec(), outcomes })
    }

    fn cut_short(trials: &[Trial], outcomes: Vec<Vec<Outcome>>) -> io::Result<Self> {
        if outcomes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted before a round was complete"));
        }
        Ok(Self { trials: trials.to_vec(), outcomes })
    }

    /// A figure of one trial, round by round.
    pub fn values(&self, trial: usize, figure: impl Fn(&Outcome) -> f64) -> Vec<f64> {
        self.outcomes.iter().map(|row| figure(&row[trial])).collect()
    }

    /// The server's processor time per delivery of one trial, in nanoseconds, round by round.
    pub fn costs(&self, trial: usize) -> Vec<f64> {
        self.values(trial, cost)
    }

    /// What was loaded in a trial.
    pub fn subject(&self, trial: usize) -> Subject {
        self.trials[trial].subject
    }

    /// Every run, as it is recorded.
    pub fn runs(&self) -> Vec<Run> {
        let run = |round: usize, trial: &Trial, outcome: &Outcome| Run {
            subject: trial.subject.to_string(),
            round: u32::try_from(round + 1).unwrap_or(u32::MAX),
            settings: trial.load.settings(),
            outcome: outcome.clone(),
            ..Run::default()
        };
        let rows = self.outcomes.iter().enumerate();
        rows.flat_map(|(round, row)| self.trials.iter().zip(row).map(move |(trial, it)| run(round, trial, it)))
            .collect()
    }

    /// What went wrong in a run of this trial and how bad that is; `None` where every one of them is valid.
    pub fn trouble(&self, trial: usize) -> Option<Trouble> {
        let rank = |verdict| u8::from(verdict == Verdict::Fail);
        let rounds = self.outcomes.iter().map(|row| &row[trial]).enumerate();
        let worst = rounds.rev().filter(|(_, outcome)| outcome.verdict != Verdict::Pass);
        let (round, outcome) = worst.max_by_key(|(_, outcome)| rank(outcome.verdict))?;
        let subject = self.trials[trial].subject;
        let reason = format!("round {} of {subject}: {}", round + 1, outcome.reasons.join("; "));
        Some(Trouble { verdict: outcome.verdict, reason })
    }
}

/// The server's processor time per delivery, in nanoseconds; not a number where it is not known.
pub fn cost(outcome: &Outcome) -> f64 {
    outcome.server.map_or(f64::NAN, |server| server.cpu_ns_per_delivery)
}

fn line(round: usize, trial: Trial, outcome: &Outcome) -> String {
    format!(
        "  round {} {:<18} {:>6} clients, {:>6.0} connected/s {:>9.3} µs per delivery {:>10.0} deliveries/s",
        round + 1,
        trial.subject.to_string(),
        trial.load.clients,
        outcome.handshakes_per_second.unwrap_or_default(),
        cost(outcome) / 1_000.0,
        outcome.delivered_per_second
    )
}
