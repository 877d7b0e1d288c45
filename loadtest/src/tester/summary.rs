//! The table at the end of a run.

use super::outcome::{Outcome, Verdict};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{HumanBytes, HumanCount};

/// The figures people ask for first, one in each line, and what the run means.
pub fn summary(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    for (name, figure) in rows(outcome) {
        table.add_row([name, figure.as_str()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines = [table.to_string(), verdict(outcome.verdict).to_owned()].into_iter();
    lines.chain(outcome.reasons.iter().map(|reason| format!("  {reason}"))).map(|line| line + "\n").collect()
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::TesterSaturated => "NO VERDICT: the tester saturated first",
    }
}

fn rows(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let latency = outcome.latency_us;
    let mut rows = vec![
        ("clients connected", count(outcome.connected)),
        ("published", format!("{} ({:.0}/s)", count(outcome.published), outcome.published_per_second)),
        ("delivered", format!("{} ({:.0}/s)", count(outcome.delivered), outcome.delivered_per_second)),
        ("lost", count(outcome.lost)),
        ("duplicated", count(outcome.duplicated)),
        ("reordered", count(outcome.reordered)),
        ("foreign", count(outcome.foreign)),
        ("connections ended early", count(outcome.closed)),
        ("latency p50", microseconds(latency.p50)),
        ("latency p90", microseconds(latency.p90)),
        ("latency p99", microseconds(latency.p99)),
        ("latency p99.9", microseconds(latency.p999)),
        ("latency max", microseconds(latency.max)),
    ];
    if let Some(server) = &outcome.server {
        rows.extend([
            ("server: processor time per delivery", format!("{:.3} µs", server.cpu_ns_per_delivery / 1e3)),
            ("server: cores busy", format!("{:.2}", server.cores)),
            ("server: memory", HumanBytes(server.rss_bytes).to_string()),
            ("server: memory per connection", format!("{:.0} B", server.rss_bytes_per_connection)),
        ]);
        rows.extend(
            server.kernel_bytes_per_connection.map(|bytes| ("kernel: memory per connection", format!("{bytes:.0} B"))),
        );
    }
    rows.push(("tester: busiest thread", format!("{:.0} %", outcome.tester.busiest_thread * 100.0)));
    rows.push(("tester: lag p99", microseconds(outcome.tester.lag_us.p99)));
    rows
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

fn microseconds(number: u64) -> String {
    format!("{} µs", HumanCount(number))
}
