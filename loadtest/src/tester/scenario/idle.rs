//! Clients come and nothing happens: what does a connection cost that only waits?

use super::definition::{Scenario, USUAL};
use crate::tester::plan::Load;
use crate::tester::run::{Play, Stage};
use crate::tester::watch::processor_time;

/// Longer than the usual ping interval, so that pings are in it.
pub static IDLE: Scenario = Scenario {
    name: "idle",
    clients: 10_000,
    users: 10_000,
    load: Load::Silence,
    seconds: 60.0,
    warmup: 5.0,
    flags: &["ramp"],
    play: Play { perform: rest, ..Play::LISTENING },
    ..USUAL
};

fn rest(stage: &mut Stage<'_, '_, '_>) {
    stage.read_memory();
    let spent = |stage: &Stage<'_, '_, '_>| stage.plan().server_pid.and_then(|pid| processor_time(pid).ok());
    let (began, before) = (stage.now(), spent(stage));
    let seconds = stage.plan().seconds;
    stage.hold(seconds);
    let (ended, after) = (stage.now(), spent(stage));
    let connections = stage.board().total(|tape| tape.open);
    let Some((before, after)) = before.zip(after) else { return };
    let per_connection = after.saturating_sub(before) as f64 / connections as f64;
    stage.set("cpu_ns_per_second_and_connection", per_connection * 1e9 / (ended - began).max(1) as f64);
    stage.note(
        "memory of the kernel is the growth of the whole machine's; the tester's end of every connection is on this \
         machine too and in it: a socket, an inode and a file each, so about half is the server's"
            .to_owned(),
    );
}
