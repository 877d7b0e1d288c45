//! Many usernames with some connections each: every event goes to a random one.

use super::definition::{Scenario, USUAL};

/// The usual scenario.
pub static USERS: Scenario = Scenario { name: "users", flags: &["sizes"], ..USUAL };
