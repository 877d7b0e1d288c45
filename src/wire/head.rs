//! Request heads of HTTP/1.x (RFC 9112): the grammar is httparse's, the rules against smuggling stand here.
//!
//! ```text
//! bytes ──► end of head ──► httparse ──► target ──► host ──► framing ──► Head
//!           no NUL, bare LF    100 fields  RFC 9112    exactly   one way to
//!           or bare CR         at most     §3.2        one       tell the length
//! ```
//!
//! Whoever sits in front of this server must read the same request as we do; where two readings are possible, the
//! request is refused and the connection with it.

mod target;

use httparse::Header;
use target::Target;

/// Longest request head, the empty line included. Browsers send 500 to 2 000 bytes; cookies may take 8 192 more.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header fields of a request. Browsers behind proxies send about 30.
pub const FIELDS_MAX: usize = 100;

/// The methods routes are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// RFC 9110 §9.3.1.
    Get,
    /// Like GET, but the answer has no body (RFC 9110 §9.3.2).
    Head,
    /// RFC 9110 §9.3.3.
    Post,
    /// Any other token.
    Other,
}

impl Method {
    fn of(token: &str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            _ => Self::Other,
        }
    }
}

/// The versions this server speaks (RFC 9112 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: connections end unless both sides say otherwise.
    Http10,
    /// HTTP/1.1: connections persist unless one side says otherwise.
    Http11,
}

/// Why a request cannot be read. The stream behind it cannot be trusted: answer and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// Not the grammar of RFC 9112: bare LF or CR, control bytes, folded lines, space before a colon.
    Malformed,
    /// The target is in none of the forms of RFC 9112 §3.2 that a server takes.
    BadTarget,
    /// No `Host` in HTTP/1.1, two of them, or one that names no host (RFC 9112 §3.2).
    BadHost,
    /// `Content-Length` twice, not plain digits, or beside `Transfer-Encoding` (RFC 9112 §6.3).
    BadLength,
    /// A chunked body: this server wants lengths announced (RFC 9112 §6.3).
    LengthRequired,
    /// A transfer coding other than chunked (RFC 9112 §6.1).
    UnknownCoding,
    /// Longer than [`HEAD_BYTES_MAX`].
    TooLong,
    /// More than [`FIELDS_MAX`] fields.
    TooManyFields,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    BadVersion,
}

impl BadHead {
    /// The status this earns.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::BadTarget | Self::BadHost | Self::BadLength => 400,
            Self::LengthRequired => 411,
            Self::TooLong | Self::TooManyFields => 431,
            Self::UnknownCoding => 501,
            Self::BadVersion => 505,
        }
    }

    /// What is wrong, for a person.
    pub const fn error(self) -> &'static str {
        match self {
            Self::Malformed => "malformed request",
            Self::BadTarget => "malformed request target",
            Self::BadHost => "Host is missing, repeated or malformed",
            Self::BadLength => "ambiguous or malformed Content-Length",
            Self::LengthRequired => "Content-Length is required",
            Self::UnknownCoding => "unknown Transfer-Encoding",
            Self::TooLong => "request head too long",
            Self::TooManyFields => "too many header fields",
            Self::BadVersion => "HTTP version not supported",
        }
    }

    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Malformed => "send a request as RFC 9112 writes it: lines end with CR LF, no control characters",
            Self::BadTarget => {
                "start the target with a slash, or give a whole http URL; encode other characters as %XX"
            }
            Self::BadHost => "send exactly one Host header that names the server",
            Self::BadLength => "send exactly one Content-Length of plain digits and no Transfer-Encoding",
            Self::LengthRequired | Self::UnknownCoding => "send the body in one piece with a Content-Length",
            Self::TooLong => "at most 16384 bytes: fewer or smaller cookies and headers",
            Self::TooManyFields => "at most 100 header fields",
            Self::BadVersion => "use HTTP/1.1",
        }
    }
}

/// Why a header field that must stand alone cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadField {
    /// It is there more than once.
    Repeated,
    /// Its value is not UTF-8.
    NotText,
}

/// One request head that can be read in one way only.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// What is asked for.
    pub method: Method,
    /// The path as it came, escapes included; starts with `/` (or is `*` for OPTIONS).
    pub path: &'a str,
    /// What stands behind the `?`, as it came; empty if nothing does.
    pub query: &'a str,
    /// The version the client speaks.
    pub version: Version,
    /// Host and port the client means; from the target if that is a whole URL (RFC 9112 §3.2.2). Absent only in HTTP/1.0.
    pub host: Option<&'a str>,
    /// Length of the body that follows, in bytes.
    pub body_bytes: u64,
    /// Length of the head itself, in bytes, the empty line included.
    pub bytes: usize,
    fields: Vec<Header<'a>>,
}

/// Reads the head at the start of `bytes`; `None` as long as it is not whole.
///
/// The answer does not depend on how the bytes were cut: once an error or a head is found, more bytes change nothing.
pub fn parse(bytes: &[u8]) -> Result<Option<Head<'_>>, BadHead> {
    // One empty line in front is tolerated (RFC 9112 §2.2): old clients send it behind a body.
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let window = &bytes[skipped..bytes.len().min(HEAD_BYTES_MAX)];
    match find_end(window)? {
        Some(end) => read(&window[..end], skipped).map(Some),
        None if bytes.len() >= HEAD_BYTES_MAX => Err(BadHead::TooLong),
        None => Ok(None),
    }
}

