//! What the program does with what was typed.

use super::agents::{self, Agents};
use super::alone::Alone;
use super::arguments::{Arguments, Command, Output, Run};
use super::budget::{self, compare};
use super::crew::Crew;
use super::interrupt::interruptible;
use super::kept;
use super::outcome::Outcome;
use super::plot;
use super::progress::{Progress, Quiet, fitting};
use super::report;
use super::run::Surroundings;
use super::scenario::Scenario;
use super::summary::summary;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use hdrhistogram::serialization::{V2Serializer, interval_log::IntervalLogWriterError};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Usage, or no connection.
const NO_RUN: u8 = 2;

/// The program.
pub fn main() -> ExitCode {
    let done = match Arguments::from_command_line().command {
        Command::Load(scenario) => {
            let (scenario, arguments) = scenario.parts();
            load(scenario, arguments)
        }
        Command::Agent(arguments) => agents::serve(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Plot(arguments) => plot::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Floor(arguments) => compare::run(&arguments).map_err(|error| error.to_string()),
        Command::Budgets(arguments) => budget::run(&arguments).map_err(|error| error.to_string()),
    };
    done.unwrap_or_else(|reason| {
        eprintln!("fanout-loadtest: {reason}");
        ExitCode::from(NO_RUN)
    })
}

/// One run of a scenario.
fn load(scenario: &Scenario, arguments: &Run) -> Result<ExitCode, String> {
    let plan = arguments.plan(scenario)?;
    let interrupted = interruptible().map_err(|error| format!("signals cannot be caught: {error}"))?;
    let progress: Box<dyn Progress> = if arguments.output.quiet { Box::new(Quiet) } else { fitting() };
    let surroundings = Surroundings { progress: progress.as_ref(), interrupted: &interrupted, epoch: Instant::now() };
    let crew: Box<dyn Crew> = match arguments.agents.as_slice() {
        [] => Box::new(Alone(surroundings)),
        addresses => Box::new(Agents::connect(addresses, surroundings)?),
    };
    let outcome = (scenario.conduct)(&plan, crew.as_ref()).map_err(|refusal| refusal.0)?;
    hand_over(&outcome, &arguments.output).map_err(|error| format!("the result cannot be written: {error}"))?;
    Ok(ExitCode::from(outcome.verdict.exit_code()))
}

/// Prints and writes a result.
fn hand_over(outcome: &Outcome, output: &Output) -> io::Result<()> {
    if let Some(file) = &output.hdr {
        write_histogram(outcome, file)?;
    }
    if let Some(file) = &output.report {
        report::write(outcome, file)?;
    }
    if let Some(directory) = &output.record {
        kept::write(outcome, directory)?;
    }
    let text = if output.json { serde_json::to_string(outcome)? + "\n" } else { summary(outcome) };
    io::stdout().write_all(text.as_bytes())
}

/// The whole run as one interval.
fn write_histogram(outcome: &Outcome, file: &Path) -> io::Result<()> {
    let Some(histogram) = &outcome.histogram else { return Ok(()) };
    let mut file = BufWriter::new(File::create(file)?);
    let mut serializer = V2Serializer::new();
    let written = IntervalLogWriterBuilder::new()
        .add_comment("latencies in nanoseconds")
        .with_max_value_divisor(1.0)
        .begin_log_with(&mut file, &mut serializer)
        .and_then(|mut log| {
            let length = Duration::from_secs_f64(outcome.seconds);
            log.write_histogram(histogram, Duration::ZERO, length, None).map_err(as_io)
        });
    written.and_then(|()| file.flush())
}

fn as_io<E: std::fmt::Debug>(error: IntervalLogWriterError<E>) -> io::Error {
    match error {
        IntervalLogWriterError::IoError(error) => error,
        other @ IntervalLogWriterError::SerializeError(_) => io::Error::other(format!("{other:?}")),
    }
}
