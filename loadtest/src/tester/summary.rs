//! The table at the end of a run.

use super::outcome::{Outcome, Round, ServerCost, Verdict};
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{HumanBytes, HumanCount};

/// A name and a figure with its unit.
type Row = (String, String);

/// The figures people ask for first, one in each line, and what the run means.
pub fn summary(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    for (name, figure) in rows(outcome) {
        table.add_row([name, figure]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let parts = [table.to_string()].into_iter().chain(rounds(&outcome.rounds));
    let lines = parts.chain(outcome.notes.iter().map(|note| format!("note: {note}")));
    let lines = lines.chain([verdict(outcome.verdict).to_owned()]);
    lines.chain(outcome.reasons.iter().map(|reason| format!("  {reason}"))).map(|line| line + "\n").collect()
}

/// One table of all rounds, a line for each.
fn rounds(rounds: &[Round]) -> Option<String> {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    for round in rounds {
        let figures = round.figures.iter().map(|(name, value)| format!("{name} {}", figure(*value)));
        let figures: Vec<String> = figures.collect();
        table.add_row([round.name.as_str(), if round.held { "held" } else { "did NOT hold" }, &figures.join(", ")]);
    }
    (!rounds.is_empty()).then(|| table.to_string())
}

/// Whole numbers as such, small ones with two digits behind the point.
pub(super) fn figure(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::TesterSaturated => "NO VERDICT: the tester saturated first",
    }
}

pub(super) fn rows(outcome: &Outcome) -> Vec<Row> {
    let mut rows = vec![("clients connected".to_owned(), count(outcome.connected))];
    rows.extend(connecting(outcome));
    if outcome.published > 0 {
        rows.extend(events(outcome));
    }
    rows.push(("connections ended early".to_owned(), count(outcome.closed)));
    rows.extend(outcome.server.iter().flat_map(server));
    rows.extend(outcome.figures.iter().map(|(name, value)| (name.replace('_', " "), figure(*value))));
    rows.push(("tester: busiest thread".to_owned(), format!("{:.0} %", outcome.tester.busiest_thread * 100.0)));
    rows.push(("tester: lag p99".to_owned(), microseconds(outcome.tester.lag_us.p99)));
    rows
}

/// How clients came, and who did not.
fn connecting(outcome: &Outcome) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some((rate, latency)) = outcome.handshakes_per_second.zip(outcome.connecting_us) {
        rows.push(("handshakes".to_owned(), format!("{rate:.0}/s")));
        let all =
            format!("{} / {} / {}", microseconds(latency.p50), microseconds(latency.p99), microseconds(latency.max));
        rows.push(("connecting p50 / p99 / max".to_owned(), all));
    }
    rows.extend(
        outcome.refused_by_reason.iter().map(|(reason, times)| (format!("not let in: {reason}"), count(*times))),
    );
    rows
}

fn events(outcome: &Outcome) -> Vec<Row> {
    let latency = outcome.latency_us;
    let rows = [
        ("published", format!("{} ({:.0}/s)", count(outcome.published), outcome.published_per_second)),
        ("delivered", format!("{} ({:.0}/s)", count(outcome.delivered), outcome.delivered_per_second)),
        ("lost", count(outcome.lost)),
        ("duplicated", count(outcome.duplicated)),
        ("reordered", count(outcome.reordered)),
        ("foreign", count(outcome.foreign)),
        ("latency p50", microseconds(latency.p50)),
        ("latency p90", microseconds(latency.p90)),
        ("latency p99", microseconds(latency.p99)),
        ("latency p99.9", microseconds(latency.p999)),
        ("latency max", microseconds(latency.max)),
    ];
    rows.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
}

fn server(server: &ServerCost) -> Vec<Row> {
    let spans = [
        ("server: processor time per delivery", server.cpu_ns_per_delivery),
        ("server: processor time per handshake", server.cpu_ns_per_handshake),
    ];
    let spans = spans.into_iter().filter(|(_, nanoseconds)| *nanoseconds > 0.0);
    let spans = spans.map(|(name, nanoseconds)| (name, format!("{:.3} µs", nanoseconds / 1e3)));
    let whole = [
        ("server: cores busy", format!("{:.2}", server.cores)),
        ("server: memory", HumanBytes(server.rss_bytes).to_string()),
    ];
    let each = [
        ("server: memory per connection", Some(server.rss_bytes_per_connection)),
        ("server: of it anonymous", server.anonymous_bytes_per_connection),
        ("kernel, both ends: memory per connection", server.kernel_bytes_per_connection),
        ("kernel, both ends: of it TCP buffers", server.kernel_buffers_per_connection),
        ("kernel, both ends: of it slabs", server.kernel_slabs_per_connection),
        ("kernel, both ends: of these unreclaimable", server.kernel_unreclaimable_slabs_per_connection),
    ];
    let each = each.into_iter().filter_map(|(name, bytes)| Some((name, format!("{:.0} B", bytes?))));
    spans.chain(whole).chain(each).map(|(name, figure)| (name.to_owned(), figure)).collect()
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

fn microseconds(number: u64) -> String {
    format!("{} µs", HumanCount(number))
}
