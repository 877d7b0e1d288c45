//! What a subscriber or publisher hears from Redis, found in a receive buffer without copying anything.

use super::{LINE_BYTES_MAX, integer, line_end};
use arrayvec::ArrayVec;
use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;
use std::ops::Range;

/// Elements of the longest push: `pmessage`, pattern, channel, payload.
const ELEMENTS_MAX: usize = 4;

/// One push or reply. Ranges count from the start of the slice it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// An event. Its payload stands directly behind the `\r\n$length\r\n` that announced it.
    Message {
        /// The channel it was published to.
        channel: Range<usize>,
        /// The publisher's bytes.
        payload: Range<usize>,
    },
    /// An event above the limit, of which only the announcement has been read.
    Oversized {
        /// The channel it was published to.
        channel: Range<usize>,
        /// How large it is.
        payload_bytes: usize,
    },
    /// A subscription is in place.
    Subscribed {
        /// The pattern or channel.
        name: Range<usize>,
        /// Subscriptions this connection has now.
        count: i64,
    },
    /// The answer to a ping.
    Pong,
    /// Any other simple string, `OK` for example.
    Simple(Range<usize>),
    /// A refusal, in Redis' words.
    Error(Range<usize>),
    /// A number: how many a publication reached.
    Integer(i64),
    /// Something well-formed that nobody asked for.
    Unasked,
}

/// What the start of a receive buffer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// One whole push.
    Whole {
        /// What it is.
        push: Push,
        /// How long it is; for [`Push::Oversized`] more than has been received.
        bytes: usize,
    },
    /// The beginning of one; trying again is of no use before the buffer holds so many bytes.
    Part {
        /// Bytes the buffer must hold.
        needed_bytes: usize,
    },
}

/// The other side does not speak RESP2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotResp;

/// The elements of a push that consists of bulk strings.
type Bulks = ArrayVec<Range<usize>, ELEMENTS_MAX>;

/// How far the walk over a buffer came.
enum Extent {
    /// Of so many bytes. With fewer bulk strings than elements, other kinds are among them.
    Whole {
        bytes: usize,
        elements: usize,
        bulks: Bulks,
    },
    Part(usize),
    Oversized {
        channel: Range<usize>,
        payload_bytes: usize,
        bytes: usize,
    },
}

/// Decodes the push or reply that `buffer` starts with.
///
/// A payload above `payload_bytes_max` is not waited for. Before anything is decoded, a walk over the announced
/// lengths finds out whether all of it is here: so a large event that arrives in many reads is decoded once, nested
/// or endless arrays are refused, and an announcement by itself allocates nothing. What the walk has found is all there
/// is to know of an event; anything else is decoded by the rules of the protocol.
pub fn decode(buffer: &[u8], payload_bytes_max: usize) -> Result<Heard, NotResp> {
    let bytes = match extent(buffer, payload_bytes_max)? {
        Extent::Part(needed_bytes) => return Ok(Heard::Part { needed_bytes }),
        Extent::Oversized { channel, payload_bytes, bytes } => {
            return Ok(Heard::Whole { push: Push::Oversized { channel, payload_bytes }, bytes });
        }
        Extent::Whole { bytes, elements, bulks } => {
            if bulks.len() == elements
                && let Some(push) = event(buffer, &bulks)
            {
                return Ok(Heard::Whole { push, bytes });
            }
            bytes
        }
    };
    let (frame, decoded_bytes) = decode_range(&buffer[..bytes]).map_err(|_| NotResp)?.ok_or(NotResp)?;
    if decoded_bytes != bytes {
        return Err(NotResp);
    }
    Ok(Heard::Whole { push: classify(buffer, &frame), bytes })
}

/// The event that these bulk strings are, if they are one.
fn event(buffer: &[u8], bulks: &[Range<usize>]) -> Option<Push> {
    match bulks {
        [kind, channel, payload] if &buffer[kind.clone()] == b"message" => Some((channel, payload)),
        [kind, _, channel, payload] if &buffer[kind.clone()] == b"pmessage" => Some((channel, payload)),
        _ => None,
    }
    .map(|(channel, payload)| Push::Message { channel: channel.clone(), payload: payload.clone() })
}

