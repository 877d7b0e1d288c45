//! The scenarios: each a subcommand with defaults of its own. One file and one line in the table each.

mod capacity;
mod connect;
mod fanout;
mod idle;
mod slow;
mod soak;
mod storm;
mod users;

use super::arguments::LoadArguments;
use super::crew::Crew;
use super::outcome::Outcome;
use super::plan::{Load, Plan};
use super::publishing::Published;
use super::run::{Refusal, Stage};

/// What a scenario is where nobody says otherwise.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// The subcommand.
    pub name: &'static str,
    /// Connections, where neither they nor users are given.
    pub clients: u32,
    /// Usernames, where they are not given; as many as clients at most.
    pub users: u32,
    /// Events, where neither a rate nor a window is given. What begins in silence stays silent.
    pub load: Load,
    /// Bytes of an event, where they are not given.
    pub size: usize,
    /// Seconds to measure, where they are not given.
    pub seconds: f64,
    /// Seconds before, where they are not given.
    pub warmup: f64,
    /// Flags that only some scenarios have, and this one has.
    pub flags: &'static [&'static str],
    /// Whether several processes can do it together.
    pub(crate) is_divisible: bool,
    /// What its own flags make of a plan.
    pub(crate) shape: fn(&LoadArguments, &mut Plan) -> Result<(), String>,
    /// How it is done as a whole: most are one run.
    pub(crate) conduct: fn(&Plan, &dyn Crew) -> Result<Outcome, Refusal>,
    /// Whether the server is asked for its own counters, before the first client comes.
    pub(crate) reads_counters: bool,
    /// What goes on once all clients are in and events are on their way.
    pub(crate) play: fn(&mut Stage<'_, '_, '_>),
    /// What is looked at once everything has come; clients are still connected.
    pub(crate) conclude: fn(&mut Stage<'_, '_, '_>, &Published),
}

/// Where a scenario has no wish of its own.
const USUAL: Scenario = Scenario {
    name: "",
    clients: 1_000,
    users: 1_000,
    load: Load::Rate(1_000.0),
    size: 256,
    seconds: 10.0,
    warmup: 1.0,
    flags: &[],
    is_divisible: true,
    shape: |_, _| Ok(()),
    conduct: |plan, crew| crew.run(plan),
    reads_counters: false,
    play: listen,
    conclude: |_, _| {},
};

pub use capacity::CAPACITY;
pub use connect::CONNECT;
pub use fanout::FANOUT;
pub use idle::IDLE;
pub use slow::SLOW;
pub use soak::SOAK;
pub use storm::STORM;
pub use users::USERS;

/// Flags that only some scenarios have.
pub const SPECIAL_FLAGS: [&str; 9] =
    ["ramp", "bystanders", "times", "stagger", "slow-share", "slow-read", "searches", "churn", "sizes"];

impl Scenario {
    /// Its defaults as flags.
    pub fn defaults(&self) -> String {
        let events = match self.load {
            Load::Rate(rate) => format!("--rate {rate} --size {} ", self.size),
            Load::Window(places) => format!("--window {places} --size {} ", self.size),
            Load::Silence => String::new(),
        };
        let users = if self.users == 1 { " --users 1" } else { "" };
        format!("--clients {}{users} {events}--seconds {} --warmup {}", self.clients, self.seconds, self.warmup)
    }
}

/// Every scenario there is.
pub static TABLE: &[&Scenario] = &[&FANOUT, &USERS, &CONNECT, &IDLE, &STORM, &SLOW, &SOAK, &CAPACITY];

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    TABLE.iter().copied().find(|scenario| scenario.name == name)
}

/// Nothing else happens for as long as the plan says.
fn listen(stage: &mut Stage<'_, '_, '_>) {
    stage.play_out();
}
