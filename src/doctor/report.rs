//! The report: a list of checks, for people or for programs.

use crate::client::harmless;
use crate::config::{Check, Verdict};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::fmt::Write;

/// Where what was found begins.
const DETAIL_COLUMN: usize = 26;

/// What was found, in the order of the looking.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
    /// What was measured, for programs; nothing where nobody has asked.
    pub(super) figures: Option<Value>,
}

impl Report {
    /// The worst there is.
    pub(super) fn verdict(&self) -> Verdict {
        self.checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Fine)
    }

    /// A line for each check with its cure under it, and a line that counts; with colours, which whoever prints takes
    /// out where there is no terminal.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Check { what, verdict, detail, cure } in &self.checks {
            let (style, word) = (style(*verdict), verdict.word());
            let [detail, cure] = [detail, cure].map(|text| harmless(text));
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{style}{word:8}{style:#} {what:16} {detail}");
            if !cure.is_empty() {
                let _ = writeln!(text, "{:DETAIL_COLUMN$}→ {cure}", "");
            }
        }
        let count = |verdict| self.checks.iter().filter(|check| check.verdict == verdict).count();
        let [fine, warnings, failures] = [Verdict::Fine, Verdict::Warning, Verdict::Failure].map(count);
        let _ = writeln!(text, "\n{fine} ok, {warnings} could be better, {failures} cannot work");
        text
    }

    /// The same as one object.
    pub(super) fn json(&self) -> Value {
        let checks = self.checks.iter().map(|Check { what, verdict, detail, cure }| {
            let cure = (!cure.is_empty()).then_some(cure);
            json!({ "name": what, "verdict": verdict.word(), "found": detail, "cure": cure })
        });
        let mut report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "verdict": self.verdict().word(),
            "checks": checks.collect::<Vec<_>>(),
        });
        if let Some(figures) = &self.figures {
            report["capacity"] = figures.clone();
        }
        report
    }
}

fn style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Fine => AnsiColor::Green,
        Verdict::Warning => AnsiColor::Yellow,
        Verdict::Failure => AnsiColor::Red,
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let fine = Check::fine("kernel", "Linux 6.18");
        let poor = Check::warning("backlog", "128 connections may wait", "sysctl -w net.core.somaxconn=4096");
        let bad = Check::failure("listen", "taken", "choose another with --listen");
        Report { checks: vec![fine, poor, bad], figures: Some(json!({ "cores": 2 })) }
    }

    #[test]
    fn people_get_a_line_for_each_check_and_a_cure_where_one_is_needed() {
        let text = anstream::adapter::strip_str(&report().text()).to_string();
        let expected = "ok       kernel           Linux 6.18\n\
                        warning  backlog          128 connections may wait\n                          \
                        → sysctl -w net.core.somaxconn=4096\n\
                        failure  listen           taken\n                          \
                        → choose another with --listen\n\n\
                        1 ok, 1 could be better, 1 cannot work\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_others_have_said_stays_in_its_line() {
        let report = Report { checks: vec![Check::failure("redis", "-ERR \x1b[2J\u{202e}\r\nok", "")], figures: None };
        let lines: Vec<String> = report.text().lines().map(str::to_owned).collect();
        assert!(lines[0].ends_with("-ERR \\u{1b}[2J\\u{202e}\\r\\nok"), "{lines:?}");
    }

    #[test]
    fn programs_get_the_same() {
        let json = report().json();
        assert_eq!(json["verdict"], "failure");
        assert_eq!(json["capacity"]["cores"], 2);
        assert_eq!(
            json["checks"][0],
            json!({ "name": "kernel", "verdict": "ok", "found": "Linux 6.18", "cure": null })
        );
        assert_eq!(json["checks"][1]["cure"], "sysctl -w net.core.somaxconn=4096");
        assert_eq!(json["checks"][2]["verdict"], "failure");
    }

    #[test]
    fn the_worst_check_is_the_verdict() {
        let mut report = report();
        for worst in [Verdict::Failure, Verdict::Warning, Verdict::Fine, Verdict::Fine] {
            assert_eq!(report.verdict(), worst);
            report.checks.pop();
        }
    }
}
