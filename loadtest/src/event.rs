//! A workflow event that says for whom it is and which one in the row.

/// A `node_completed` event: its `run_id` carries the username and a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Who should get it. Letters, digits and dashes only: it stands in JSON as it is.
    pub username: &'a str,
    /// Counts up by one for each username, from 0.
    pub sequence: u64,
}

const HEAD: &str = r#"{"type":"node_completed","run_id":""#;
const TAIL: &str = r#"","node_id":"search","status":"completed","counter":1,"result_ref":"sha256:9f86d081884c7d65","timestamp":1700000000}"#;

impl<'a> Event<'a> {
    /// The sequence number that nothing comes behind.
    pub const END: u64 = u64::MAX;

    /// The event as its coordinator publishes it.
    pub fn json(&self) -> String {
        format!("{HEAD}{}:{:016x}{TAIL}", self.username, self.sequence)
    }

    /// Reads back what [`Event::json`] wrote; `None` for anything else, however similar.
    pub fn parse(json: &'a [u8]) -> Option<Self> {
        let middle = json.strip_prefix(HEAD.as_bytes())?.strip_suffix(TAIL.as_bytes())?;
        let (username, sequence) = std::str::from_utf8(middle).ok()?.rsplit_once(':')?;
        Some(Self { username, sequence: u64::from_str_radix(sequence, 16).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_back_as_it_was_written() {
        for (username, sequence) in [("alice", 0), ("user-4999", 1), ("b", u64::MAX)] {
            let event = Event { username, sequence };
            assert_eq!(Event::parse(event.json().as_bytes()), Some(event));
        }
    }

    #[test]
    fn an_event_that_lost_a_byte_is_no_event() {
        let json = Event { username: "alice", sequence: 7 }.json();
        let whole = json.as_bytes();
        for lost in (0..HEAD.len()).chain(json.len() - TAIL.len()..json.len()) {
            let damaged = [&whole[..lost], &whole[lost + 1..]].concat();
            assert_eq!(Event::parse(&damaged), None, "without byte {lost}");
        }
    }
}
