//! For whom something is printed.

use clap::ArgMatches;

/// For whom something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// People: as it is, or in sentences.
    Text,
    /// Programs: JSON.
    Json,
}

impl Form {
    /// By the switch `--json`.
    pub(super) fn of(words: &ArgMatches) -> Self {
        if words.get_flag("json") { Self::Json } else { Self::Text }
    }
}
