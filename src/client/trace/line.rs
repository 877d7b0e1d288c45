//! A record as a line for people.

use super::record::Record;
use crate::client::clock;
use crate::client::harmless;
use crate::client::publish::counted;
use anstyle::{AnsiColor, Style};
use std::collections::VecDeque;
use std::fmt::Display;

/// Connections whose addresses are remembered.
const ADDRESSES_MAX: usize = 1024;

/// Columns of `what` and of where.
const WHAT_COLUMNS: usize = 9;
const WHERE_COLUMNS: usize = 30;

/// Lines with colours, and where connections come from, which not every record says.
#[derive(Default)]
pub(super) struct Lines {
    addresses: VecDeque<(String, String)>,
}

impl Lines {
    /// Remembers where a connection comes from.
    pub(super) fn meet(&mut self, record: &Record) {
        let Record { connection: Some(connection), address: Some(address), .. } = record else { return };
        self.addresses.truncate(ADDRESSES_MAX - 1);
        self.addresses.push_front((connection.clone(), address.clone()));
    }

    /// The line of a record: time, event, what, where, how long it took, and what that means.
    pub(super) fn of(&mut self, record: &Record) -> String {
        self.meet(record);
        let (meaning, style) = meaning(record);
        let event = record.event.as_deref().unwrap_or("-");
        let place = self.place(record);
        let took = record.took_us.map(span).unwrap_or_default();
        let time = painted(clock::of_day(record.at_us), Style::new().dimmed());
        let what = painted(format!("{:WHAT_COLUMNS$}", harmless(&record.what)), style);
        format!("{time}  {event:8}  {what}  {place:WHERE_COLUMNS$}  {took:>9}  {meaning}")
    }

    /// On which node, or for which connection from which address.
    fn place(&self, record: &Record) -> String {
        match (&record.connection, record.node.as_u64()) {
            (Some(connection), _) => {
                let known = self.addresses.iter().find(|(known, _)| known == connection);
                let address = known.map(|(_, address)| format!(" {}", harmless(address))).unwrap_or_default();
                format!("{}{address}", harmless(connection))
            }
            (None, Some(shard)) => format!("shard {shard}"),
            (None, None) => harmless(record.node.as_str().unwrap_or_default()),
        }
    }
}

/// How an event begins, for the end of its first line.
pub(super) fn beginning(record: &Record) -> String {
    let Some(preview) = &record.preview else { return String::new() };
    let bytes = record.bytes.unwrap_or(0);
    let rest = if bytes > preview.len() as u64 { "…" } else { "" };
    format!("  {}{rest} ({})", harmless(preview), counted(bytes, "byte"))
}

/// The line of a remark that is no record.
pub(super) fn remark(sentence: &str) -> String {
    painted(format!("{}  {sentence}", clock::now_of_day()), AnsiColor::Cyan.on_default())
}

