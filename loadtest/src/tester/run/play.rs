//! What a scenario makes of a run.

use super::stage::Stage;
use crate::tester::publishing::Published;

/// What goes on beside connecting, publishing and receiving.
#[derive(Clone, Copy)]
pub struct Play {
    /// Whether the server is asked for its own counters, before the first client comes.
    pub(crate) reads_counters: bool,
    /// What goes on once all clients are in and events are on their way.
    pub(crate) perform: fn(&mut Stage<'_, '_, '_>),
    /// What is looked at once everything has come; clients are still connected.
    pub(crate) conclude: fn(&mut Stage<'_, '_, '_>, &Published),
}

impl Play {
    /// Nothing else happens for as long as the plan says.
    pub(crate) const LISTENING: Self =
        Self { reads_counters: false, perform: |stage| stage.play_out(), conclude: |_, _| {} };
}
