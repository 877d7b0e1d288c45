//! What a RESP server answers and pushes, in both versions of the protocol.

use bytes::{BufMut, BytesMut};

/// Which RESP a client speaks; `HELLO` changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Arrays for everything.
    #[default]
    Two,
    /// Maps, pushes and a null of their own.
    Three,
}

impl Version {
    /// The number in `HELLO`.
    pub const fn number(self) -> i64 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
        }
    }
}

/// Appends replies to an output buffer, element by element as Redis does it: a container is its header, followed by
/// as many elements as it announced.
pub struct ReplyWriter<'a> {
    version: Version,
    out: &'a mut BytesMut,
}

impl<'a> ReplyWriter<'a> {
    /// A writer that speaks `version`.
    pub fn new(version: Version, out: &'a mut BytesMut) -> Self {
        Self { version, out }
    }

    /// `+text`: without line breaks, by its author's promise.
    pub fn simple(&mut self, text: &str) -> &mut Self {
        debug_assert!(!text.contains(['\r', '\n']), "a simple string is one line");
        self.line(b'+', text.as_bytes())
    }

    /// `-text`; line breaks become spaces, as in Redis.
    pub fn error(&mut self, text: &str) -> &mut Self {
        self.line(b'-', text.replace(['\r', '\n'], " ").as_bytes())
    }

    /// `:number`.
    pub fn integer(&mut self, number: i64) -> &mut Self {
        self.header(b':', number)
    }

    /// Any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) -> &mut Self {
        self.header(b'$', length(bytes.len()));
        self.out.put_slice(bytes);
        self.out.put_slice(b"\r\n");
        self
    }

    /// Nothing.
    pub fn null(&mut self) -> &mut Self {
        let null: &[u8] = match self.version {
            Version::Two => b"$-1\r\n",
            Version::Three => b"_\r\n",
        };
        self.out.put_slice(null);
        self
    }

    /// A list of so many elements, which follow.
    pub fn array(&mut self, elements: usize) -> &mut Self {
        self.header(b'*', length(elements))
    }

    /// So many pairs of key and value, which follow; RESP2 has a flat list instead.
    pub fn map(&mut self, pairs: usize) -> &mut Self {
        match self.version {
            Version::Two => self.header(b'*', length(pairs * 2)),
            Version::Three => self.header(b'%', length(pairs)),
        }
    }

    /// Something the client did not just ask for, of so many elements, which follow; RESP2 has a list instead.
    pub fn push(&mut self, elements: usize) -> &mut Self {
        match self.version {
            Version::Two => self.header(b'*', length(elements)),
            Version::Three => self.header(b'>', length(elements)),
        }
    }

    fn line(&mut self, kind: u8, text: &[u8]) -> &mut Self {
        self.out.put_u8(kind);
        self.out.put_slice(text);
        self.out.put_slice(b"\r\n");
        self
    }

    fn header(&mut self, kind: u8, number: i64) -> &mut Self {
        // The longest is `-9223372036854775808`.
        let mut digits = arrayvec::ArrayString::<20>::new();
        std::fmt::Write::write_fmt(&mut digits, format_args!("{number}")).expect("20 characters hold any i64");
        self.line(kind, digits.as_bytes())
    }
}

fn length(elements: usize) -> i64 {
    i64::try_from(elements).expect("lengths in memory fit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_protocol::{resp2, resp3};

    type Write = fn(&mut ReplyWriter<'_>);

    #[test]
    fn replies_carry_the_bytes_of_the_specification() {
        let table: [(Write, &str, &str); 9] = [
            (|reply| _ = reply.simple("OK"), "+OK\r\n", "+OK\r\n"),
            (|reply| _ = reply.error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (|reply| _ = reply.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (|reply| _ = reply.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (|reply| _ = reply.bulk("é".as_bytes()), "$2\r\né\r\n", "$2\r\né\r\n"),
            (|reply| _ = reply.null(), "$-1\r\n", "_\r\n"),
            (|reply| _ = reply.array(2).integer(1).bulk(b"a"), "*2\r\n:1\r\n$1\r\na\r\n", "*2\r\n:1\r\n$1\r\na\r\n"),
            (|reply| _ = reply.map(1).bulk(b"a").integer(1), "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"),
            (|reply| _ = reply.push(1).bulk(b"a"), "*1\r\n$1\r\na\r\n", ">1\r\n$1\r\na\r\n"),
        ];
        for (write, two, three) in table {
            for (version, expected) in [(Version::Two, two), (Version::Three, three)] {
                let mut out = BytesMut::new();
                write(&mut ReplyWriter::new(version, &mut out));
                assert_eq!(String::from_utf8_lossy(&out), expected);
                let decoded_bytes = match version {
                    Version::Two => resp2::decode::decode(&out).unwrap().unwrap().1,
                    Version::Three => resp3::decode::complete::decode(&out).unwrap().unwrap().1,
                };
                assert_eq!(decoded_bytes, out.len(), "a foreign decoder takes all of {expected:?}");
            }
        }
    }
}
