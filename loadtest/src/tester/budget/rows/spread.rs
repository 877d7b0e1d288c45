//! One username that everybody follows, on two shards: whether both of them work for it.

use super::super::figure::Unit;
use super::super::finding::{Budget, Finding, Standing};
use super::super::load::Load;
use super::super::rig::Rig;
use super::super::section::Section;
use super::super::subject::{Options, Running, Subject};
use super::super::trial::load_once;
use std::io;
use std::time::Instant;

const CLIENTS: u32 = 10_000;

/// The spread that the server comes with, and none.
const SPREAD: Options = Options { shards: 2, ..Options::USUAL };
const ON_ITS_OWNER: Options = Options { others: &[("--spread-above", "0")], ..SPREAD };

/// The busier shard has at most this of what it would have alone: half, and the followers that were there before.
const SHARE_MAX: f64 = 0.6;

/// Which share of the deliveries the busier of two shards makes.
pub(in super::super) fn measure(rig: &Rig) -> io::Result<Section> {
    let clients = rig.scaled(CLIENTS);
    let what = format!("{clients} clients on one username, 2 shards: what the busier one sends of all frames");
    let finding = Finding::new("spread", what).within(Budget::RatioAtMost(SHARE_MAX));
    if rig.server_cores(2).len() < 2 {
        let finding = finding.but(Standing::NotShown, "this process may use one core only");
        return Ok(Section { findings: vec![finding], runs: Vec::new() });
    }
    let load = Load::one_username(clients, 4);
    let (mut spread, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..rig.rounds {
        for (options, shares) in [(SPREAD, &mut spread), (ON_ITS_OWNER, &mut alone)] {
            let subject = Subject::Fanout(options);
            let running = subject.start(rig, load)?;
            load_once(rig, &running, load, Instant::now());
            shares.push(busier_share(&running));
            rig.tell(&format!("  {subject}: the busier shard sends {:.0} %", busier_share(&running) * 100.0));
        }
    }
    let finding =
        finding.measured(Unit::Share, &spread).beside("without spreading (--spread-above 0)", &spread, &alone);
    Ok(Section { findings: vec![finding], runs: Vec::new() })
}

/// The largest part that one shard has in all frames sent; not a number where none were.
fn busier_share(running: &Running) -> f64 {
    let Running::Fanout(server, _) = running else { return f64::NAN };
    let stats = server.stats();
    let shards = stats["shards"].as_array().map_or(&[][..], Vec::as_slice);
    let frames: Vec<f64> = shards.iter().filter_map(|shard| shard["frames_out"].as_f64()).collect();
    frames.iter().copied().fold(0.0, f64::max) / frames.iter().sum::<f64>()
}
