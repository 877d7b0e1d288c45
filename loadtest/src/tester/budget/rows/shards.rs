//! One shard and two on the same machine that makes the load.

use super::super::figure::Unit;
use super::super::finding::{Budget, Finding, Standing};
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::rounds::Rounds;
use super::super::section::Section;
use super::super::subject::{FANOUT, Options, Subject};
use super::super::trial::Trial;
use super::REPOSITORY;
use serde_json::Value;
use std::fs;
use std::io;

const USERS: u32 = 5_000;

/// Events a second: about a third of what one core carries, so that both cores have time left and nothing is joined
/// that would not be joined with more of them.
const EVENTS_PER_SECOND: f64 = 40_000.0;

/// Stored counts by what they are of; the engine's own benches compare with them.
const COUNTS_FILE: &str = "benches/instructions.json";
const COUNTS: [(&str, &str); 2] = [
    ("one topic for 1 000 clients", "path_of_one_topic/to_1000_clients"),
    ("a topic for each client", "path/of_100_deliveries"),
];

/// Counts must not grow with shards; the gate of the benches takes this for the same.
const GROWTH_MAX: f64 = 1.02;

/// What a delivery costs on two shards and on one, at the same rate.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    let (users, rate) = (rig.scaled(USERS), rig.scaled_rate(EVENTS_PER_SECOND));
    let what = format!("{users} users, {rate} events/s: CPU per delivery on 2 shards against 1");
    let finding = Finding::new("shards", what);
    let counted = COUNTS.map(|(what, name)| instructions(what, name));
    if rig.server_cores(2).len() < 2 {
        let finding = finding.but(Standing::NotShown, "this process may use one core only");
        return Ok(Section { findings: [finding].into_iter().chain(counted).collect(), runs: Vec::new() });
    }
    let two = Subject::Fanout(Options { shards: 2, ..Options::USUAL });
    let load = Load::usernames(users, Pace::Rate(rate));
    let rounds = Rounds::measure(rig, &[Trial { subject: two, load }, Trial { subject: FANOUT, load }])?;
    let finding = finding
        .measured(Unit::Nanoseconds, &rounds.costs(0))
        .beside("fanout with 1 shard", &rounds.costs(0), &rounds.costs(1))
        .note("on two cores the second shard shares its core with the tester: no gain in throughput can be shown there")
        .rests_on(&rounds, &[0, 1]);
    Ok(Section { findings: [finding].into_iter().chain(counted).collect(), runs: rounds.runs() })
}

/// What the stored counts of the engine's benches say of two shards and one.
fn instructions(what: &str, name: &str) -> Finding {
    let finding =
        Finding::new("shards-instructions", format!("{what}: instructions per delivery on 2 shards against 1"));
    let finding = finding.within(Budget::RatioAtMost(GROWTH_MAX));
    let text = fs::read_to_string(format!("{REPOSITORY}/{COUNTS_FILE}")).unwrap_or_default();
    let counts: Value = serde_json::from_str(&text).unwrap_or_default();
    let count = |shards: &str| counts["instructions"][format!("{name}_over_{shards}")].as_f64();
    let (Some(one), Some(two)) = (count("1_shard"), count("2_shards")) else {
        return finding.but(Standing::NotShown, format!("no such counts in {COUNTS_FILE}"));
    };
    finding
        .measured(Unit::Count, &[two])
        .beside("1 shard", &[two], &[one])
        .note(format!("`{name}` as `scripts/bench --gate` holds it"))
}
