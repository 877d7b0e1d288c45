//! What the server adds to an event's way: its clients beside a bare subscriber of the same Redis, who hears the same
//! events in the same run.

use super::super::bare_subscriber::BareSubscriber;
use super::super::figure::Unit;
use super::super::finding::{Budget, Finding, Standing};
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::section::Section;
use super::super::subject::{FANOUT, Options};
use super::super::trial::load_once;
use crate::Redis;
use crate::tester::outcome::{Latency, Outcome, Verdict};
use crate::tester::record::Run;
use std::io;
use std::time::Instant;

const USERS: u32 = 5_000;
const EVENTS_PER_SECOND: f64 = 1_000.0;

/// At 1 000 events a second, 100 of them are above p99.
const SECONDS_MIN: f64 = 10.0;

/// Events to random users, by way of Redis.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    let rate = rig.scaled_rate(EVENTS_PER_SECOND);
    let load = Load::usernames(rig.scaled(USERS), Pace::Rate(rate));
    let rig = rig.lasting(rig.seconds.max(SECONDS_MIN));
    let mut rounds = Vec::new();
    for round in 0..rig.rounds {
        let (outcome, bare) = hear_both(&rig, load)?;
        if rig.is_interrupted() {
            break;
        }
        let (fanout, subscriber) = (outcome.latency_us, bare.latency_us);
        rig.tell(&format!(
            "  round {} fanout p50 {} µs p99 {} µs, bare subscriber p50 {} µs p99 {} µs",
            round + 1,
            fanout.p50,
            fanout.p99,
            subscriber.p50,
            subscriber.p99
        ));
        rounds.push((outcome, bare));
    }
    let what = format!("{} events/s to random ones of {} users through Redis", rate, load.users);
    let p50 = Finding::new("latency-p50", format!("{what}: p50")).within(Budget::RatioAtMost(1.5));
    let p50 = judged(p50, &rounds, |latency| latency.p50);
    let p99 = Finding::new("latency-p99", format!("{what}: p99")).within(Budget::RatioAtMost(2.0));
    let p99 = judged(p99, &rounds, |latency| latency.p99);
    let runs = rounds.into_iter().enumerate().flat_map(|(round, row)| recorded(round, load, row)).collect();
    Ok(Section { findings: vec![p50, p99], runs })
}

/// One run: what the server's clients heard, and what the bare subscriber heard of the same events.
fn hear_both(rig: &Rig, load: Load) -> io::Result<(Outcome, Outcome)> {
    // On the tester's cores, as everything that this process starts.
    let redis = Redis::start()?;
    let running = Options::USUAL.start_with_redis(rig, &redis)?;
    let epoch = Instant::now();
    let bare = BareSubscriber::start(redis.address(), epoch)?;
    let outcome = load_once(rig, &running, load, epoch);
    let heard = bare.finish()?;
    let bare = heard.outcome(load.event_bytes, rig.warmup());
    Ok((outcome, bare))
}

fn judged(finding: Finding, rounds: &[(Outcome, Outcome)], percentile: fn(&Latency) -> u64) -> Finding {
    let values = |side: fn(&(Outcome, Outcome)) -> &Outcome| -> Vec<f64> {
        rounds.iter().map(|row| percentile(&side(row).latency_us) as f64).collect()
    };
    let (fanout, bare) = (values(|(outcome, _)| outcome), values(|(_, bare)| bare));
    let finding = finding.measured(Unit::Microseconds, &fanout).beside("bare Redis subscriber", &fanout, &bare);
    let outcomes = || rounds.iter().map(|(outcome, _)| outcome);
    for (verdict, standing) in [(Verdict::Fail, Standing::Missed), (Verdict::TesterSaturated, Standing::NotShown)] {
        if let Some(invalid) = outcomes().find(|outcome| outcome.verdict == verdict) {
            return finding.but(standing, invalid.reasons.join("; "));
        }
    }
    match rounds.iter().find(|(outcome, bare)| outcome.published != bare.delivered) {
        Some((outcome, bare)) => {
            let (published, heard) = (outcome.published, bare.delivered);
            finding.but(Standing::NotShown, format!("the bare subscriber heard {heard} of {published} events"))
        }
        None => finding,
    }
}

fn recorded(round: usize, load: Load, (outcome, bare): (Outcome, Outcome)) -> [Run; 2] {
    let subjects = [(FANOUT.to_string(), outcome), ("bare Redis subscriber".to_owned(), bare)];
    subjects.map(|(subject, outcome)| Run {
        subject,
        round: u32::try_from(round + 1).unwrap_or(u32::MAX),
        settings: load.settings(),
        outcome,
        ..Run::default()
    })
}
