//! `fanout-loadtest plot`: plots for documents, from recorded runs.

use super::outcome::Outcome;
use super::record::{Record, Run};
use super::report::{self, Figure, Plot};
use clap::{Args, ValueEnum};
use std::io;
use std::path::{Path, PathBuf};

/// Settings of an outcome that tell runs apart.
const SETTINGS: [&str; 5] = ["clients", "users", "window", "rate", "size"];

/// Draws a plot from recorded runs as one SVG file, light and dark.
#[derive(Args, Clone, Debug)]
pub struct PlotArguments {
    /// The SVG file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// The setting that curves are drawn over, by its name in the recorded runs
    #[arg(long, value_name = "SETTING", default_value = "clients")]
    pub over: String,

    /// What curves and bars show: cost, memory, rate, p50, p99, p999, or a figure by its name in the recorded runs
    #[arg(long, value_name = "FIGURE", default_value = "cost")]
    pub figure: String,

    /// Only these subjects, such as 'fanout,floor joined'
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Only runs with this setting, such as window=16; several must all hold
    #[arg(long, value_name = "SETTING=NUMBER", value_parser = setting)]
    pub with: Vec<(String, u64)>,

    /// What is drawn
    pub kind: Kind,

    /// Recorded runs, or outcomes as `--json` prints them; SUBJECT=FILE says whose outcome it is
    #[arg(required = true, value_name = "RUN.json")]
    pub runs: Vec<String>,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A figure over a setting, one curve for each subject: median of the rounds and spread
    Curve,
    /// A figure of every subject as bars, one group for each row, with the ratio to fanout
    Bars,
    /// Latency by percentile, one curve for each subject
    Latency,
}

/// Reads the runs, draws, writes the file.
///
/// # Errors
/// A sentence for people: which file could not be read or written, or why these runs do not make this plot.
pub fn run(arguments: &PlotArguments) -> Result<(), String> {
    let mut records = arguments.runs.iter().map(|run| read(run)).collect::<Result<Vec<_>, _>>()?;
    for record in &mut records {
        record.runs.retain(|run| arguments.asks_for(run));
    }
    let svg = report::plot(&arguments.plot(), &records).map_err(|why| format!("{why} (--only, --with, --figure)"))?;
    let out = &arguments.out;
    std::fs::write(out, svg).map_err(|error| format!("{}: {error}", out.display()))
}

impl PlotArguments {
    fn plot(&self) -> Plot {
        let figure = Figure(self.figure.clone());
        match self.kind {
            Kind::Curve => Plot::Curve { figure, over: self.over.clone() },
            Kind::Bars => Plot::Bars { figure },
            Kind::Latency => Plot::Latency,
        }
    }

    fn asks_for(&self, run: &Run) -> bool {
        (self.only.is_empty() || self.only.contains(&run.subject))
            && self.with.iter().all(|(name, value)| run.settings.get(name) == Some(value))
    }
}

fn setting(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=NUMBER")?;
    Ok((name.to_owned(), value.parse().map_err(|_| format!("{value} is no whole number"))?))
}

fn read(named: &str) -> Result<Record, String> {
    let (subject, path) = match named.split_once('=') {
        Some((subject, path)) if !Path::new(named).exists() => (Some(subject), path),
        _ => (None, named),
    };
    let path = Path::new(path);
    read_file(subject, path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A recorded file; or one outcome, which becomes a record of one run.
fn read_file(subject: Option<&str>, path: &Path) -> io::Result<Record> {
    let outcome = match Record::read(path) {
        Ok(record) => return Ok(record),
        Err(error) => serde_json::from_slice::<Outcome>(&std::fs::read(path)?).map_err(|_| error)?,
    };
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let setting = |name: &&str| Some(((*name).to_owned(), outcome.settings.get(*name)?.parse().ok()?));
    let run = Run {
        subject: subject.map_or_else(stem, str::to_owned),
        settings: SETTINGS.iter().filter_map(setting).collect(),
        outcome: outcome.clone(),
        ..Run::default()
    };
    Ok(Record { row: outcome.scenario, runs: vec![run], ..Record::default() })
}
