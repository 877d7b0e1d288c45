//! The report's page: everything a run found out, in one file that needs nothing else.

use super::palette;
use super::run_charts;
use super::shape::Shape;
use super::unit::{Unit, exact, whole};
use crate::tester::outcome::{Latency, Outcome, Round, ServerCost, Verdict};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::{BTreeMap, BTreeSet};

const STYLE: &str = include_str!("style.css");

/// The whole page, one part for each run.
pub fn page(outcomes: &[Outcome]) -> String {
    let title = match outcomes {
        [outcome] => format!("Load test: {}", outcome.scenario),
        several => format!("Load test: {} runs", several.len()),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Without it browsers ask the server of the page for one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(palette::style_sheet())) (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    @if outcomes.len() > 1 { (overview(outcomes)) }
                    @for (place, outcome) in outcomes.iter().enumerate() {
                        article id={ "run-" (place + 1) } { (run(outcome)) }
                    }
                }
                footer { (how_to_read()) }
            }
        }
    }
    .into_string()
}

fn run(outcome: &Outcome) -> Markup {
    html! {
        (verdict(outcome))
        (headline(outcome))
        (latency(outcome))
        div class="beside" {
            (arrivals(outcome))
            div {
                @if let Some(server) = &outcome.server { (server_cost(server)) }
                (tester(outcome))
            }
        }
        @for chart in run_charts::charts(outcome) {
            figure {
                @for shape in [Shape::Wide, Shape::Narrow] {
                    div class=(shape.class()) { (PreEscaped(chart.svg(shape))) }
                }
            }
        }
        @if !outcome.rounds.is_empty() { (rounds(&outcome.rounds)) }
        @if !outcome.figures.is_empty() { (figures(&outcome.figures)) }
        @if !outcome.settings.is_empty() { (settings(outcome)) }
    }
}

fn verdict(outcome: &Outcome) -> Markup {
    let (class, word, meaning) = match outcome.verdict {
        Verdict::Pass => ("good", "Passed", "Everything arrived as it should, and the goals were met."),
        Verdict::Fail => ("bad", "Failed", "Something did not arrive as it should, or a goal was missed."),
        Verdict::TesterSaturated => {
            ("bad", "No verdict", "The tester was the bottleneck: nothing can be said about the server.")
        }
    };
    html! {
        header class={ "verdict " (class) } {
            h2 { (word) span { (outcome.scenario) } }
            p { (meaning) }
            @if !outcome.reasons.is_empty() {
                ul { @for reason in &outcome.reasons { li { (reason) } } }
            }
            @for note in &outcome.notes { p class="note" { (note) } }
        }
    }
}

fn headline(outcome: &Outcome) -> Markup {
    let mut figures = vec![
        ("delivered per second", Unit::PerSecond.text(outcome.delivered_per_second)),
        ("half arrived within", Unit::Microseconds.text(whole(outcome.latency_us.p50))),
        ("99 % arrived within", Unit::Microseconds.text(whole(outcome.latency_us.p99))),
        ("lost", exact(outcome.lost)),
        ("clients connected", exact(outcome.connected)),
    ];
    if let Some(server) = &outcome.server {
        figures.push(("server's processor time per delivery", Unit::Nanoseconds.text(server.cpu_ns_per_delivery)));
        figures.push(("server's memory per connection", Unit::Bytes.text(server.rss_bytes_per_connection)));
    }
    if let Some(rate) = outcome.handshakes_per_second {
        figures.push(("handshakes", Unit::PerSecond.text(rate)));
    }
    html! {
        dl class="headline" {
            @for (name, value) in figures { div { dt { (name) } dd { (value) } } }
        }
    }
}

