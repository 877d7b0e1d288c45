//! `fanout-loadtest floor`: every way in which the least server could send, and the real server, in turns.

use super::figure::{Figure, Unit};
use super::load::Load;
use super::rig::{self, Rig};
use super::rounds::Rounds;
use super::subject::{FANOUT, Subject};
use super::trial::Trial;
use crate::tester::event_size::EventSize;
use crate::tester::floor::{Mode, Serve, serve};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::Serialize;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Compares the floor and the real server in turns; `serve` is the floor server alone.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Floor {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: Compare,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// The floor server: prints where clients connect and where events are published, and serves until its last
    /// publisher leaves.
    Serve(Serve),
}

/// What to compare.
#[derive(Clone, Debug, clap::Args)]
struct Compare {
    /// Where, how often and how long to measure.
    #[command(flatten)]
    pub rig: rig::Options,
    /// Clients on one username.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,
    /// Events that are unfinished at once, one table for each.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16], value_parser = clap::value_parser!(u16).range(1..))]
    pub windows: Vec<u16>,
    /// Bytes of an event, such as 256 or 64KiB.
    #[arg(long, value_name = "BYTES", default_value = "256")]
    pub size: EventSize,
    /// One JSON object on standard output instead of the tables.
    #[arg(long)]
    pub json: bool,
}

/// `--json`.
#[derive(Serialize)]
struct Report {
    windows: Vec<Comparison>,
}

/// One table.
#[derive(Serialize)]
struct Comparison {
    window: u16,
    clients: u32,
    size: usize,
    subjects: Vec<Line>,
}

/// One line of it.
#[derive(Serialize)]
struct Line {
    subject: String,
    cpu_ns_per_delivery: Option<Figure>,
    delivered_per_second: Option<Figure>,
    /// Its cost as a multiple of each floor's, round by round.
    ratio_to_send: Option<Figure>,
    ratio_to_joined: Option<Figure>,
    /// Why its figures do not stand.
    trouble: Option<String>,
}

/// Does what was asked for.
///
/// # Errors
/// Where nothing can be measured, or the floor server met what it does not understand.
pub fn run(floor: &Floor) -> io::Result<ExitCode> {
    match &floor.command {
        Some(Command::Serve(options)) => serve(options).map(|()| ExitCode::SUCCESS),
        None => compare(&floor.compare),
    }
}

/// Measures and prints.
fn compare(compare: &Compare) -> io::Result<ExitCode> {
    let rig = Rig::new(&compare.rig)?;
    let mut windows = Vec::new();
    for &window in &compare.windows {
        rig.tell(&format!("window {window}"));
        let load = Load { event_bytes: compare.size.0, ..Load::one_username(rig.scaled(compare.clients), window) };
        windows.push(Comparison {
            window,
            clients: load.clients,
            size: load.event_bytes,
            subjects: lines(&rig, load)?,
        });
    }
    let report = Report { windows };
    if compare.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
        return Ok(report.exit_code());
    }
    if let Some(caution) = rig.caution() {
        writeln!(io::stdout(), "**{caution}**\n")?;
    }
    for window in &report.windows {
        writeln!(io::stdout(), "{}", text(window, &rig))?;
    }
    Ok(report.exit_code())
}

impl Report {
    /// 1 where figures do not stand.
    fn exit_code(&self) -> ExitCode {
        let is_troubled = self.windows.iter().flat_map(|window| &window.subjects).any(|line| line.trouble.is_some());
        ExitCode::from(u8::from(is_troubled))
    }
}

fn lines(rig: &Rig, load: Load) -> io::Result<Vec<Line>> {
    let subjects = Mode::ALL.map(Subject::Floor).into_iter().chain([FANOUT]);
    let trials: Vec<Trial> = subjects.map(|subject| Trial { subject, load }).collect();
    let rounds = Rounds::measure(rig, &trials)?;
    let place = |mode| Mode::ALL.iter().position(|&it| it == mode).map(|trial| rounds.costs(trial)).unwrap_or_default();
    let (send, joined) = (place(Mode::Send), place(Mode::Joined));
    let line = |(trial, it): (usize, &Trial)| {
        let costs = rounds.costs(trial);
        Line {
            subject: it.subject.to_string(),
            ratio_to_send: Figure::ratio(&costs, &send),
            ratio_to_joined: Figure::ratio(&costs, &joined),
            cpu_ns_per_delivery: Figure::of(costs),
            delivered_per_second: Figure::of(rounds.values(trial, |outcome| outcome.delivered_per_second)),
            trouble: rounds.trouble(trial).map(|trouble| trouble.reason),
        }
    };
    Ok(trials.iter().enumerate().map(line).collect())
}

fn text(comparison: &Comparison, rig: &Rig) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let head = ["", "CPU per delivery", "spread", "deliveries/s", "to floor send", "to floor joined"];
    table.set_header(head);
    table.add_rows(comparison.subjects.iter().map(Line::cells));
    let troubles = comparison.subjects.iter().filter_map(|line| line.trouble.as_deref());
    let troubles: Vec<&str> = troubles.flat_map(|trouble| ["\n- ", trouble]).collect();
    format!(
        "{} clients on one username, events of {} B, window {}; medians of {} rounds of {} s\n\n{table}{}\n",
        comparison.clients,
        comparison.size,
        comparison.window,
        rig.rounds,
        rig.seconds,
        troubles.concat()
    )
}

impl Line {
    fn cells(&self) -> [String; 6] {
        let show =
            |figure: Option<Figure>, unit: Unit| figure.map(|figure| unit.show(figure.median)).unwrap_or_default();
        let nanoseconds = |value| Unit::Nanoseconds.show(value);
        let spread = |cost: Figure| format!("{} – {}", nanoseconds(cost.least), nanoseconds(cost.greatest));
        [
            self.subject.clone(),
            show(self.cpu_ns_per_delivery, Unit::Nanoseconds),
            self.cpu_ns_per_delivery.map(spread).unwrap_or_default(),
            show(self.delivered_per_second, Unit::PerSecond),
            show(self.ratio_to_send, Unit::Times),
            show(self.ratio_to_joined, Unit::Times),
        ]
    }
}
