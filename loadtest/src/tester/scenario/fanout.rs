//! One username, many clients: every event goes to all of them.

use super::definition::{Scenario, USUAL};
use crate::tester::plan::Load;

/// The whole of it: all that is special is one username.
pub static FANOUT: Scenario =
    Scenario { name: "fanout", users: 1, load: Load::Rate(100.0), flags: &["sizes"], ..USUAL };
