//! `fanout listen`: prints events as they come.

mod connection;
mod ending;
mod message;

use super::clock;
use super::failure::Failure;
use super::harmless::harmless;
use super::output::{Output, note};
use super::stream::Way;
use crate::config::Form;
use crate::config::client::Endpoint;
use crate::config::wish::{Listen, Until};
use connection::{Connection, Report, Target};
use message::Event;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Reports of all connections that wait to be printed. Where nobody reads on, the connections stop reading, and the
/// server says so with 4001.
const REPORTS_MAX: usize = 16;

/// Between two looks at the time and at whoever reads.
const LOOK: Duration = Duration::from_millis(250);

/// For goodbyes at the end.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(1);

/// An event in a line of JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Username { at: String, username: String, event: &'a str },
    Channel { at: String, channel: &'a str, event: &'a RawValue },
}

/// Prints what comes until it is enough, or for ever.
///
/// # Errors
/// Where one of the connections cannot come back, or standard output takes no more.
pub(super) fn run(server: &Endpoint, order: &Listen) -> Result<(), Failure> {
    let way = Way::to(&server.url)?;
    let (reports, heard) = sync_channel(REPORTS_MAX);
    let mut stops: Vec<Sender<()>> = Vec::new();
    for target in Target::all(order) {
        let (stop, stopped) = channel();
        let (reports, way) = (reports.clone(), way.clone());
        let request = connection::request(server, &target, order.notices)?;
        let connection =
            Connection { way, request, target: Arc::new(target), notices: order.notices, reports, stopped };
        thread::spawn(move || connection.stay());
        stops.push(stop);
    }
    drop(reports);
    let outcome = print_all(&heard, order);
    // Whoever hears that nobody listens any more says goodbye to the server, and ends.
    drop(stops);
    let deadline = Instant::now() + GOODBYE_TIME_MAX;
    while heard.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
    outcome
}

fn print_all(heard: &Receiver<Report>, order: &Listen) -> Result<(), Failure> {
    let Until { count, time } = order.until;
    let (mut output, mut missing) = (Output::new(), count);
    let deadline = time.map(|time| Instant::now() + time);
    while missing != Some(0) {
        let left = deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            break;
        }
        match heard.recv_timeout(left.min(LOOK)) {
            Ok(Report::Event(target, event)) => {
                output.line(&line(&target, &event, order.form))?;
                missing = missing.map(|missing| missing - 1);
            }
            Ok(Report::Note(target, text)) => {
                note(&format!("{} {}: {}", clock::now_of_day(), target.name(), harmless(&text)));
            }
            Ok(Report::Over(failure)) => return Err(failure),
            Err(RecvTimeoutError::Timeout) => output.check_reader()?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

fn line(target: &Target, event: &Event, form: Form) -> Vec<u8> {
    let line = match (form, event) {
        (Form::Text, Event::Text(text)) => return text.as_bytes().to_vec(),
        (Form::Text, Event::Payload(_, payload)) => return payload.get().as_bytes().to_vec(),
        (Form::Json, Event::Text(text)) => Line::Username { at: clock::now(), username: target.name(), event: text },
        (Form::Json, Event::Payload(channel, payload)) => Line::Channel { at: clock::now(), channel, event: payload },
    };
    let mut json = serde_json::to_vec(&line).expect("texts and payloads are JSON");
    // Line feeds of a payload stand between its tokens, where any space would do.
    json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_printed_as_it_came_or_in_one_line_of_json() {
        let alice = Target::Username("al\"ice".to_owned());
        let text = Event::Text("two\nlines".into());
        assert_eq!(line(&alice, &text, Form::Text), b"two\nlines");
        let json = String::from_utf8(line(&alice, &text, Form::Json)).unwrap();
        assert!(
            json.starts_with("{\"at\":\"20")
                && json.ends_with("Z\",\"username\":\"al\\\"ice\",\"event\":\"two\\nlines\"}")
        );
        let payload = RawValue::from_string("{\n \"n\": 12345678901234567890123\r\n}".to_owned()).unwrap();
        let (channels, payload) = (Target::Channels(vec!["a".to_owned()]), Event::Payload("a".to_owned(), payload));
        assert_eq!(line(&channels, &payload, Form::Text), b"{\n \"n\": 12345678901234567890123\r\n}");
        let json = String::from_utf8(line(&channels, &payload, Form::Json)).unwrap();
        assert!(json.ends_with(",\"channel\":\"a\",\"event\":{  \"n\": 12345678901234567890123  }}"), "{json}");
    }
}
