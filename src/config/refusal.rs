//! What is said of a value that does not fit.

use super::secret::HIDDEN;
use super::setting::Setting;
use clap::error::ErrorKind;

/// Why a value does not fit.
pub(super) enum Unfit {
    /// It is not what the setting's kind allows.
    Shape,
    /// For a reason of its own, which must not repeat a secret.
    Because(String),
}

/// One sentence for whoever started the process: where, what, and what is allowed.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl From<Refusal> for clap::Error {
    /// Exit code 2, as for every other mistake in the arguments.
    fn from(refusal: Refusal) -> Self {
        Self::raw(ErrorKind::ValueValidation, format!("{}\n", refusal.0))
    }
}

/// The sentence about a value that does not fit: where it is, what it is unless it is secret, and what is allowed.
pub(super) fn refusal(place: &str, setting: &Setting, text: &str, unfit: &Unfit) -> Refusal {
    let shown = if setting.kind.is_secret() { HIDDEN.to_owned() } else { format!("`{}`", text.escape_debug()) };
    Refusal(match unfit {
        Unfit::Shape => format!("{place} is {shown}; allowed: {}", setting.kind),
        Unfit::Because(reason) => format!("{place} is {shown}, but {reason}; allowed: {}", setting.kind),
    })
}
