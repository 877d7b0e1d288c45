//! One shard and two on the same machine that makes the load.

use super::super::figure::Unit;
use super::super::finding::{Finding, Standing};
use super::super::load::{Load, Pace};
use super::super::rig::Rig;
use super::super::rounds::{Rounds, Trial};
use super::super::row::Section;
use super::super::subject::{FANOUT, Options, Subject};
use std::io;

const USERS: u32 = 5_000;

/// Events a second: about a third of what one core carries, so that both cores have time left and nothing is joined
/// that would not be joined with more of them.
const EVENTS_PER_SECOND: f64 = 40_000.0;

/// What a delivery costs on two shards and on one, at the same rate.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    let (users, rate) = (rig.scaled(USERS), rig.scaled_rate(EVENTS_PER_SECOND));
    let what = format!("{users} users, {rate} events/s: CPU per delivery on 2 shards against 1");
    let finding = Finding::new("shards", what);
    if rig.server_cores(2).len() < 2 {
        let finding = finding.but(Standing::NotShown, "this process may use one core only");
        return Ok(Section { findings: vec![finding], runs: Vec::new() });
    }
    let two = Subject::Fanout(Options { shards: 2, ..Options::USUAL });
    let load = Load::usernames(users, Pace::Rate(rate));
    let rounds = Rounds::measure(rig, &[Trial { subject: two, load }, Trial { subject: FANOUT, load }])?;
    let finding = finding
        .measured(Unit::Nanoseconds, &rounds.costs(0))
        .beside("fanout with 1 shard", &rounds.costs(0), &rounds.costs(1))
        .note("on two cores the second shard shares its core with the tester: no gain in throughput can be shown there")
        .rests_on(&rounds, &[0, 1]);
    Ok(Section { findings: vec![finding], runs: rounds.runs() })
}
