//! The scenarios: each a subcommand with defaults of its own. One file and one line in the table each.

mod capacity;
mod connect;
mod definition;
mod fanout;
mod idle;
mod slow;
mod soak;
mod storm;
mod users;

pub use capacity::CAPACITY;
pub use connect::CONNECT;
pub use definition::{SPECIAL_FLAGS, Scenario};
pub use fanout::FANOUT;
pub use idle::IDLE;
pub use slow::SLOW;
pub use soak::SOAK;
pub use storm::STORM;
pub use users::USERS;

/// Every scenario there is.
pub static TABLE: &[&Scenario] = &[&FANOUT, &USERS, &CONNECT, &IDLE, &STORM, &SLOW, &SOAK, &CAPACITY];

/// The scenario of this name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    TABLE.iter().copied().find(|scenario| scenario.name == name)
}
