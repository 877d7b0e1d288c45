//! One run from beginning to end: connect, publish, receive, drain, judge.

mod phase;
mod play;
mod record;
mod session;
mod stage;

pub(crate) use phase::Phase;
pub use play::Play;
pub(crate) use record::percentiles;
pub(crate) use stage::Stage;

use super::board::Board;
use super::clock::Clock;
use super::counters::Counters;
use super::course::Unrest;
use super::dialect;
use super::form::Form;
use super::handshake::Door;
use super::ledger::Standing;
use super::outcome::Outcome;
use super::pace::Pace;
use super::plan::Plan;
use super::progress::{Progress, Quiet};
use super::seat::Seat;
use super::seating::Seating;
use super::target::Target;
use super::verdict;
use super::watch::Reading;
use super::worker::{Left, Orders, Worker};
use session::Session;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Instant;
use std::{fmt, io};

/// Why there was no run: a sentence for people. The exit code is 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Refusal {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

/// What a run meets in the program around it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Who is told how it goes.
    pub progress: &'a dyn Progress,
    /// Raised by whoever wants it to end early, with a report of what was measured so far.
    pub interrupted: &'a AtomicBool,
    /// The moment that due times in events count from.
    pub epoch: Instant,
}

impl Surroundings<'_> {
    /// Nobody watches and nobody interrupts; time counts from now.
    pub fn quiet() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self { progress: &Quiet, interrupted: &NEVER, epoch: Instant::now() }
    }
}

/// Ends the threads of a run, however it ends.
struct OverAtLast<'a>(&'a Board);

impl Drop for OverAtLast<'_> {
    fn drop(&mut self) {
        self.0.is_silent.store(true, SeqCst);
        self.0.is_over.store(true, SeqCst);
    }
}

/// A receiving thread.
type Receiver<'scope> = ScopedJoinHandle<'scope, io::Result<Vec<Left>>>;

/// Does what the plan says, once, and judges it.
///
/// # Errors
/// One sentence, where the plan does not fit or nobody could connect. Whatever goes wrong later is in the outcome.
pub fn run(
    plan: &Plan,
    Play { reads_counters, perform, conclude }: Play,
    surroundings: &Surroundings<'_>,
) -> Result<Outcome, Refusal> {
    plan.check()?;
    let run = plan.course.run.unwrap_or_else(|| fastrand::u16(..));
    let board = Board::new(Clock::since(surroundings.epoch), plan.threads, plan.users, plan.window());
    let board = board.map_err(|error| Refusal(format!("this machine gives no event descriptor: {error}")))?;
    let before = plan.server_pid.and_then(|pid| Reading::whole(pid).ok());
    let counters = if reads_counters { Counters::read(&plan.url) } else { None };
    let outcome = thread::scope(|scope| {
        let end = OverAtLast(&board);
        let receivers = receive(scope, plan, &board, run)?;
        let mut session = Session::new(plan, surroundings, &board, before);
        session.counters_before = counters;
        session.connect(&receivers)?;
        let thread = session.begin_publishing(scope, run)?;
        perform(&mut Stage { session: &mut session, publisher: Some(&thread) });
        let published = session.end_publishing(thread);
        conclude(&mut Stage { session: &mut session, publisher: None }, &published);
        session.end();
        drop(end);
        let left = receivers.into_iter().map(|receiver| joined(receiver.join()).map_err(|error| error.to_string()));
        let left: Vec<Left> = left.collect::<Result<Vec<_>, String>>()?.into_iter().flatten().collect();
        Ok(session.outcome(&published, &left))
    });
    surroundings.progress.end();
    let (mut outcome, signs) = outcome.map_err(|reason: String| Refusal(reason))?;
    verdict::judge(plan, &mut outcome, &signs);
    Ok(outcome)
}

/// Starts the receiving threads.
fn receive<'scope>(
    scope: &'scope Scope<'scope, '_>,
    plan: &Plan,
    board: &'scope Board,
    run: u16,
) -> Result<Vec<Receiver<'scope>>, String> {
    let target = Target::parse("ws://", &plan.url)?;
    let dialect = dialect::find(&plan.protocol).ok_or_else(|| format!("no protocol {}", plan.protocol))?;
    let door = Door::new(target, plan.source.clone(), dialect.subprotocol());
    let seating = Seating { clients: plan.clients, topics: plan.users, threads: plan.threads };
    let ramp = (plan.course.ramp > 0.0).then(|| Pace::new(board.clock.now().max(1), plan.course.ramp));
    let seat = |connection| Seat {
        connection,
        topic: seating.topic(connection),
        standing: standing(plan, connection),
        place: None,
        due: ramp.map_or(0, |pace| pace.due(connection.into())),
    };
    let start = |thread| {
        let orders = Orders {
            board,
            thread,
            run,
            dialect,
            forms: forms(plan),
            door: door.clone(),
            course: plan.course.clone(),
            is_told: plan.is_told(),
            threads: plan.threads,
            seats: seating.connections_of(thread).map(seat).collect(),
        };
        let worker = Worker::new(orders)?;
        thread::Builder::new().name(format!("receiver-{thread}")).spawn_scoped(scope, move || worker.run())
    };
    let receivers: io::Result<Vec<_>> = (0..plan.threads).map(start).collect();
    receivers.map_err(|error| format!("a receiving thread cannot start: {error}"))
}

fn standing(plan: &Plan, connection: u32) -> Standing {
    match plan.course.unrest {
        _ if plan.course.is_slow(connection, plan.clients) => Standing::Excused,
        _ if !plan.course.is_restless(connection, plan.clients) => Standing::Steady,
        Unrest::Slow { .. } => Standing::Excused,
        _ => Standing::Passing,
    }
}

/// One for each size of events.
fn forms(plan: &Plan) -> Vec<Form> {
    let sizes: BTreeSet<usize> = plan.course.sizes.iter().chain([&plan.size]).map(|size| size.0).collect();
    sizes.into_iter().map(Form::new).collect()
}

/// What a thread brought; its panic is ours.
fn joined<T>(outcome: thread::Result<T>) -> T {
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
