//! One HTTP response.

use std::io::{self, ErrorKind};

/// Headers of one response that are read at most: this server sends fewer than ten.
const HEADERS_MAX: usize = 32;

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names as they came, with values.
    pub headers: Vec<(String, String)>,
    /// Exactly `Content-Length` bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The response at the front of `bytes` and how many bytes it takes; `None` until its head is whole.
    ///
    /// The body is not part of it yet: [`Answer::body_length`] says how much is to come.
    ///
    /// # Errors
    /// For what is not HTTP.
    pub fn parse_head(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let status = response.parse(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let httparse::Status::Complete(length) = status else { return Ok(None) };
        let text = |header: &httparse::Header<'_>| {
            (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
        };
        let headers = response.headers.iter().map(text).collect();
        Ok(Some((Self { status: response.code.unwrap_or(0), headers, body: Vec::new() }, length)))
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Bytes of body that follow the head; 0 where none are announced.
    pub fn body_length(&self) -> usize {
        self.header("Content-Length").and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// The body as text, damaged bytes replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `Null` for anything else.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
