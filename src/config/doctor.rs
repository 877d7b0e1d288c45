//! What `fanout doctor` is asked for, beside the settings that it looks at.

use super::bytes::ByteSize;
use super::form::Form;
use super::refusal::Refusal;
use super::span::Span;
use super::url::Url;
use super::words::{option, switch, text};
use clap::{Arg, ArgMatches};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Longest wait behind a proxy.
const PATIENCE_MAX: Duration = Duration::from_secs(3600);

/// Longest measurement: the answer gets no better.
const MEASUREMENT_MAX: Duration = Duration::from_secs(60);

/// Events of one client in a second: more do not fit a core's time.
const RATE_MAX: f64 = 1e6;

/// An event that is sent in the measurement, in bytes; longer ones cost as many sends as they have parts.
const EVENT_BYTES: RangeInclusive<u64> = 1..=64 << 10;

/// What is to be examined, how it is told, and what counts.
#[derive(Clone, Debug, PartialEq)]
pub struct DoctorOrder {
    /// For whom it is written.
    pub form: Form,
    /// What makes the exit code 1.
    pub strictness: Strictness,
    /// The proxy that is to be tried.
    pub through: Option<Through>,
    /// What is to be measured.
    pub capacity: Option<Load>,
}

/// What makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Only what cannot work.
    Failures,
    /// What could be better, too.
    Warnings,
}

/// A proxy, and how long to wait behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// Where clients reach the server.
    pub url: Url,
    /// How long to stay connected in silence, up to an hour; zero is not at all.
    pub patience: Duration,
}

/// A measurement of this machine, and the load that it is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// How long it is measured: up to a minute, and more than nothing.
    pub time: Duration,
    /// Clients, at least one; `None` is as many as may connect.
    pub clients: Option<u32>,
    /// Events that each of them gets in a second: more than none.
    pub rate: f64,
    /// An event, in bytes: 1 to 65 536.
    pub event_bytes: usize,
}

/// What may be typed behind `fanout doctor` beside the settings.
pub(super) fn arguments() -> Vec<Arg> {
    let capacity = "Measures for 5s, or as long as it says, what sending costs on this machine, and what clients will";
    let capacity = option("capacity", "DURATION", capacity).num_args(0..=1).require_equals(true);
    vec![
        switch("json", "Prints one JSON object instead of lines"),
        switch("strict", "Exits with 1 for warnings, too"),
        option("through", "URL", "Connects to the server through the proxy at this http(s) or ws(s) URL"),
        option("patience", "DURATION", "How long --through stays connected in silence; 0 is not at all")
            .default_value("75s")
            .requires("through"),
        capacity.default_missing_value("5s"),
        option("clients", "N", "How many --capacity is asked about [default: --max-connections]").requires("capacity"),
        option("rate", "N", "Events that each of them gets in a second, such as 0.5")
            .default_value("1")
            .requires("capacity"),
        option("bytes", "BYTES", "Size of an event").default_value("256").requires("capacity"),
    ]
}

impl DoctorOrder {
    /// # Errors
    /// One sentence about the first mistake.
    pub(super) fn of(words: &ArgMatches) -> Result<Self, Refusal> {
        let strictness = if words.get_flag("strict") { Strictness::Warnings } else { Strictness::Failures };
        let through = text(words, "through").map(|url| Through::of(&url, words)).transpose()?;
        let capacity = text(words, "capacity").map(|time| Load::of(&time, words)).transpose()?;
        Ok(Self { form: Form::of(words), strictness, through, capacity })
    }
}

impl Through {
    fn of(url: &str, words: &ArgMatches) -> Result<Self, Refusal> {
        let typed = text(words, "patience").unwrap_or_default();
        let patience = Span::parse(&typed).map(|span| span.0).filter(|patience| *patience <= PATIENCE_MAX);
        let patience = patience.ok_or_else(|| refusal("patience", &typed, "a duration up to 1h, such as 75s"));
        Ok(Self { url: Url::typed("through", url)?, patience: patience? })
    }
}

impl Load {
    fn of(time: &str, words: &ArgMatches) -> Result<Self, Refusal> {
        let [rate, bytes] = ["rate", "bytes"].map(|name| text(words, name).unwrap_or_default());
        let is_short = |time: &Duration| !time.is_zero() && *time <= MEASUREMENT_MAX;
        let measured = Span::parse(time).map(|span| span.0).filter(is_short);
        let events = rate.parse().ok().filter(|rate| *rate > 0.0 && *rate <= RATE_MAX);
        let size = ByteSize::parse(&bytes).map(|size| size.0).filter(|bytes| EVENT_BYTES.contains(bytes));
        let size = size.and_then(|bytes| usize::try_from(bytes).ok());
        Ok(Self {
            time: measured.ok_or_else(|| refusal("capacity", time, "a duration up to 1m, such as 5s"))?,
            clients: text(words, "clients").as_deref().map(clients).transpose()?,
            rate: events.ok_or_else(|| refusal("rate", &rate, "a number above 0 up to 1000000, such as 0.5"))?,
            event_bytes: size.ok_or_else(|| refusal("bytes", &bytes, "a size from 1B to 64KiB"))?,
        })
    }
}

fn clients(text: &str) -> Result<u32, Refusal> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| refusal("clients", text, "a number from 1 to 4294967295"))
}

fn refusal(flag: &str, text: &str, allowed: &str) -> Refusal {
    Refusal(format!("--{flag} is `{}`; allowed: {allowed}", text.escape_debug()))
}