/// Finds the end of the first empty line, which must not be the first line, and refuses what may stand in no line.
fn find_end(bytes: &[u8]) -> Result<Option<usize>, BadHead> {
    let mut previous = 0;
    let mut line_start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match (previous, byte) {
            (b'\r', b'\n') if line_start + 1 == at => {
                return if line_start == 0 { Err(BadHead::Malformed) } else { Ok(Some(at + 1)) };
            }
            (b'\r', b'\n') => line_start = at + 1,
            (b'\r', _) | (_, b'\n') => return Err(BadHead::Malformed),
            (_, byte) if byte.is_ascii_control() && byte != b'\r' && byte != b'\t' => return Err(BadHead::Malformed),
            _ => {}
        }
        previous = byte;
    }
    Ok(None)
}

fn read(bytes: &[u8], skipped: usize) -> Result<Head<'_>, BadHead> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(BadHead::Malformed),
        Err(error) => return Err(explain(error, bytes)),
    }
    let fields = request.headers.to_vec();
    let method = request.method.ok_or(BadHead::Malformed)?;
    let target = Target::parse(method, request.path.ok_or(BadHead::Malformed)?)?;
    let version = if request.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let host = target.host_for(find_host(&fields, version)?);
    let body_bytes = body_bytes(&fields, version)?;
    let bytes = skipped + bytes.len();
    Ok(Head {
        method: Method::of(method),
        path: target.path,
        query: target.query,
        version,
        host,
        body_bytes,
        bytes,
        fields,
    })
}

fn explain(error: httparse::Error, bytes: &[u8]) -> BadHead {
    match error {
        httparse::Error::TooManyHeaders => BadHead::TooManyFields,
        httparse::Error::Version if names_a_version(bytes) => BadHead::BadVersion,
        _ => BadHead::Malformed,
    }
}

/// Whether the first line is a request line with a well-formed version (RFC 9112 §2.3), whichever it is.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    let version = words.next().and_then(|word| word.strip_prefix(b"HTTP/"));
    let is_number = matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit());
    is_number && words.next().is_none()
}

fn find_host<'a>(fields: &[Header<'a>], version: Version) -> Result<Option<&'a str>, BadHead> {
    match sole(fields, "host") {
        Ok(Some(host)) if target::is_authority(host) => Ok(Some(host)),
        Ok(None) if version == Version::Http10 => Ok(None),
        _ => Err(BadHead::BadHost),
    }
}

/// The one reading of the body's length, or none (RFC 9112 §6.3).
fn body_bytes(fields: &[Header<'_>], version: Version) -> Result<u64, BadHead> {
    let length = sole(fields, "content-length").map_err(|_| BadHead::BadLength)?;
    let Some(coding) = values(fields, "transfer-encoding").last() else {
        return length.map_or(Ok(0), |digits| plain_number(digits).ok_or(BadHead::BadLength));
    };
    if length.is_some() || version == Version::Http10 {
        return Err(BadHead::BadLength);
    }
    if coding.eq_ignore_ascii_case(b"chunked") { Err(BadHead::LengthRequired) } else { Err(BadHead::UnknownCoding) }
}

/// Digits and nothing else: no sign, no list, no number too large to hold.
fn plain_number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn values<'f, 'a>(fields: &'f [Header<'a>], name: &'f str) -> impl Iterator<Item = &'a [u8]> + use<'f, 'a> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

fn sole<'a>(fields: &[Header<'a>], name: &str) -> Result<Option<&'a str>, BadField> {
    let mut found = values(fields, name);
    let first = found.next();
    if found.next().is_some() {
        return Err(BadField::Repeated);
    }
    first.map(str::from_utf8).transpose().map_err(|_| BadField::NotText)
}

impl<'a> Head<'a> {
    /// All values of a header field, in order; names compare without case (RFC 9110 §5.1).
    pub fn values<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'a [u8]> + use<'f, 'a> {
        values(&self.fields, name)
    }

    /// Whether a header field is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether there is a header field whose name begins so; without case.
    pub fn has_prefixed(&self, prefix: &str) -> bool {
        self.fields.iter().any(|field| {
            let start = field.name.as_bytes().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        })
    }

    /// The value of a header field that may be there once.
    pub fn sole(&self, name: &str) -> Result<Option<&'a str>, BadField> {
        sole(&self.fields, name)
    }

    /// Whether a comma-separated list, over all fields of this name, holds a token (RFC 9110 §5.6.1); without case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let mut items = self.values(name).flat_map(|value| value.split(|&byte| byte == b','));
        items.any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether the client asks for WebSocket (RFC 6455 §4.2.1): both headers name it.
    pub fn is_upgrade(&self) -> bool {
        self.lists("upgrade", "websocket") && self.lists("connection", "upgrade")
    }

    /// Whether the client wants to use the connection again (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        match self.version {
            Version::Http11 => !self.lists("connection", "close"),
            Version::Http10 => self.lists("connection", "keep-alive") && !self.lists("connection", "close"),
        }
    }

    /// Whether the client waits for a go-ahead before it sends the body (RFC 9110 §10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.version == Version::Http11 && self.body_bytes > 0 && self.lists("expect", "100-continue")
    }
}

#[cfg(test)]
mod tests;
