//! What people type: flags, and scenario files with the same names.

use super::agents::AgentArguments;
use super::budget::Budgets;
use super::budget::compare::Floor;
use super::flags::Flags;
use super::plan::Plan;
use super::planning;
use super::plot::PlotArguments;
use super::scenario::{self, SPECIAL_FLAGS, Scenario};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  fanout-loadtest fanout                                  1 000 clients on one username, 100 events/s
  fanout-loadtest fanout --clients 10000 --window 4 --server-pid $(pidof fanout)
  fanout-loadtest users --users 5000 --clients 10000 --rate 20000 --slo p99=50ms --json
  fanout-loadtest users --protocol flux --users 5000      a flux channel for each client
  fanout-loadtest users --scenario loadtest/scenarios/users.toml --seconds 60

Exit codes: 0 pass; 1 fail, also when interrupted; 2 usage or no connection; 3 the tester saturated first.";

/// Puts load on a server that hands events to WebSocket clients, and says what it carried at which latency.
#[derive(Debug, Parser)]
#[command(name = "fanout-loadtest", version, after_help = EXAMPLES, max_term_width = 120)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// What was typed; ends the process where that is not understood, or asks for help.
    pub fn from_command_line() -> Self {
        let matches = Self::described().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// All flags, each scenario with its own defaults and without what only others have.
    fn described() -> clap::Command {
        scenario::TABLE.iter().fold(Self::command(), |command, scenario| {
            command.mut_subcommand(scenario.name, |subcommand| {
                let foreign = SPECIAL_FLAGS.iter().filter(|flag| !scenario.flags.contains(flag));
                let subcommand = foreign.fold(subcommand, |subcommand, flag| {
                    subcommand.mut_arg(flag.replace('-', "_"), |argument| argument.hide(true))
                });
                subcommand.after_help(format!("Defaults: {}\n\n{EXAMPLES}", scenario.defaults()))
            })
        })
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One of the scenarios.
    #[command(flatten)]
    Load(Load),
    /// Waits for conductors (`--agents`) and does its share of their tests
    Agent(AgentArguments),
    /// The speed of light: the least a server could do on this kernel, and the real server beside it
    Floor(Box<Floor>),
    /// The budget table: what the server may cost, measured beside the floor
    Budgets(Box<Budgets>),
    /// Draws a plot from recorded runs or from what `--json` printed, as one SVG file
    Plot(PlotArguments),
}

/// The scenarios as subcommands.
#[derive(Debug, Subcommand)]
pub enum Load {
    /// One username, many clients: every event goes to all of them
    Fanout(Box<Run>),
    /// Many usernames with some connections each: every event goes to a random one
    Users(Box<Run>),
    /// How fast clients are let in: on a schedule or as fast as can be
    Connect(Box<Run>),
    /// Connections without events: memory for each, and what pings cost
    Idle(Box<Run>),
    /// All clients drop at once and come back, while bystanders get events
    Storm(Box<Run>),
    /// Some clients stop reading, or read slowly: what happens to the others?
    Slow(Box<Run>),
    /// Hours of events while some clients leave and come: flat memory, nothing lost
    Soak(Box<Run>),
    /// Finds the highest rate that meets --slo and loses nothing
    Capacity(Box<Run>),
}

/// One run and what becomes of its result.
#[derive(Debug, Args)]
#[command(next_line_help = true, after_help = EXAMPLES)]
pub struct Run {
    /// The load.
    #[command(flatten)]
    pub load: Flags,
    /// Reads settings from a TOML file with the names of these flags; flags win
    #[arg(long, value_name = "FILE", help_heading = "Load")]
    pub scenario: Option<PathBuf>,
    /// Runs the test in these agents (`fanout-loadtest agent`) together; storm and slow are for one process
    #[arg(long, value_name = "HOST:PORT,…", help_heading = "This tester", value_delimiter = ',')]
    pub agents: Vec<String>,
    /// What is printed and written.
    #[command(flatten)]
    pub output: Output,
}

/// What is printed and written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Prints one JSON object on standard output and nothing else there
    #[arg(long)]
    pub json: bool,
    /// No progress on standard error
    #[arg(long)]
    pub quiet: bool,
    /// Writes all latencies, in nanoseconds, as an interval log of HDR histograms (V2)
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// Writes one page with figures and plots that opens without a network
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Keeps the run there, as DATE-SCENARIO in three files: .md for people, .json for programs, .html with plots
    #[arg(long, value_name = "DIRECTORY")]
    pub record: Option<PathBuf>,
}

impl Load {
    /// The scenario and its settings.
    pub(super) fn parts(&self) -> (&'static Scenario, &Run) {
        match self {
            Self::Fanout(run) => (&scenario::FANOUT, run),
            Self::Users(run) => (&scenario::USERS, run),
            Self::Connect(run) => (&scenario::CONNECT, run),
            Self::Idle(run) => (&scenario::IDLE, run),
            Self::Storm(run) => (&scenario::STORM, run),
            Self::Slow(run) => (&scenario::SLOW, run),
            Self::Soak(run) => (&scenario::SOAK, run),
            Self::Capacity(run) => (&scenario::CAPACITY, run),
        }
    }
}

impl Run {
    /// The plan of what was typed.
    ///
    /// # Errors
    /// One sentence, for a file that cannot be read and for the first value that does not fit.
    pub fn plan(&self, scenario: &Scenario) -> Result<Plan, String> {
        let flags = match &self.scenario {
            Some(file) => self.load.over(file)?,
            None => self.load.clone(),
        };
        let plan = planning::plan(&flags, scenario)?;
        // Agents have open files of their own.
        if self.agents.is_empty() { plan.check() } else { plan.check_settings() }?;
        Ok(plan)
    }
}

#[cfg(test)]
mod tests;
