//! MQTT 3.1.1 with quality of service 0: packets of a type, a length and a body (OASIS MQTT 3.1.1 §2).
//!
//! mosquitto puts each packet into a binary frame of its own; the standard allows any other cut (§6), so packets are
//! found in the stream of bytes.

use super::{Destination, Dialect, Heard, Publishing};

/// One topic for each channel.
pub(super) struct Mqtt;

impl Dialect for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn url(&self) -> &'static str {
        "ws://127.0.0.1:9001/mqtt"
    }

    fn publish_to(&self) -> &'static str {
        "{channel}"
    }

    fn publish_at(&self) -> Destination<'static> {
        Destination::Tcp("127.0.0.1:1883")
    }

    fn publishing(&self) -> Option<&dyn Publishing> {
        Some(self)
    }

    fn subprotocol(&self) -> Option<&'static str> {
        Some("mqtt")
    }

    fn greeting(&self, topic: &str) -> Vec<Vec<u8>> {
        // §3.8: packet identifier 1, the topic, quality of service 0.
        let body = [&[0, 1], text(topic).as_slice(), &[0]].concat();
        vec![packet(CONNECT, CONNECT_BODY), packet(SUBSCRIBE, &body)]
    }

    fn speaks_text(&self) -> bool {
        false
    }

    fn is_bare(&self) -> bool {
        false
    }

    fn hear<'a>(&self, bytes: &'a [u8]) -> Option<(Heard<'a>, usize)> {
        let &[first, ref rest @ ..] = bytes else { return None };
        let (length, digits) = match read_length(rest) {
            Length::Whole(length, digits) => (length, digits),
            Length::Unfinished => return None,
            Length::TooLong => return Some((Heard::Broken("a packet length of five bytes".to_owned()), 0)),
        };
        let body = rest.get(digits..digits + length)?;
        Some((what_is(first, body), 1 + digits + length))
    }
}

impl Publishing for Mqtt {
    fn introduction(&self) -> Vec<u8> {
        // The answer to the ping says that the connection was accepted: packets are answered in their order.
        [packet(CONNECT, CONNECT_BODY), packet(PINGREQ, &[])].concat()
    }

    fn publication(&self, name: &str, event: &[u8], out: &mut Vec<u8>) {
        out.push(PUBLISH);
        write_length(2 + name.len() + event.len(), out);
        out.extend_from_slice(&text(name));
        out.extend_from_slice(event);
    }
}

// First bytes: the type in the upper half, flags in the lower (§2.2).
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGREQ: u8 = 0xc0;
const PINGRESP: u8 = 0xd0;

/// §3.1: version 4, a clean session, no keep-alive, a client identifier of the server's choice.
const CONNECT_BODY: &[u8] = b"\0\x04MQTT\x04\x02\0\0\0\0";

fn what_is(first: u8, body: &[u8]) -> Heard<'_> {
    match (first, body) {
        (PUBLISH, [high, low, rest @ ..]) => match rest.get(usize::from(u16::from_be_bytes([*high, *low]))..) {
            Some(event) => Heard::Event(event),
            None => Heard::Broken("a topic longer than its packet".to_owned()),
        },
        (CONNACK, [_, 0]) => Heard::Nothing,
        (CONNACK, [_, code]) => Heard::Broken(format!("the server refused the connection with code {code}")),
        (SUBACK, [_, _, 0..=2]) | (PINGRESP, []) => Heard::Subscribed,
        (SUBACK, _) => Heard::Broken("the server refused the subscription".to_owned()),
        _ => Heard::Broken(format!("a packet that begins with {first:#04x} and holds {} bytes", body.len())),
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    write_length(body.len(), &mut out);
    out.extend_from_slice(body);
    out
}

/// A text as MQTT writes it: two bytes of length, then UTF-8 (§1.5.3).
fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("topic names are short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// Seven bits in each byte, the lowest first, the top bit set where more follow (§2.2.3).
fn write_length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let digit = length.to_le_bytes()[0] & 0x7f;
        length >>= 7;
        out.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            return;
        }
    }
}

