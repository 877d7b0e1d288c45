//! What a scenario is.

use crate::tester::crew::Crew;
use crate::tester::flags::Flags;
use crate::tester::outcome::Outcome;
use crate::tester::plan::{Load, Plan};
use crate::tester::run::{Play, Refusal};

/// Flags that only some scenarios have.
pub const SPECIAL_FLAGS: [&str; 9] =
    ["ramp", "bystanders", "times", "stagger", "slow-share", "slow-read", "searches", "churn", "sizes"];

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
    pub(crate) shape: fn(&Flags, &mut Plan) -> Result<(), String>,
    /// How it is done as a whole: most are one run.
    pub(crate) conduct: fn(&Plan, &dyn Crew) -> Result<Outcome, Refusal>,
    /// What goes on in each of its runs.
    pub(crate) play: Play,
}

/// Where a scenario has no wish of its own.
pub(super) const USUAL: Scenario = Scenario {
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
    play: Play::LISTENING,
};

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
