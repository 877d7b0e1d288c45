//! The scenarios: each a subcommand with defaults of its own. One line in the table each.

/// What a scenario is where nobody says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The subcommand.
    pub name: &'static str,
    /// Connections, where neither they nor users are given.
    pub clients: u32,
    /// Usernames, where they are not given.
    pub users: u32,
    /// Events a second, where neither a rate nor a window is given.
    pub rate: f64,
}

/// One username, many clients: every event goes to all of them.
pub static FANOUT: Scenario = Scenario { name: "fanout", clients: 1_000, users: 1, rate: 100.0 };

/// Many usernames with some connections each: every event goes to a random one.
pub static USERS: Scenario = Scenario { name: "users", clients: 1_000, users: 1_000, rate: 1_000.0 };
