//! Recorded runs: one file for each row of a table or plot, so that every published figure can be traced to its runs.

use super::outcome::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

/// All runs behind one row of a table or one plot, from one machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// What was measured, such as `fanout-window-1` or `curve-clients`; the file's name without its date.
    pub row: String,
    /// The day, as `2026-11-21`.
    #[serde(default)]
    pub date: String,
    /// Where it ran.
    pub machine: Machine,
    /// Every run, in the order in which they were made.
    pub runs: Vec<Run>,
}

/// What a reader must know of a machine; nothing that names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Release of the kernel.
    pub kernel: String,
    /// The processor's own name.
    pub cpu: String,
    /// Cores the machine has, whether or not this process may use them.
    pub cores: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// The kernel's congestion control (tcp(7)): some pace each connection with timers, on loopback too.
    #[serde(default)]
    pub congestion_control: String,
}

/// One run of one subject.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Run {
    /// What was loaded: `fanout`, `floor send`, `floor joined`, `nchan` …
    pub subject: String,
    /// Which round it was, from 1; runs of one round stand beside each other in time and may be compared.
    #[serde(default)]
    pub round: u32,
    /// What the axes of plots are made of: `clients`, `users`, `window`, `rate`, `size` (bytes), `shards` …
    pub settings: BTreeMap<String, u64>,
    /// Figures for which an [`Outcome`] has no place, by name with the unit last (`idle_cpu_ns_per_second`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, f64>,
    /// What the run found out.
    pub outcome: Outcome,
}

impl Record {
    /// Reads a recorded file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = std::fs::read(path)?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }

    /// Writes the file anew: JSON with one line for each run, so that a changed run is a changed line.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut out = Vec::new();
        let head = [("row", to_json(&self.row)?), ("date", to_json(&self.date)?), ("machine", to_json(&self.machine)?)];
        for (place, (name, value)) in head.iter().enumerate() {
            writeln!(out, "{}\"{name}\": {value},", if place == 0 { '{' } else { ' ' })?;
        }
        let runs = self.runs.iter().map(to_json).collect::<io::Result<Vec<_>>>()?;
        writeln!(out, " \"runs\": [\n{}\n]}}", runs.join(",\n"))?;
        std::fs::write(path, out)
    }
}

impl Machine {
    /// This machine. What `/proc` does not say stays empty or 0.
    pub fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpu_info = read("/proc/cpuinfo");
        let memory_kib = value_of("MemTotal", &read("/proc/meminfo"))
            .and_then(|value| value.trim_end_matches(" kB").parse::<u64>().ok())
            .unwrap_or_default();
        let cores = cpu_info.lines().filter(|line| line.starts_with("processor")).count();
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu: value_of("model name", &cpu_info).unwrap_or_default().to_owned(),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            memory_bytes: memory_kib * 1024,
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control").trim().to_owned(),
        }
    }
}

fn to_json<T: Serialize>(value: &T) -> io::Result<String> {
    serde_json::to_string(value).map_err(io::Error::from)
}

/// The value of the first `name : value` line.
fn value_of<'a>(name: &str, lines: &'a str) -> Option<&'a str> {
    lines.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    fn recorded() -> Record {
        let outcome = Outcome { delivered: 7, percentiles: vec![(50.0, 120), (99.9, 900)], ..Outcome::default() };
        let run = |round| Run {
            subject: "floor joined".to_owned(),
            round,
            settings: BTreeMap::from([("clients".to_owned(), 1_000), ("window".to_owned(), 16)]),
            figures: BTreeMap::from([("ratio".to_owned(), 0.87)]),
            outcome: outcome.clone(),
        };
        let row = "curve-\"clients\"".to_owned();
        Record { row, date: "2026-11-21".to_owned(), machine: Machine::here(), runs: vec![run(1), run(2)] }
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written_with_a_line_for_each_run() {
        let scratch = Scratch::new();
        let file = scratch.join("record.json");
        let record = recorded();
        record.write(&file).expect("written");
        let lines = std::fs::read_to_string(&file).expect("a file").lines().count();
        let read = Record::read(&file).expect("read");

        assert_eq!(lines, 4 + record.runs.len() + 1);
        let as_value = |record: &Record| serde_json::to_value(record).expect("JSON");
        assert_eq!(as_value(&read), as_value(&record));
    }

    #[test]
    fn a_record_needs_no_more_than_the_contract() {
        let outcome = serde_json::to_string(&Outcome::default()).expect("JSON");
        let text = format!(
            r#"{{"row":"r","machine":{{"kernel":"6.18","cpu":"x","cores":2,"memory_bytes":1}},
                "runs":[{{"subject":"fanout","settings":{{"clients":1}},"outcome":{outcome}}}]}}"#
        );
        let record = serde_json::from_str::<Record>(&text).expect("a record");
        assert_eq!(record.runs[0].settings["clients"], 1);
    }

    #[test]
    fn the_machine_says_what_it_is() {
        let machine = Machine::here();
        assert!(machine.cores >= 1 && machine.memory_bytes > 1 << 20 && !machine.kernel.is_empty(), "{machine:?}");
    }
}