fn classify(buffer: &[u8], frame: &RangeFrame) -> Push {
    use RangeFrame::{Array, BulkString, Error, Integer, SimpleString};
    match frame {
        SimpleString(text) if &buffer[range(*text)] == b"PONG" => Push::Pong,
        SimpleString(text) => Push::Simple(range(*text)),
        Error(text) => Push::Error(range(*text)),
        Integer(number) => Push::Integer(*number),
        Array(elements) => match &elements[..] {
            [BulkString(kind), BulkString(name), Integer(count)]
                if matches!(&buffer[range(*kind)], b"psubscribe" | b"subscribe") =>
            {
                Push::Subscribed { name: range(*name), count: *count }
            }
            [BulkString(kind), BulkString(_)] if &buffer[range(*kind)] == b"pong" => Push::Pong,
            _ => Push::Unasked,
        },
        BulkString(_) | RangeFrame::Null => Push::Unasked,
    }
}

fn range((start, end): (usize, usize)) -> Range<usize> {
    start..end
}

/// Measures the push that `buffer` starts with by its announced lengths alone.
fn extent(buffer: &[u8], payload_bytes_max: usize) -> Result<Extent, NotResp> {
    let Some((count, mut at)) = header(buffer, 0)? else { return part_of_line(buffer, 0) };
    let elements = match buffer[0] {
        b'*' => {
            usize::try_from(count).ok().filter(|&elements| (1..=ELEMENTS_MAX).contains(&elements)).ok_or(NotResp)?
        }
        b'$' => return Err(NotResp),
        _ => return Ok(Extent::Whole { bytes: at, elements: 1, bulks: Bulks::new() }),
    };
    let mut bulks = Bulks::new();
    for element in 1..=elements {
        let Some((length, start)) = header(buffer, at)? else { return part_of_line(buffer, at) };
        match buffer[at] {
            b'*' => return Err(NotResp),
            b'$' if length >= 0 => {
                let length = usize::try_from(length).map_err(|_| NotResp)?;
                let end = start.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(NotResp)?;
                if end > buffer.len() {
                    let channel = bulks.pop().unwrap_or_default();
                    return unfinished(channel, length, end, element == elements, payload_bytes_max);
                }
                if &buffer[end - 2..end] != b"\r\n" {
                    return Err(NotResp);
                }
                bulks.push(start..end - 2);
                at = end;
            }
            _ => at = start,
        }
    }
    Ok(Extent::Whole { bytes: at, elements, bulks })
}

/// A bulk string that is not all here. Only the last one, the payload, may be passed over.
fn unfinished(
    channel: Range<usize>,
    length: usize,
    end: usize,
    is_last: bool,
    payload_bytes_max: usize,
) -> Result<Extent, NotResp> {
    if length <= payload_bytes_max.max(LINE_BYTES_MAX) {
        Ok(Extent::Part(end))
    } else if is_last {
        Ok(Extent::Oversized { channel, payload_bytes: length, bytes: end })
    } else {
        Err(NotResp)
    }
}

/// The number in the line at `at` (0 for text lines) and where the next line begins; `None` while the line is not whole.
fn header(buffer: &[u8], at: usize) -> Result<Option<(i64, usize)>, NotResp> {
    let Some(&kind) = buffer.get(at) else { return Ok(None) };
    if !matches!(kind, b'*' | b'$' | b':' | b'+' | b'-') {
        return Err(NotResp);
    }
    let Some(end) = line_end(buffer, at + 1) else { return Ok(None) };
    let number = match kind {
        // Refused as long as it was not whole, so also if it comes at once. A number of that length is none.
        b'+' | b'-' if end - at >= LINE_BYTES_MAX => return Err(NotResp),
        b'+' | b'-' => 0,
        b'$' => integer(&buffer[at + 1..end]).filter(|&length| length >= -1).ok_or(NotResp)?,
        _ => integer(&buffer[at + 1..end]).ok_or(NotResp)?,
    };
    Ok(Some((number, end + 2)))
}

