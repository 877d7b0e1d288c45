//! The budget table: what the server may cost, measured beside the floor, round by round.
//!
//! | noun | is |
//! |---|---|
//! | [`rig::Rig`] | the binaries, the cores, how often and how long |
//! | [`load::Load`] | clients, usernames, pace and size |
//! | [`subject::Subject`] | what is loaded: the real server or the floor |
//! | [`trial::Trial`] | one subject under one load, once |
//! | [`rounds::Rounds`] | trials in turns, several times |
//! | [`finding::Finding`] | one line of the table |
//! | [`row::Row`] | one thing to measure: the tables of all of them |

mod bare_subscriber;
pub mod compare;
pub mod figure;
pub mod finding;
pub mod load;
pub mod rig;
pub mod rounds;
pub mod row;
mod rows;
pub mod section;
pub mod subject;
pub mod table;
pub mod trial;

use super::record::{Machine, Record};
use finding::{Finding, Standing};
use rig::Rig;
use row::{BUDGETS, CURVES, Row};
use serde::Serialize;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures the budgets of a release build and prints the table; exit code 1 where one is not met or cannot be measured.
#[derive(Clone, Debug, clap::Args)]
pub struct Budgets {
    /// Where, how often and how long to measure.
    #[command(flatten)]
    pub rig: rig::Options,
    /// Rows to measure, in the table's order.
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = row_names())]
    pub only: Vec<String>,
    /// The curves over clients, sizes and windows, and memory over clients, instead of the budgets.
    #[arg(long)]
    pub curves: bool,
    /// Where every run is recorded: a file DATE-ROW.json for each row.
    #[arg(long, value_name = "DIRECTORY")]
    pub runs: Option<PathBuf>,
    /// One JSON object on standard output instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// `--json`.
#[derive(Serialize)]
struct Report<'a> {
    date: &'a str,
    machine: &'a Machine,
    findings: &'a [Finding],
}

/// Measures, records and prints.
///
/// # Errors
/// Where nothing can be measured at all.
pub fn run(budgets: &Budgets) -> io::Result<ExitCode> {
    let rig = Rig::new(&budgets.rig)?;
    let (date, machine) = (time::OffsetDateTime::now_utc().date().to_string(), Machine::here());
    let mut findings = Vec::new();
    for row in budgets.rows() {
        rig.tell(row.name);
        findings.extend(budgets.measure(row, &rig, &date)?);
        if rig.is_interrupted() {
            rig.tell("interrupted: the other rows are left out");
            break;
        }
    }
    if budgets.json {
        let report = Report { date: &date, machine: &machine, findings: &findings };
        writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(io::stdout(), "{}", text(&findings, &machine, &rig))?;
    }
    let is_bad = |finding: &Finding| matches!(finding.verdict, Standing::Missed | Standing::Broken);
    Ok(ExitCode::from(u8::from(rig.is_interrupted() || findings.iter().any(is_bad))))
}

impl Budgets {
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let table = if self.curves { CURVES } else { BUDGETS };
        let all = BUDGETS.iter().chain(CURVES).filter(|row| self.only.iter().any(|name| name == row.name));
        let chosen: Vec<&Row> = if self.only.is_empty() { table.iter().collect() } else { all.collect() };
        chosen.into_iter()
    }

    /// A row that cannot be measured is a line that says why; the other rows go on.
    fn measure(&self, row: &Row, rig: &Rig, date: &str) -> io::Result<Vec<Finding>> {
        let section = match (row.measure)(rig) {
            Ok(section) => section,
            Err(error) => {
                rig.tell(&format!("  {error}"));
                let is_interrupted = error.kind() == ErrorKind::Interrupted;
                let standing = if is_interrupted { Standing::NotShown } else { Standing::Broken };
                let finding = Finding::new(row.name, "could not be measured");
                return Ok(vec![finding.but(standing, error.to_string())]);
            }
        };
        if let Some(directory) = &self.runs
            && !section.runs.is_empty()
        {
            std::fs::create_dir_all(directory)?;
            let record = Record {
                row: row.name.to_owned(),
                date: date.to_owned(),
                machine: Machine::here(),
                runs: section.runs,
            };
            record.write(&directory.join(format!("{date}-{}.json", row.name)))?;
        }
        Ok(section.findings)
    }
}

fn row_names() -> clap::builder::PossibleValuesParser {
    BUDGETS.iter().chain(CURVES).map(|row| row.name).collect::<Vec<_>>().into()
}

fn text(findings: &[Finding], machine: &Machine, rig: &Rig) -> String {
    let gibibytes = machine.memory_bytes as f64 / f64::from(1 << 30);
    let caution = rig.caution().map(|caution| format!("**{caution}**\n\n")).unwrap_or_default();
    format!(
        "{}, {} cores, {gibibytes:.0} GiB, Linux {}, TCP with {}; the server on core {}, medians of {} rounds of {} s\n\n\
         {caution}{}",
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.congestion_control,
        rig.server_core,
        rig.rounds,
        rig.seconds,
        table::markdown(findings)
    )
}
