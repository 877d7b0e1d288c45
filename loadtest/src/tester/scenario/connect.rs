//! Clients come, on a schedule or as fast as they are let in, and stay for a while. No event is published.

use super::definition::{Scenario, USUAL};
use crate::tester::plan::Load;
use crate::tester::run::{Play, Stage};

/// How fast clients are let in, and what it costs.
pub static CONNECT: Scenario = Scenario {
    name: "connect",
    load: Load::Silence,
    seconds: 3.0,
    warmup: 0.0,
    flags: &["ramp"],
    play: Play { perform: hold, ..Play::LISTENING },
    ..USUAL
};

fn hold(stage: &mut Stage<'_, '_, '_>) {
    let how = match stage.plan().course.ramp {
        ramp if ramp > 0.0 => "connecting times count from the moment each client was due",
        _ => "each thread had 64 handshakes in flight at most: connecting times count from each client's own beginning",
    };
    stage.note(how.to_owned());
    stage.play_out();
}
