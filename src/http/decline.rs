//! A client that does not get in: what it is told, and what that counts as.

use super::refusal::Refusal;
use super::response::Response;
use crate::metrics::Refused;
use std::ops::RangeInclusive;

/// An answer that lets nobody in, with the reason that it is counted under.
#[derive(Debug)]
pub struct Decline {
    pub(super) reason: Refused,
    pub(super) response: Response,
}

impl Decline {
    pub(super) fn new(reason: Refused, response: impl Into<Response>) -> Self {
        Self { reason, response: response.into() }
    }

    /// The same, with word to come back after any of so many seconds: who was turned away together does not come back
    /// together (RFC 9110 §10.2.3).
    pub(super) fn retry_after(self, seconds: RangeInclusive<u32>) -> Self {
        let response = self.response.with("Retry-After", fastrand::u32(seconds).to_string());
        Self { response, ..self }
    }
}

/// What a request asks for is wrong.
impl From<Response> for Decline {
    fn from(response: Response) -> Self {
        Self { reason: Refused::BadRequest, response }
    }
}

/// What a family finds wrong with it.
impl From<Refusal> for Decline {
    fn from(refusal: Refusal) -> Self {
        Response::from(refusal).into()
    }
}
