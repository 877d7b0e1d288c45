//! One response, and its bytes (RFC 9112 §4).

use super::refusal::Refusal;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// JSON, as RFC 8259 has it: UTF-8 without a parameter.
const JSON: &str = "application/json";

/// What happens to the connection behind a response (RFC 9112 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It persists, as HTTP/1.1 has it when nothing is said.
    Implied,
    /// It persists, which an HTTP/1.0 client must be told.
    Stated,
    /// It ends.
    Close,
}

/// How much of a response goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// All but the body: the answer to HEAD (RFC 9110 §9.3.2).
    HeadOnly,
}

/// A status, a body, and what else there is to say about them.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    content_type: &'static str,
    body: Cow<'static, str>,
    fields: Vec<(&'static str, Cow<'static, str>)>,
}

impl Response {
    /// A response with any body.
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Cow<'static, str>>) -> Self {
        Self { status, content_type, body: body.into(), fields: Vec::new() }
    }

    /// A response with JSON for a body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, JSON, body.to_string())
    }

    /// 307 to another path of this server (RFC 9110 §15.4.8).
    pub(super) fn redirect(path: &'static str) -> Self {
        Self::new(307, "text/plain; charset=utf-8", format!("see {path}\n")).with("Location", path)
    }

    /// 405 with the methods that are allowed (RFC 9110 §15.5.6).
    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::from(Refusal::new(405, "method not allowed", format!("use {allowed}"))).with("Allow", allowed)
    }

    /// The same with another header field.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The same for clients to keep under this tag, an opaque text in quotes (RFC 9110 §8.8.3).
    pub(super) fn tagged(self, tag: String) -> Self {
        self.with("ETag", tag)
    }

    /// 304 in place of a page whose tag is among these that the client holds (RFC 9110 §13.1.2).
    pub(super) fn unless_held<'a>(self, mut held: impl Iterator<Item = &'a str>) -> Self {
        let is_held =
            self.field("ETag").is_some_and(|tag| held.any(|held| held == "*" || held.trim_start_matches("W/") == tag));
        if is_held { Self { status: 304, ..self } } else { self }
    }

    /// The same with WebSocket as what the client should have asked for (RFC 9110 §15.5.22).
    pub(super) fn offering_websocket(self) -> Self {
        self.with("Upgrade", "websocket")
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_ref())
    }

    pub(super) fn into_bytes(self, persistence: Persistence, extent: Extent) -> Vec<u8> {
        let mut text = String::with_capacity(256 + self.body.len());
        let (status, reason, length) = (self.status, reason(self.status), self.body.len());
        let content_type = self.content_type;
        // What has a tag the client may keep for itself, and asks each time whether it still holds (RFC 9111 §5.2.2).
        let keeping = if self.field("ETag").is_some() { "private, no-cache" } else { "no-store" };
        write!(
            text,
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Cache-Control: {keeping}\r\nX-Content-Type-Options: nosniff\r\n{}",
            connection_field(persistence, self.field("Upgrade"))
        )
        .expect("a String takes everything");
        for (name, value) in &self.fields {
            debug_assert!(!value.contains(['\r', '\n']), "a field is one line");
            write!(text, "{name}: {value}\r\n").expect("a String takes everything");
        }
        text.push_str("\r\n");
        // Of a page that the client holds only the head goes out, which may say how long it is (RFC 9110 §15.4.5).
        if extent == Extent::Whole && status != 304 {
            text.push_str(&self.body);
        }
        text.into_bytes()
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Self::json(refusal.status, &serde_json::json!({ "error": refusal.error, "hint": refusal.hint }))
    }
}

/// `Upgrade` must be named in `Connection`, too (RFC 9110 §7.8).
fn connection_field(persistence: Persistence, upgrade: Option<&str>) -> &'static str {
    match (persistence, upgrade) {
        (Persistence::Implied, None) => "",
        (Persistence::Implied, Some(_)) => "Connection: Upgrade\r\n",
        (Persistence::Stated, None) => "Connection: keep-alive\r\n",
        (Persistence::Stated, Some(_)) => "Connection: keep-alive, Upgrade\r\n",
        (Persistence::Close, None) => "Connection: close\r\n",
        (Persistence::Close, Some(_)) => "Connection: close, Upgrade\r\n",
    }
}

/// The reason phrases of RFC 9110 §15 and RFC 6585.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
