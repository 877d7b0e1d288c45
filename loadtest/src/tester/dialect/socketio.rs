//! Socket.IO 5 over Engine.IO 4, on WebSocket alone (socket.io/docs/v4/socket-io-protocol, …/engine-io-protocol).
//!
//! The first digit of a message is Engine.IO's (0 open, 1 close, 2 ping, 3 pong, 4 message, 6 noop), the second
//! Socket.IO's (0 connect, 1 disconnect, 2 event, 4 connect error).

use super::{Destination, Dialect, Heard, Publishing};

/// What stands before an event of `loadtest/peers/socketio.mjs`, and after it.
const HEAD: &[u8] = br#"42["e","#;
const TAIL: &[u8] = b"]";

/// One room for each username; whoever connects without one may publish.
pub(super) struct SocketIo;

impl Dialect for SocketIo {
    fn name(&self) -> &'static str {
        "socketio"
    }

    fn url(&self) -> &'static str {
        "ws://127.0.0.1:3000/socket.io/?EIO=4&transport=websocket&username={user}"
    }

    fn publish_to(&self) -> &'static str {
        "{user}"
    }

    fn publish_at(&self) -> Destination<'static> {
        Destination::WebSocket("ws://127.0.0.1:3000/socket.io/?EIO=4&transport=websocket")
    }

    fn publishing(&self) -> Option<&dyn Publishing> {
        Some(self)
    }

    fn is_bare(&self) -> bool {
        false
    }

    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)> {
        if let Some(event) = bytes.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(TAIL)) {
            return Some((Heard::Event(event), bytes.len()));
        }
        let heard = match bytes {
            [b'0', ..] => Heard::Answer(b"40".to_vec()),
            [b'2', ..] => Heard::Answer([b"3", &bytes[1..]].concat()),
            [b'4', b'0', ..] => Heard::Subscribed,
            [b'6'] => Heard::Nothing,
            [b'1'] | [b'4', b'1' | b'4', ..] => {
                Heard::Broken(format!("the server ended the session: {}", String::from_utf8_lossy(bytes)))
            }
            // Some other event: nobody asked for it, and it is counted as such.
            _ => Heard::Event(bytes),
        };
        Some((heard, bytes.len()))
    }
}

impl Publishing for SocketIo {
    fn publication(&self, name: &str, event: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(br#"42["publish","#);
        out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
        out.push(b',');
        out.extend_from_slice(event);
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8]) -> Heard<'_> {
        let (heard, length) = SocketIo.hear(bytes).expect("every message is whole");
        assert_eq!(length, bytes.len());
        heard
    }

    #[test]
    fn a_session_with_socket_io_4_8_is_understood() {
        let open = br#"0{"sid":"zT97w38vjTqUIkBJAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        assert_eq!(heard(open), Heard::Answer(b"40".to_vec()));
        assert_eq!(heard(br#"40{"sid":"ukJODb5Bcccptiw9AAAA"}"#), Heard::Subscribed);
        assert_eq!(heard(br#"42["e",{"e":"1"}]"#), Heard::Event(br#"{"e":"1"}"#));
        assert_eq!(heard(b"2"), Heard::Answer(b"3".to_vec()));
    }

    #[test]
    fn what_is_no_event_of_ours_is_handed_on_as_it_is_and_a_goodbye_ends_the_session() {
        assert_eq!(heard(br#"42["other",1]"#), Heard::Event(br#"42["other",1]"#));
        assert_eq!(heard(b""), Heard::Event(b""));
        for goodbye in [&b"1"[..], b"41", br#"44{"message":"not authorized"}"#] {
            assert!(matches!(heard(goodbye), Heard::Broken(_)), "{goodbye:?}");
        }
    }

    #[test]
    fn a_publication_is_the_event_publish_with_two_arguments() {
        let mut out = Vec::new();
        SocketIo.publication("load-1", br#"{"e":"1"}"#, &mut out);
        assert_eq!(out, br#"42["publish","load-1",{"e":"1"}]"#);
    }
}
