//! Why a client ends before it is done.

use super::harmless::harmless;
use serde::Deserialize;
use std::fmt;

/// What ends a client: one sentence about what went wrong and, where somebody knows, what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) sentence: String,
    pub(crate) hint: Option<String>,
}

/// Whether it would end in the same way again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nobody reads standard output any more, as behind `| head -1`: that is an end like any other.
    ReaderGone,
    /// Nobody has answered, or nobody knows what: one may ask again.
    Unanswered,
    /// It would.
    Refused,
}

/// What the server says where it refuses.
#[derive(Deserialize)]
struct Told {
    error: String,
    hint: Option<String>,
}

impl Failure {
    pub(super) fn of(cause: Cause, sentence: impl Into<String>) -> Self {
        Self { cause, sentence: sentence.into(), hint: None }
    }

    /// One that would come again.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self::of(Cause::Refused, sentence)
    }

    /// The same with what to do about it.
    pub(crate) fn with(mut self, advice: &str) -> Self {
        self.hint = Some(self.hint.map_or_else(|| advice.to_owned(), |hint| format!("{hint}; {advice}")));
        self
    }

    /// The sentence and the hint for the middle of a line.
    pub(super) fn in_one_line(&self) -> String {
        let hint = self.hint.iter().map(|hint| format!("; {}", harmless(hint)));
        [harmless(&self.sentence)].into_iter().chain(hint).collect()
    }

    /// A refusal in the server's own words, as far as it has said any: a proxy may have answered instead.
    pub(crate) fn refused(place: &str, status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Told>(body) {
            Ok(Told { error, hint }) => Self { hint, ..Self::new(format!("{place} answers {status}: {error}")) },
            Err(_) => Self::new(format!("{place} answers {status}"))
                .with("is a fanout server there, or does a proxy in front not let this through?"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&harmless(&self.sentence))?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(formatter, "\n  hint: {}", harmless(hint)))
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_refusal_repeats_what_the_server_says() {
        let body = br#"{"error":"wrong token","hint":"bring the right one"}"#;
        let failure = Failure::refused("http://a:80", 401, body).with("it is in ADMIN_TOKEN");
        let expected = "http://a:80 answers 401: wrong token\n  hint: bring the right one; it is in ADMIN_TOKEN";
        assert_eq!(failure.to_string(), expected);
        let page = Failure::refused("http://a:80", 502, b"<html>\x1b[2J").to_string();
        assert!(page.starts_with("http://a:80 answers 502\n  hint: is a fanout server there"), "{page}");
        assert_eq!(Failure::new("a\x1b[2Jb").to_string(), "a\\u{1b}[2Jb", "nothing it says moves the cursor");
    }
}
