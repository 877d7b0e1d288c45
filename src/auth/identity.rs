//! Whom a token speaks for.

use std::time::Duration;

/// What a good token says about whoever brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The claim `sub`: never empty.
    pub subject: String,
    /// The claim `usernames`: further names it may go by.
    pub usernames: Vec<String>,
    /// How much longer the token is good, from the moment it was checked.
    pub lifetime: Duration,
}

impl Identity {
    /// Whether it may go by this username; bytes are compared.
    pub fn may_be(&self, username: &str) -> bool {
        self.subject == username || self.usernames.iter().any(|own| own == username)
    }
}
