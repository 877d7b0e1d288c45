//! `fanout trace`: what the server has recorded of one target's events, in sentences; and where nothing comes, why.

mod account;
mod line;
mod namesakes;
mod record;
mod silence;
mod sockets;

use super::clock;
use super::failure::{Cause, Failure};
use super::harmless::harmless;
use super::output::{Output, note};
use super::publish::counted;
use super::requests::{Requests, encoded};
use crate::config::Form;
use crate::config::client::Endpoint;
use crate::config::wish::{TraceWish, Whose};
use account::Account;
use line::Lines;
use namesakes::Namesakes;
use record::{Look, Record};
use serde_json::value::RawValue;
use silence::Silence;
use sockets::Sockets;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks: a person sees no delay, and a server that is looked at has as good as nothing to do.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// For how long a server that has answered before may be away, as it is while it restarts.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// Connections that are named at the beginning.
const NAMED_MAX: usize = 10;

/// One trace of one server.
struct Trace<'a> {
    server: &'a Endpoint,
    order: &'a TraceWish,
    requests: Requests<'a>,
    output: Output,
    lines: Lines,
    account: Account,
    silence: Silence,
    sockets: Sockets,
}

/// Prints what becomes of events until it is enough, or for ever.
///
/// # Errors
/// The server's refusal, or that it is gone for good.
pub(super) fn run(server: &Endpoint, order: &TraceWish) -> Result<(), Failure> {
    let (requests, output, now) = (Requests::new(server)?, Output::new(), Instant::now());
    let (lines, account, silence, sockets) =
        (Lines::default(), Account::default(), Silence::begin(now), Sockets::default());
    let mut trace = Trace { server, order, requests, output, lines, account, silence, sockets };
    let mut answered = None;
    let deadline = order.until.time.map(|time| now + time);
    loop {
        // What has become of the last event may be known a moment later.
        let is_enough = order.until.count.is_some_and(|count| trace.account.events >= count);
        let outcome = trace.look().and_then(|look| {
            let is_first = answered.replace(Instant::now()).is_none();
            trace.say(&look, is_first)
        });
        if let Err(failure) = outcome {
            trace.wait_for_return(failure, answered)?;
        }
        if is_enough || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(());
        }
        trace.output.check_reader()?;
        thread::sleep(LOOK_AGAIN);
    }
}

impl Trace<'_> {
    fn look(&self) -> Result<Look, Failure> {
        let target = match &self.order.whose {
            Whose::Username(name) => format!("username={}", encoded(name)),
            Whose::Channel(name) => format!("channel={}", encoded(name)),
            Whose::Connection(id) => format!("connection={}", encoded(id)),
        };
        self.requests.get(&format!("/admin/trace?{target}&cursor={}", self.account.cursor))
    }

    /// A server that restarts is waited for; one that refuses is not.
    fn wait_for_return(&mut self, failure: Failure, answered: Option<Instant>) -> Result<(), Failure> {
        if failure.cause != Cause::Unanswered || answered.is_none_or(|answered| answered.elapsed() > AWAY_MAX) {
            return Err(failure);
        }
        if self.account.lose() {
            self.remark(&failure.in_one_line())?;
        }
        Ok(())
    }

    /// Prints what a look has brought.
    fn say(&mut self, look: &Look, is_first: bool) -> Result<(), Failure> {
        let now = Instant::now();
        let (is_back, news) = (self.account.find_again(), self.account.take(look));
        if is_first {
            self.introduce(look)?;
        } else if is_back {
            self.remark("the server answers again: another one may have no memory of what was")?;
        }
        for raw in &look.records {
            self.tell(raw, is_first)?;
        }
        if look.skipped > 0 {
            self.remark(&format!("{} not recorded: too many come", counted(look.skipped, "event")))?;
        }
        // The introduction says it, too.
        if let Some(news) = news.filter(|_| !is_first) {
            self.remark(news)?;
        }
        if self.sockets.is_time(now) && !self.account.waiting.is_empty() {
            for sentence in self.sockets.ask(&self.requests, &self.order.whose, &self.account.waiting)? {
                self.remark(&sentence)?;
            }
        }
        if self.silence.is_time(now, self.account.last_event) {
            self.remark(&silence::sentence(&self.order.whose, look, &self.account))?;
            self.name_others(look)?;
        }
        Ok(())
    }

    fn tell(&mut self, raw: &RawValue, is_first: bool) -> Result<(), Failure> {
        let record: Record = serde_json::from_str(raw.get())
            .map_err(|error| Failure::new(format!("a record is not understood: {error}")))?;
        let is_new = self.account.note(&record, Instant::now());
        if self.order.form == Form::Json {
            return self.output.line(raw.get().as_bytes());
        }
        if is_first && record.what == "here" {
            // The introduction has named those who are here already.
            self.lines.meet(&record);
            return Ok(());
        }
        let beginning = if is_new { line::beginning(&record) } else { String::new() };
        self.output.coloured_line(&(self.lines.of(&record) + &beginning))
    }

    /// Whom it is about.
    fn introduce(&mut self, look: &Look) -> Result<(), Failure> {
        let whose = silence::name(&self.order.whose);
        let url = &self.server.url;
        let follow = if look.following == 1 { "follows" } else { "follow" };
        self.remark(&format!("{url}: {} {follow} {whose}", counted(look.following, "connection")))?;
        let here = look.records.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok());
        for record in here.filter(|record: &Record| record.what == "here").take(NAMED_MAX) {
            self.remark(&format!("  {}", line::seated(&record)))?;
        }
        if !look.broker.connected {
            self.remark("the broker is not connected: what is published now does not arrive")?;
        }
        if look.following == 0 { self.name_others(look) } else { Ok(()) }
    }

    /// Those who are nearly meant, where nobody is.
    fn name_others(&mut self, look: &Look) -> Result<(), Failure> {
        if look.following > 0 {
            return Ok(());
        }
        let found = Namesakes::find(&self.requests, self.server, &self.order.whose)?;
        found.sentences().iter().try_for_each(|sentence| self.remark(sentence))
    }

    /// Says something that is no record. Beside JSON it goes to standard error.
    fn remark(&mut self, sentence: &str) -> Result<(), Failure> {
        let sentence = harmless(sentence);
        if self.order.form == Form::Json {
            note(&format!("{} {sentence}", clock::now_of_day()));
            return Ok(());
        }
        self.output.coloured_line(&line::remark(&sentence))
    }
}
