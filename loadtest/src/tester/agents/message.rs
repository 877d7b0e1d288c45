//! What conductor and agents say: one line of JSON each, over TCP.

use crate::tester::outcome::{Outcome, Sample};
use crate::tester::plan::Plan;
use base64::prelude::{BASE64_STANDARD, Engine};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;

/// The longest line: outcomes of days and their histograms are far below it, in bytes.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Message {
    /// An agent says first which program it is.
    Hello(String),
    /// A conductor wants this done.
    Run(Box<Plan>),
    /// So many clients of an agent are connected.
    Connected(u64),
    /// All clients of an agent are in or refused.
    Seated,
    /// Everybody's are: publish.
    Go,
    /// An agent's last second.
    Second(Box<Sample>),
    /// What an agent found out.
    Done(Box<Share>),
    /// Why an agent could not begin.
    Refusal(String),
    /// A conductor wants the end, with what was measured so far.
    Interrupt,
}

/// One agent's part of an outcome.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Share {
    outcome: Outcome,
    /// Histograms of nanoseconds, V2, base64.
    latency: String,
    connecting: String,
}

/// Which program this is: two that differ may count differently.
pub(super) fn program() -> String {
    format!("fanout-loadtest {}", env!("CARGO_PKG_VERSION"))
}

impl Message {
    /// Sends this line.
    pub(super) fn send(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        stream.write_all(&line)
    }

    /// The next line; `None` where there is none any more.
    pub(super) fn receive(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = Vec::new();
        reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_slice(&line)?)) }
    }
}

impl Share {
    pub(super) fn of(outcome: Outcome) -> io::Result<Self> {
        let [latency, connecting] = [&outcome.histogram, &outcome.connecting].map(|it| it.as_ref().map(encoded));
        let [latency, connecting] = [latency, connecting].map(|text| text.unwrap_or_else(|| Ok(String::new())));
        Ok(Self { latency: latency?, connecting: connecting?, outcome })
    }

    pub(super) fn outcome(self) -> io::Result<Outcome> {
        let Self { outcome, latency, connecting } = self;
        Ok(Outcome { histogram: decoded(&latency)?, connecting: decoded(&connecting)?, ..outcome })
    }
}

fn encoded(histogram: &Histogram<u64>) -> io::Result<String> {
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).map_err(|error| io::Error::other(format!("{error:?}")))?;
    Ok(BASE64_STANDARD.encode(bytes))
}

fn decoded(text: &str) -> io::Result<Option<Histogram<u64>>> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(io::Error::other)?;
    let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
    histogram.map(Some).map_err(|error| io::Error::other(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::board::histogram;

    #[test]
    fn an_outcome_comes_over_with_every_latency() {
        let mut latency = histogram();
        for value in [5, 1_000, 77_777_777, 77_777_777] {
            latency.record(value).unwrap();
        }
        let outcome = Outcome { lost: 3, histogram: Some(latency.clone()), ..Outcome::default() };
        let line = serde_json::to_string(&Message::Done(Box::new(Share::of(outcome).unwrap()))).unwrap();
        let received = Message::receive(&mut format!("{line}\n").as_bytes()).unwrap();
        let Some(Message::Done(share)) = received else { panic!("{line}") };
        let outcome = share.outcome().unwrap();
        assert_eq!((outcome.lost, outcome.histogram, outcome.connecting), (3, Some(latency), None));
        assert!(Message::receive(&mut &b""[..]).unwrap().is_none());
        assert!(Message::receive(&mut &b"GET / HTTP/1.1\n"[..]).is_err());
    }
}