fn latency(outcome: &Outcome) -> Markup {
    let row = |name: &str, latency: &Latency| {
        let columns = [latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
        let columns = columns.map(|value| Unit::Microseconds.text(whole(value)));
        html! { tr { th scope="row" { (name) } @for value in columns { td { (value) } } } }
    };
    html! {
        section class="latency" {
            h3 { "Latency" }
            div class="table" {
                table {
                    (heads(["", "p50", "p90", "p99", "p99.9", "max"]))
                    tbody {
                        (row("delivery", &outcome.latency_us))
                        @if let Some(connecting) = &outcome.connecting_us { (row("connecting", connecting)) }
                    }
                }
            }
        }
    }
}

fn arrivals(outcome: &Outcome) -> Markup {
    let faults = [
        ("lost", outcome.lost),
        ("duplicated", outcome.duplicated),
        ("reordered", outcome.reordered),
        ("foreign", outcome.foreign),
        ("connections refused", outcome.refused),
        ("connections ended early", outcome.closed),
    ];
    html! {
        section class="arrivals" {
            h3 { "What arrived" }
            div class="table" {
                table {
                    tbody {
                        (fact("published", &with_rate(outcome.published, outcome.published_per_second)))
                        (fact("delivered", &with_rate(outcome.delivered, outcome.delivered_per_second)))
                        (fact("measured for", &Unit::Seconds.text(outcome.seconds)))
                        @for (name, count) in faults {
                            tr {
                                th scope="row" { (name) }
                                td class=(if count == 0 { "good" } else { "bad" }) { (exact(count)) }
                            }
                        }
                        @for (code, count) in &outcome.closed_by_code {
                            (fact(&format!("… with {code}"), &exact(*count)))
                        }
                        @for (reason, count) in &outcome.refused_by_reason {
                            (fact(&format!("not let in: {reason}"), &exact(*count)))
                        }
                    }
                }
            }
        }
    }
}

fn server_cost(server: &ServerCost) -> Markup {
    let parts = [
        ("of it anonymous", server.anonymous_bytes_per_connection),
        ("kernel's memory per connection, both ends", server.kernel_bytes_per_connection),
        ("of it TCP buffers", server.kernel_buffers_per_connection),
        ("of it slabs", server.kernel_slabs_per_connection),
        ("of these unreclaimable", server.kernel_unreclaimable_slabs_per_connection),
    ];
    html! {
        section class="server" {
            h3 { "The server" }
            div class="table" {
                table {
                    tbody {
                        (fact("processor time per delivery", &Unit::Nanoseconds.text(server.cpu_ns_per_delivery)))
                        @if server.cpu_ns_per_handshake > 0.0 {
                            (fact("processor time per handshake", &Unit::Nanoseconds.text(server.cpu_ns_per_handshake)))
                        }
                        (fact("processor time, of one core", &Unit::Share.text(server.cores)))
                        (fact("resident memory at the end", &Unit::Bytes.text(whole(server.rss_bytes))))
                        (fact("resident memory per connection", &Unit::Bytes.text(server.rss_bytes_per_connection)))
                        @for (name, bytes) in parts {
                            @if let Some(bytes) = bytes { (fact(name, &Unit::Bytes.text(bytes))) }
                        }
                    }
                }
            }
        }
    }
}

fn rounds(rounds: &[Round]) -> Markup {
    let names: BTreeSet<&String> = rounds.iter().flat_map(|round| round.figures.keys()).collect();
    html! {
        section class="rounds" {
            h3 { "Rounds" }
            div class="table" {
                table {
                    thead {
                        tr {
                            th scope="col" { "round" }
                            th scope="col" { "held" }
                            @for name in &names { th scope="col" { (Unit::of_figure(name).1) } }
                        }
                    }
                    tbody {
                        @for round in rounds {
                            tr {
                                @let (class, word) = if round.held { ("good", "yes") } else { ("bad", "no") };
                                th scope="row" { (round.name) }
                                td class=(class) { (word) }
                                @for name in &names { td { (figure(round, name)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What only this scenario has.
fn figures(figures: &BTreeMap<String, f64>) -> Markup {
    html! {
        section class="figures" {
            h3 { "Figures" }
            div class="table" {
                table {
                    tbody {
                        @for (name, value) in figures {
                            @let (unit, name) = Unit::of_figure(name);
                            (fact(&name, &unit.text(*value)))
                        }
                    }
                }
            }
        }
    }
}

fn figure(round: &Round, name: &str) -> String {
    round.figures.get(name).map_or_else(|| "–".to_owned(), |value| Unit::of_figure(name).0.text(*value))
}

fn tester(outcome: &Outcome) -> Markup {
    let (tester, lag) = (&outcome.tester, &outcome.tester.lag_us);
    html! {
        section class="tester" {
            h3 { "The tester itself" }
            div class="table" {
                table {
                    tbody {
                        (fact("busiest thread", &Unit::Share.text(tester.busiest_thread)))
                        (fact("its own lag, p50", &Unit::Microseconds.text(whole(lag.p50))))
                        (fact("its own lag, p99", &Unit::Microseconds.text(whole(lag.p99))))
                        (fact("its own lag, at worst", &Unit::Microseconds.text(whole(lag.max))))
                        (fact("receiving threads", &exact(u64::from(tester.threads))))
                        (fact("processes", &exact(u64::from(tester.agents))))
                        (fact("open files allowed", &exact(tester.open_files_max)))
                    }
                }
            }
        }
    }
}

fn settings(outcome: &Outcome) -> Markup {
    html! {
        section class="settings" {
            h3 { "Settings" }
            div class="table" {
                table {
                    tbody {
                        @for (name, value) in &outcome.settings {
                            tr { th scope="row" { (name) } td { code { (value) } } }
                        }
                    }
                }
            }
        }
    }
}

fn overview(outcomes: &[Outcome]) -> Markup {
    html! {
        nav class="table" {
            table {
                (heads(["run", "verdict", "delivered per second", "p50", "p99", "lost"]))
                tbody {
                    @for (place, outcome) in outcomes.iter().enumerate() {
                        @let (class, word) = match outcome.verdict {
                            Verdict::Pass => ("good", "passed"),
                            Verdict::Fail => ("bad", "failed"),
                            Verdict::TesterSaturated => ("bad", "none"),
                        };
                        tr {
                            th scope="row" { a href={ "#run-" (place + 1) } { (place + 1) ": " (outcome.scenario) } }
                            td class=(class) { (word) }
                            td { (Unit::PerSecond.text(outcome.delivered_per_second)) }
                            td { (Unit::Microseconds.text(whole(outcome.latency_us.p50))) }
                            td { (Unit::Microseconds.text(whole(outcome.latency_us.p99))) }
                            td { (exact(outcome.lost)) }
                        }
                    }
                }
            }
        }
    }
}

fn heads<const COLUMNS: usize>(names: [&str; COLUMNS]) -> Markup {
    html! { thead { tr { @for name in names { th scope="col" { (name) } } } } }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { tr { th scope="row" { (name) } td { (value) } } }
}

fn with_rate(count: u64, per_second: f64) -> String {
    format!("{} ({})", exact(count), Unit::PerSecond.text(per_second))
}

fn how_to_read() -> Markup {
    html! {
        p {
            "Latency is counted from the moment an event was due to be published, not from when it was sent: a stall "
            "of the server or of the tester is in the figures of every event that had to wait for it. "
            "Plots over time show the worst second where several seconds share a point."
        }
    }
}
