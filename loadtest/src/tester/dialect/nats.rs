//! NATS: lines that end in CR LF, `MSG` with its payload behind it (docs.nats.io, "Client Protocol").
//!
//! On WebSocket nats-server puts all that waits for a client into one binary frame, however long. It cuts that into
//! several frames for browsers only; a message in pieces is understood all the same.

use super::{Destination, Dialect, Heard, Publishing};

/// A line without its payload is longer only by mistake; the longest there is, `INFO`, takes some hundred bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// One subject for each channel.
pub(super) struct Nats;

impl Dialect for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn url(&self) -> &'static str {
        "ws://127.0.0.1:8080/"
    }

    fn publish_to(&self) -> &'static str {
        "{channel}"
    }

    fn publish_at(&self) -> Destination<'static> {
        Destination::Tcp("127.0.0.1:4222")
    }

    fn publishing(&self) -> Option<&dyn Publishing> {
        Some(self)
    }

    fn greeting(&self, topic: &str) -> Vec<Vec<u8>> {
        vec![[CONNECT, format!("SUB {topic} 1\r\n").as_bytes(), PING].concat()]
    }

    fn speaks_text(&self) -> bool {
        false
    }

    fn is_bare(&self) -> bool {
        false
    }

    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)> {
        let Some(end) = bytes.iter().take(LINE_BYTES_MAX).position(|&byte| byte == b'\n') else {
            return (bytes.len() >= LINE_BYTES_MAX).then(|| (Heard::Broken("a line without an end".to_owned()), 0));
        };
        let (line, rest) = (bytes[..end].trim_ascii_end(), &bytes[end + 1..]);
        let heard = match line {
            [b'M', b'S', b'G', b' ', ..] => {
                return message(line, rest).map(|(heard, length)| (heard, end + 1 + length));
            }
            b"PING" => Heard::Answer(PONG.to_vec()),
            b"PONG" => Heard::Subscribed,
            b"+OK" => Heard::Nothing,
            line if line.starts_with(b"INFO ") => Heard::Nothing,
            line => Heard::Broken(format!("the server said {}", String::from_utf8_lossy(line))),
        };
        Some((heard, end + 1))
    }
}

impl Publishing for Nats {
    fn introduction(&self) -> Vec<u8> {
        [CONNECT, PING].concat()
    }

    fn publication(&self, name: &str, event: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("PUB {name} {}\r\n", event.len()).as_bytes());
        out.extend_from_slice(event);
        out.extend_from_slice(b"\r\n");
    }
}

/// No `+OK` for each line, and no event back to whoever published it.
const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"protocol\":1}\r\n";
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// The payload that follows `MSG subject sid [reply-to] bytes`, and its length with the CR LF behind it.
fn message<'a>(line: &[u8], rest: &'a [u8]) -> Option<(Heard<'a>, usize)> {
    let digits = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let Some(length) = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok()) else {
        return Some((Heard::Broken(format!("the server said {}", String::from_utf8_lossy(line))), 0));
    };
    let whole = length.checked_add(2)?;
    rest.get(..whole).map(|payload| (Heard::Event(&payload[..length]), whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nats-server 2.9.10 sent it, the host aside.
    const INFO: &[u8] = b"INFO {\"server_id\":\"NAUYODFTQZVFOTGG43ADO2GYCQVIYIXZMHSHIXRMO7GC7DIVQMS4XSLL\",\
        \"version\":\"2.9.10\",\"proto\":1,\"go\":\"go1.19.8\",\"headers\":true,\"max_payload\":1048576,\"client_id\":4} \r\n";

    /// Everything in `bytes`, and how many of them are left.
    fn all(bytes: &[u8]) -> (Vec<Heard<'_>>, usize) {
        let (mut heard, mut rest) = (Vec::new(), bytes);
        while let Some((one, length)) = Nats.hear(rest) {
            heard.push(one);
            rest = &rest[length..];
        }
        (heard, rest.len())
    }

    #[test]
    fn a_session_with_nats_server_2_9_is_understood() {
        assert_eq!(all(INFO), (vec![Heard::Nothing], 0));
        assert_eq!(all(b"PONG\r\n"), (vec![Heard::Subscribed], 0));
        assert_eq!(all(b"MSG load.a 1 9\r\n{\"e\":\"1\"}\r\n"), (vec![Heard::Event(b"{\"e\":\"1\"}")], 0));
        assert_eq!(all(b"PING\r\n"), (vec![Heard::Answer(b"PONG\r\n".to_vec())], 0));
        assert!(matches!(Nats.hear(b"-ERR 'Slow Consumer'\r\n"), Some((Heard::Broken(_), _))));
    }

    #[test]
    fn what_one_frame_joins_comes_apart_and_what_it_cuts_waits_for_the_rest() {
        let joined = b"MSG a 1 3\r\none\r\nPING\r\nMSG a 1 reply 5\r\nt\r\nwo\r\n";
        let expected = vec![Heard::Event(b"one"), Heard::Answer(b"PONG\r\n".to_vec()), Heard::Event(b"t\r\nwo")];
        assert_eq!(all(joined), (expected.clone(), 0));
        for cut in 0..joined.len() {
            let (first, left) = all(&joined[..cut]);
            let (rest, none) = all(&joined[cut - left..]);
            assert_eq!(([first, rest].concat(), none), (expected.clone(), 0), "cut at byte {cut}");
        }
    }

    #[test]
    fn a_line_without_an_end_and_a_length_that_is_none_end_the_session() {
        assert!(matches!(Nats.hear(&vec![b'x'; LINE_BYTES_MAX]), Some((Heard::Broken(_), _))));
        assert!(matches!(Nats.hear(b"MSG a 1 x\r\n"), Some((Heard::Broken(_), _))));
    }

    #[test]
    fn a_subscription_ends_with_a_ping_whose_answer_proves_it() {
        let greeting = Nats.greeting("load-1").concat();
        assert!(greeting.starts_with(b"CONNECT {") && greeting.ends_with(b"\r\nSUB load-1 1\r\nPING\r\n"));
        let mut out = Vec::new();
        Nats.publication("load-1", b"{}", &mut out);
        assert_eq!(out, b"PUB load-1 2\r\n{}\r\n");
    }
}