fn part_of_line(buffer: &[u8], at: usize) -> Result<Extent, NotResp> {
    if buffer.len() - at > LINE_BYTES_MAX { Err(NotResp) } else { Ok(Extent::Part(buffer.len() + 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn whole(buffer: &[u8]) -> Result<Heard, NotResp> {
        decode(buffer, LIMIT)
    }

    #[test]
    fn pushes_are_told_apart() {
        let table: [(&[u8], Push); 11] = [
            (
                b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$2\r\nhi\r\n",
                Push::Message { channel: 29..30, payload: 36..38 },
            ),
            (b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n", Push::Message { channel: 21..22, payload: 28..28 }),
            (b"*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n", Push::Subscribed { name: 25..27, count: 1 }),
            (b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n", Push::Subscribed { name: 23..24, count: 2 }),
            (b"*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n", Push::Unasked),
            (b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", Push::Pong),
            (b"+PONG\r\n", Push::Pong),
            (b"+OK\r\n", Push::Simple(1..3)),
            (b"-NOAUTH Authentication required.\r\n", Push::Error(1..32)),
            (b":12\r\n", Push::Integer(12)),
            (b"*1\r\n$5\r\nother\r\n", Push::Unasked),
        ];
        for (bytes, push) in table {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(whole(bytes), Ok(Heard::Whole { push, bytes: bytes.len() }), "{text:?}");
            for cut in 0..bytes.len() {
                match whole(&bytes[..cut]) {
                    Ok(Heard::Part { needed_bytes }) => {
                        assert!((cut + 1..=bytes.len()).contains(&needed_bytes), "{text:?}");
                    }
                    other => panic!("{text:?} cut at {cut}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_not_resp_is_refused() {
        let table: [&[u8]; 12] = [
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*5\r\n",
            b"*x\r\n",
            b"*1\r\n*1\r\n",
            b"*1\r\n$-2\r\n",
            b"*1\r\n$1\r\nabc",
            b"*2\r\n$9223372036854775807\r\n",
            b":1x\r\n",
            b"$3\r\nabc\r\n",
        ];
        for bytes in table {
            assert_eq!(whole(bytes), Err(NotResp), "{:?}", String::from_utf8_lossy(bytes));
        }
        let mut endless = vec![b'a'; LINE_BYTES_MAX + 2];
        endless[0] = b'-';
        assert_eq!(whole(&endless), Err(NotResp));
    }

    #[test]
    fn a_line_is_too_long_whether_it_comes_at_once_or_in_pieces() {
        for (bytes, is_good) in [(LINE_BYTES_MAX - 1, true), (LINE_BYTES_MAX, false), (2 * LINE_BYTES_MAX, false)] {
            let line = [b"-", &vec![b'a'; bytes - 1][..], b"\r\n"].concat();
            assert_eq!(whole(&line).is_ok(), is_good, "{bytes} bytes at once");
            let mut last_cuts = line.len() - 3..line.len();
            assert_eq!(last_cuts.all(|cut| whole(&line[..cut]).is_ok()), is_good, "{bytes} bytes in pieces");
        }
    }

    #[test]
    fn a_large_event_is_tried_again_only_when_all_of_it_is_here() {
        let payload = "x".repeat(LIMIT);
        let event = format!("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n${LIMIT}\r\n{payload}\r\n").into_bytes();
        let (mut tries, mut here) = (0, 0);
        loop {
            tries += 1;
            match whole(&event[..here]).unwrap() {
                Heard::Part { needed_bytes } => here = needed_bytes,
                Heard::Whole { push: Push::Message { payload, .. }, bytes } => {
                    assert_eq!((payload.len(), bytes), (LIMIT, event.len()));
                    break;
                }
                other @ Heard::Whole { .. } => panic!("{other:?}"),
            }
        }
        assert!(tries < 60, "byte by byte only within lines: {tries}");
    }

    #[test]
    fn an_event_above_the_limit_is_known_by_its_announcement() {
        let announced = b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$536870912\r\n{";
        let push = Push::Oversized { channel: 29..30, payload_bytes: 512 << 20 };
        assert_eq!(whole(announced), Ok(Heard::Whole { push, bytes: announced.len() - 1 + (512 << 20) + 2 }));
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = fastrand::Rng::with_seed(3);
        let alphabet = b"*$:+-0123459\r\n\r\npmessageponga\xff";
        for _ in 0..100_000 {
            let garbage: Vec<u8> =
                (0..random.usize(0..60)).map(|_| alphabet[random.usize(0..alphabet.len())]).collect();
            if let Ok(Heard::Whole { push: Push::Message { channel, payload }, bytes }) = decode(&garbage, 20) {
                assert!(channel.end < payload.start && payload.end <= bytes && bytes <= garbage.len());
            }
        }
        let nested = b"*1\r\n".repeat(100_000);
        assert_eq!(whole(&nested), Err(NotResp));
    }
}
