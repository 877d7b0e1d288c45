//! What a request is about (RFC 9112 §3.2): a path and a query, and the host where the target is a whole URL.

use super::BadHead;

/// A request target in one of the forms a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    authority: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Takes origin-form, absolute-form (every server must, RFC 9112 §3.2.2), and `*` for OPTIONS. Authority-form is
    /// for proxies.
    pub(super) fn parse(method: &str, raw: &'a str) -> Result<Self, BadHead> {
        // A fragment is never sent, and what is not ASCII must be escaped (RFC 3986 §2): others might read it otherwise.
        if !raw.is_ascii() || raw.contains('#') {
            return Err(BadHead::BadTarget);
        }
        match raw {
            "*" if method == "OPTIONS" => Ok(Self { path: raw, query: "", authority: None }),
            _ if raw.starts_with('/') => Ok(Self::split(raw, None)),
            _ => Self::parse_absolute(raw),
        }
    }

    fn parse_absolute(raw: &'a str) -> Result<Self, BadHead> {
        let (scheme, rest) = raw.split_once("://").ok_or(BadHead::BadTarget)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(end);
        let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        if !is_http || authority.is_empty() || !is_authority(authority) {
            return Err(BadHead::BadTarget);
        }
        Ok(Self::split(resource, Some(authority)))
    }

    fn split(resource: &'a str, authority: Option<&'a str>) -> Self {
        let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
        // `http://host` and `http://host?query` mean the root (RFC 9112 §3.2.1).
        Self { path: if path.is_empty() { "/" } else { path }, query, authority }
    }

    /// The host that counts: the target's own before the header's (RFC 9112 §3.2.2).
    pub(super) fn host_for(&self, header: Option<&'a str>) -> Option<&'a str> {
        self.authority.or(header)
    }
}

/// Whether `text` is `host[:port]` by its characters (RFC 3986 §3.2.2), without user information.
/// An empty one is allowed: that is how a client without a name for the server says so (RFC 9112 §3.2).
pub(super) fn is_authority(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%:[]".contains(&byte))
}