fn painted(text: impl Display, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// Who sits there: the id, the address, for how long.
pub(super) fn seated(record: &Record) -> String {
    let [id, address] = [&record.connection, &record.address].map(|text| text.as_deref().unwrap_or("?"));
    format!("{id} from {address}, for {} s", record.age_ms.unwrap_or(0) / 1000)
}

/// What a record means, and its colour.
fn meaning(record: &Record) -> (String, Style) {
    let (good, late) = (AnsiColor::Green.on_default(), AnsiColor::Yellow.on_default());
    let (bad, plain) = (AnsiColor::Red.on_default(), Style::new());
    let followers = record.followers.unwrap_or(0);
    let reason = || reason(record.reason.as_deref().unwrap_or_default());
    match record.what.as_str() {
        "received" if followers == 0 => ("it ends here: nobody on this server follows it".to_owned(), bad),
        "received" => (format!("for {}", counted(followers, "connection")), plain),
        "matched" => (format!("for {} here", counted(followers, "connection")), plain),
        "written" => ("the kernel has it".to_owned(), good),
        "waits" => {
            let (frames, bytes) = (record.queued_frames.unwrap_or(0), record.queued_bytes.unwrap_or(0));
            let bytes = counted(bytes, "byte");
            (format!("its socket takes no more: {}, {bytes} wait", counted(frames, "frame")), late)
        }
        "caught_up" => ("everything that waited is in the kernel".to_owned(), good),
        "missed" => {
            let frames = counted(record.frames.unwrap_or(0), "event");
            (format!("{frames} dropped for it by --slow-policy: it reads too slowly"), bad)
        }
        "dropped" => (format!("it ends here: {}", reason()), bad),
        "closed" => (closed(record.code.as_deref().unwrap_or_default()), bad),
        "own" => ("it has published this itself, and does not get it".to_owned(), plain),
        "gap" => ("the broker was away: nobody knows what was missed".to_owned(), bad),
        "here" => (format!("it follows, since {} s", record.age_ms.unwrap_or(0) / 1000), good),
        "left" => ("it follows no more".to_owned(), late),
        _ => (record.reason.as_deref().map(harmless).unwrap_or_default(), plain),
    }
}

/// Why an event cannot be delivered, in words.
fn reason(label: &str) -> String {
    match label {
        "not_utf8" => "it is not UTF-8, and events are text: mend the publisher".to_owned(),
        "event_too_big" => "it is longer than --max-event".to_owned(),
        "not_json" => "it is not JSON, and a channel's messages are: mend the publisher".to_owned(),
        "bad_envelope" => "it has a \"v\" and is no envelope of a channel: mend the publisher".to_owned(),
        label => harmless(label),
    }
}

/// Why a connection has ended, in words.
fn closed(code: &str) -> String {
    let words = match code {
        "1000" | "1001" | "1005" => "the client has left",
        "1006" => "the client vanished without a goodbye",
        "1008" => "no answer to pings, or too many messages",
        "1012" => "the server restarts",
        "4001" => "it reads too slowly",
        "4002" => "an administrator disconnected it",
        "4003" => "its token has expired",
        "1002" | "1007" | "1009" => "the client broke the rules of the protocol",
        _ => "ended",
    };
    format!("{}: {words}", harmless(code))
}

/// Microseconds as people read them.
fn span(micros: u64) -> String {
    match micros {
        0..1_000 => format!("+{micros} µs"),
        1_000..1_000_000 => format!("+{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("+{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;

    fn record(json: &str) -> Record {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_event_s_way_is_told_line_by_line() {
        let mut lines = Lines::default();
        lines.meet(&record(r#"{"what":"here","connection":"0-7","address":"[::1]:5"}"#));
        let received = r#"{"at_us":1000000,"node":"broker","what":"received","event":"0000002a","bytes":200,
            "preview":"a\u001b[2J","took_us":0,"followers":1}"#;
        let line = strip_str(&(lines.of(&record(received)) + &beginning(&record(received)))).to_string();
        assert!(line.starts_with("00:00:01.000Z  0000002a  received   broker  "), "{line}");
        assert!(line.ends_with("+0 µs  for 1 connection  a\\u{1b}[2J… (200 bytes)"), "{line}");
        let written = r#"{"at_us":1000999,"node":0,"what":"written","event":"0000002a","bytes":200,
            "preview":"a\u001b[2J","took_us":1250,"connection":"0-7"}"#;
        let line = strip_str(&lines.of(&record(written))).to_string();
        assert!(line.contains("written    0-7 [::1]:5  ") && line.ends_with("+1.2 ms  the kernel has it"), "{line}");
    }

    #[test]
    fn every_end_is_named() {
        let mut lines = Lines::default();
        for (json, expected) in [
            (r#"{"what":"received","followers":0}"#, "nobody on this server follows it"),
            (r#"{"what":"dropped","reason":"not_utf8"}"#, "not UTF-8"),
            (r#"{"what":"dropped","reason":"brand_new"}"#, "brand_new"),
            (r#"{"what":"closed","code":"4001"}"#, "4001: it reads too slowly"),
            (r#"{"what":"closed","code":"1006"}"#, "vanished"),
            (r#"{"what":"missed","frames":3}"#, "3 events dropped"),
            (r#"{"what":"gap"}"#, "nobody knows what was missed"),
            (r#"{"what":"waits","queued_frames":2,"queued_bytes":1}"#, "2 frames, 1 byte wait"),
            (r#"{"what":"of_tomorrow","unheard":[1]}"#, "of_tomorrow"),
        ] {
            let line = lines.of(&record(json));
            assert!(line.contains(expected), "{line}");
        }
        assert!(lines.of(&record(r#"{"what":"gap"}"#)).contains("\x1b[31mgap"), "bad news are red");
    }
}
