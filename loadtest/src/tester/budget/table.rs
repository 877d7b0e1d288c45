//! The findings as a Markdown table and its notes.

use super::figure::Figure;
use super::finding::Finding;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

const HEAD: [&str; 8] = ["row", "what", "measured", "beside", "ratio", "budget", "", "spread"];

/// The table, and below it what else a reader must know.
pub fn markdown(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(HEAD);
    table.add_rows(findings.iter().map(cells));
    let with_notes = findings.iter().filter(|finding| !finding.notes.is_empty());
    let notes: Vec<String> =
        with_notes.map(|finding| format!("- {}: {}.", finding.row, finding.notes.join("; "))).collect();
    format!("{table}\n\n{}\n", notes.join("\n"))
}

fn cells(finding: &Finding) -> [String; HEAD.len()] {
    let dash = || "–".to_owned();
    let measured = finding.measured.map(|measured| measured.unit.show(measured.figure.median));
    let unit = finding.measured.map(|measured| measured.unit);
    let beside = finding
        .yardstick
        .as_ref()
        .zip(unit)
        .map(|(yardstick, unit)| format!("{}: {}", yardstick.name, unit.show(yardstick.figure.median)));
    let ratio = finding.yardstick.as_ref().map(|yardstick| format!("{:.2}", yardstick.ratio.median));
    let spread = finding.spread().map(|(Figure { least, greatest, rounds, .. }, unit)| {
        format!("{} – {} in {rounds}", unit.show(least), unit.show(greatest))
    });
    [
        finding.row.clone(),
        finding.what.clone(),
        measured.unwrap_or_else(dash),
        beside.unwrap_or_else(dash),
        ratio.unwrap_or_else(dash),
        finding.allowed(),
        finding.verdict.to_string(),
        spread.unwrap_or_else(dash),
    ]
}
