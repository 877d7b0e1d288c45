//! One username, many clients: every event goes to all of them.

use super::{Load, Scenario, USUAL};

/// The whole of it: all that is special is one username.
pub static FANOUT: Scenario =
    Scenario { name: "fanout", users: 1, load: Load::Rate(100.0), flags: &["sizes"], ..USUAL };