enum Length {
    /// The length, and how many bytes it was written in.
    Whole(usize, usize),
    Unfinished,
    TooLong,
}

fn read_length(bytes: &[u8]) -> Length {
    let mut length = 0;
    for (place, &digit) in bytes.iter().take(4).enumerate() {
        length |= usize::from(digit & 0x7f) << (7 * place);
        if digit < 0x80 {
            return Length::Whole(length, place + 1);
        }
    }
    if bytes.len() < 4 { Length::Unfinished } else { Length::TooLong }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything in `bytes`, and how many of them are left.
    fn all(bytes: &[u8]) -> (Vec<Heard<'_>>, usize) {
        let (mut heard, mut rest) = (Vec::new(), bytes);
        while let Some((one, length)) = Mqtt.hear(rest) {
            heard.push(one);
            rest = &rest[length..];
        }
        (heard, rest.len())
    }

    #[test]
    fn a_session_with_mosquitto_2_0_is_understood() {
        assert_eq!(all(b"\x20\x02\x00\x00"), (vec![Heard::Nothing], 0));
        assert_eq!(all(b"\x90\x03\x00\x01\x00"), (vec![Heard::Subscribed], 0));
        assert_eq!(all(b"\x30\x11\x00\x06load-1{\"e\":\"1\"}"), (vec![Heard::Event(b"{\"e\":\"1\"}")], 0));
        assert_eq!(all(b"\xd0\x00"), (vec![Heard::Subscribed], 0));
    }

    #[test]
    fn refusals_end_the_session() {
        for refusal in [&b"\x20\x02\x00\x05"[..], b"\x90\x03\x00\x01\x80", b"\x30\x02\x00\x06", b"\x10\x00"] {
            assert!(matches!(Mqtt.hear(refusal), Some((Heard::Broken(_), _))), "{refusal:02x?}");
        }
        assert!(matches!(Mqtt.hear(b"\x30\x80\x80\x80\x80\x01"), Some((Heard::Broken(_), _))));
    }

    #[test]
    fn what_one_frame_joins_comes_apart_and_what_it_cuts_waits_for_the_rest() {
        let mut joined = b"\x20\x02\x00\x00\x90\x03\x00\x01\x00".to_vec();
        let long = vec![b'.'; 200];
        Mqtt.publication("load-1", b"one", &mut joined);
        Mqtt.publication("load-1", &long, &mut joined);
        let expected = vec![Heard::Nothing, Heard::Subscribed, Heard::Event(b"one"), Heard::Event(&long)];
        assert_eq!(all(&joined), (expected.clone(), 0));
        for cut in 0..joined.len() {
            let (first, left) = all(&joined[..cut]);
            let (rest, none) = all(&joined[cut - left..]);
            assert_eq!(([first, rest].concat(), none), (expected.clone(), 0), "cut at byte {cut}");
        }
    }

    #[test]
    fn lengths_are_written_as_the_standard_has_them() {
        // OASIS MQTT 3.1.1 table 2.4.
        for (length, bytes) in [
            (0, &b"\x00"[..]),
            (127, b"\x7f"),
            (128, b"\x80\x01"),
            (16_383, b"\xff\x7f"),
            (16_384, b"\x80\x80\x01"),
            (2_097_152, b"\x80\x80\x80\x01"),
        ] {
            let mut out = Vec::new();
            write_length(length, &mut out);
            assert_eq!(out, bytes);
            assert!(
                matches!(read_length(&out), Length::Whole(read, digits) if (read, digits) == (length, bytes.len()))
            );
        }
    }

    #[test]
    fn a_client_connects_and_subscribes_as_mosquitto_took_it() {
        let expected = [&b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"[..], b"\x82\x0b\x00\x01\x00\x06load-1\x00"];
        assert_eq!(Mqtt.greeting("load-1"), expected);
        let mut out = Vec::new();
        Mqtt.publication("load-1", &[b'.'; 256], &mut out);
        assert_eq!(out[..11], *b"\x30\x88\x02\x00\x06load-1");
    }
}
