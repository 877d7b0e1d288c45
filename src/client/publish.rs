//! `fanout publish`: one event, or those of standard input.

use super::failure::Failure;
use super::output::{Output, note};
use super::requests::{Requests, encoded};
use crate::config::client::Endpoint;
use crate::config::wish::{Publish, Talk};
use serde::Deserialize;
use std::io::{self, BufRead, Read};

/// Longest line: more than the longest event of any server (`--max-event`, 512 MiB), so that it is the server who refuses.
const LINE_BYTES_MAX: u64 = (512 << 20) + 1;

/// What the server answers.
#[derive(Deserialize)]
struct Receipt {
    receivers: u64,
}

/// Publishes what was asked for.
///
/// # Errors
/// The server's refusal. What follows a refused line is not published.
pub(super) fn run(server: &Endpoint, publish: &Publish) -> Result<(), Failure> {
    let requests = Requests::new(server)?;
    let path = format!("/publish/{}", encoded(&publish.username));
    let said = match &publish.event {
        Some(event) => one(&requests, &path, event)?,
        None => lines(&requests, &path, io::stdin().lock())?,
    };
    match publish.talk {
        Talk::Receipt => Output::new().line(said.as_bytes()),
        Talk::Silence => Ok(()),
    }
}

fn one(requests: &Requests<'_>, path: &str, event: &str) -> Result<String, Failure> {
    let receipt: Receipt = requests.post(path, event.as_bytes())?;
    if receipt.receivers == 0 {
        note("nobody was there to receive it: fanout trace says where events end");
    }
    Ok(counted(receipt.receivers, "receiver"))
}

/// Publishes line by line, each as soon as it is whole; its line feed is no part of it.
fn lines(requests: &Requests<'_>, path: &str, mut input: impl BufRead) -> Result<String, Failure> {
    let (mut events, mut receivers, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        read.map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
        match line.pop() {
            None => break,
            Some(b'\n') => {}
            // The last line may end without one.
            Some(last) => line.push(last),
        }
        let receipt: Result<Receipt, Failure> = requests.post(path, &line);
        receivers += receipt.map_err(|failure| at_line(failure, events))?.receivers;
        events += 1;
    }
    Ok(format!("{}, {}", counted(events, "event"), counted(receivers, "receiver")))
}

fn at_line(failure: Failure, published: u64) -> Failure {
    let (line, before) = (published + 1, counted(published, "event"));
    Failure { sentence: format!("line {line}: {} ({before} before it)", failure.sentence), ..failure }
}

/// `1 event`, `2 events`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
