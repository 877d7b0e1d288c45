//! What is wrong with a request, and what to do about it.

use std::borrow::Cow;

/// A request that is answered with an error: `{"error":"…","hint":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400 to 599.
    pub status: u16,
    /// What is wrong.
    pub error: Cow<'static, str>,
    /// What to do about it.
    pub hint: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with any status.
    pub fn new(status: u16, error: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!((400..600).contains(&status), "a refusal is an error");
        Self { status, error: error.into(), hint: hint.into() }
    }

    /// 400: the client must ask for something else.
    pub fn bad_request(error: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, error, hint)
    }
}
