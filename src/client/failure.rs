//! Why a client ends before it is done.

use super::output::harmless;
use serde::Deserialize;
use std::fmt;

/// What ends a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody reads standard output any more, as behind `| head -1`: that is an end like any other.
    ReaderGone,
    /// Nobody has answered, or nobody knows what: one may ask again.
    Unanswered { sentence: String, hint: Option<String> },
    /// One sentence about what went wrong and, where somebody knows, what to do about it.
    Said { sentence: String, hint: Option<String> },
}

/// What the server says where it refuses.
#[derive(Deserialize)]
struct Told {
    error: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure without a cure.
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self::Said { sentence: sentence.into(), hint: None }
    }

    /// The same with what to do about it.
    pub(super) fn with(self, advice: &str) -> Self {
        match self {
            Self::ReaderGone | Self::Unanswered { .. } => self,
            Self::Said { sentence, hint: None } => Self::Said { sentence, hint: Some(advice.to_owned()) },
            Self::Said { sentence, hint: Some(hint) } => {
                Self::Said { sentence, hint: Some(format!("{hint}; {advice}")) }
            }
        }
    }

    /// A refusal in the server's own words, as far as it has said any: a proxy may have answered instead.
    pub(super) fn refused(place: &str, status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Told>(body) {
            Ok(Told { error, hint }) => Self::Said { sentence: format!("{place} answers {status}: {error}"), hint },
            Err(_) => Self::new(format!("{place} answers {status}"))
                .with("is a fanout server there, or does a proxy in front not let this through?"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unanswered { sentence, hint } | Self::Said { sentence, hint }) = self else {
            return formatter.write_str("nobody reads on");
        };
        formatter.write_str(&harmless(sentence))?;
        hint.as_ref().map_or(Ok(()), |hint| write!(formatter, "\n  hint: {}", harmless(hint)))
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
