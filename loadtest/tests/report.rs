//! The report stands alone, shows what a run has, says nothing of what it has not, and cannot be broken by settings.

use loadtest::tester::outcome::{Latency, Outcome, Round, Sample, ServerCost, Tester, Verdict};
use loadtest::tester::plot::{self, Kind, PlotArguments};
use loadtest::tester::record::{Machine, Record, Run};
use loadtest::tester::report::{self, Figure, Plot};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SECTIONS: [&str; 6] = ["latency", "arrivals", "server", "rounds", "tester", "settings"];
const PLOTS: [&str; 9] = [
    "Latency by percentile",
    "Latency over time",
    "Events delivered per second",
    "Events published per second",
    "Connections over time",
    "The server's memory over time",
    "The server's memory over connections",
    "The server's processor time",
    "Rates tried",
];

#[test]
fn a_rich_run_has_every_section_and_every_plot() {
    let page = written("rich", &rich());
    for section in SECTIONS {
        assert_eq!(page.matches(&format!("<section class=\"{section}\">")).count(), 1, "{section}");
    }
    for plot in PLOTS {
        assert_eq!(plots_named(&page, plot), 2, "one wide and one narrow: {plot}");
    }
    assert_well_formed(&page);
}

#[test]
fn a_run_that_found_nothing_out_has_no_section_for_what_is_not_there() {
    let page = written("bare", &Outcome { scenario: "fanout".to_owned(), ..Outcome::default() });
    assert!(!page.contains("<svg"), "nothing to plot");
    for absent in ["server", "rounds", "settings"] {
        assert!(!page.contains(&format!("<section class=\"{absent}\">")), "{absent}");
    }
    for present in ["latency", "arrivals", "tester"] {
        assert!(page.contains(&format!("<section class=\"{present}\">")), "{present}");
    }
    assert!(!page.contains("connecting"), "no times of connecting were measured");
    assert_well_formed(&page);
}

#[test]
fn each_plot_is_there_for_its_own_figures_only() {
    let without = |change: fn(&mut Outcome)| {
        let mut outcome = rich();
        change(&mut outcome);
        report::page(&[outcome])
    };
    let unread = without(|it| it.samples.iter_mut().for_each(|sample| sample.rss_bytes = 0));
    assert_eq!(
        (plots_named(&unread, PLOTS[5]), plots_named(&unread, PLOTS[6]), plots_named(&unread, PLOTS[1])),
        (0, 0, 2)
    );
    let steady = without(|it| it.samples.iter_mut().for_each(|sample| sample.connections = 7));
    assert_eq!(
        (plots_named(&steady, PLOTS[4]), plots_named(&steady, PLOTS[6]), plots_named(&steady, PLOTS[5])),
        (0, 0, 2)
    );
    let silent = without(|it| it.samples.iter_mut().for_each(|sample| sample.published = 0));
    assert_eq!((plots_named(&silent, PLOTS[3]), plots_named(&silent, PLOTS[2])), (0, 2));
    let storm = without(|it| it.rounds = storms());
    assert_eq!((plots_named(&storm, PLOTS[8]), plots_named(&storm, "Times by round")), (0, 2));
}

#[test]
fn the_page_needs_nothing_from_anywhere() {
    let page = report::page(&[rich(), rich()]);
    let elsewhere = page.replace("http://www.w3.org/2000/svg", "");
    for reference in ["http:", "https:", "//cdn", "<script", "@import", "url(", " src=", "javascript:"] {
        assert!(!elsewhere.contains(reference), "{reference}");
    }
    for link in page.split("href=\"").skip(1) {
        assert!(link.starts_with('#') || link.starts_with("data:,\""), "{}", &link[..40]);
    }
}

#[test]
fn whatever_a_setting_holds_is_shown_and_not_obeyed() {
    let evil = "</td><script>alert(1)</script>\" onload=\"x\" & <svg>";
    let mut outcome = rich();
    outcome.settings.insert(evil.to_owned(), evil.to_owned());
    outcome.scenario = evil.to_owned();
    outcome.reasons.push(evil.to_owned());
    outcome.rounds.push(Round {
        name: evil.to_owned(),
        figures: BTreeMap::from([(evil.to_owned(), 1.0)]),
        ..Round::default()
    });
    let page = report::page(&[outcome.clone(), outcome]);
    assert!(!page.contains("<script") && !page.contains("\" onload"), "escaped");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "shown");
    assert_well_formed(&page);
}

#[test]
fn names_of_subjects_and_figures_are_escaped_in_plots_too() {
    const EVIL: &str = "\"><script>&";
    let mut record = recorded();
    for run in &mut record.runs {
        EVIL.clone_into(&mut run.subject);
        run.figures.insert(EVIL.to_owned(), 1.0);
    }
    let figure = Figure(EVIL.to_owned());
    for plot in [Plot::Curve { figure: figure.clone(), over: "clients".to_owned() }, Plot::Bars { figure }] {
        let svg = report::plot(&plot, &[record.clone()]).expect("a plot");
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"), "{plot:?}");
        assert_well_formed(&svg);
    }
}

#[test]
fn points_say_their_figures_when_pointed_at_where_there_is_a_pointer() {
    let page = report::page(&[rich()]).replace('\u{a0}', " ");
    let words = "<title>p99\ntime: 3 s\nlatency: 560 µs</title>";
    assert_eq!(page.matches(words).count(), 1);
    for narrow in page.split("<div class=\"narrow\">").skip(1) {
        assert!(!narrow.split_once("</div>").expect("an end").0.contains("<title>"), "phones have no pointer");
    }
}

#[test]
fn each_verdict_has_its_words_and_all_reasons_are_given() {
    for (verdict, words) in
        [(Verdict::Pass, "Passed"), (Verdict::Fail, "Failed"), (Verdict::TesterSaturated, "No verdict")]
    {
        let reasons = vec!["first reason".to_owned(), "second reason".to_owned()];
        let page = report::page(&[Outcome { verdict, reasons, ..rich() }]);
        assert!(page.contains(&format!("<h2>{words}")), "{words}");
        assert!(page.contains("<li>first reason</li><li>second reason</li>"));
    }
}

#[test]
fn several_runs_share_a_page_with_an_overview_that_leads_to_each() {
    let page = report::page(&[rich(), Outcome { verdict: Verdict::Fail, ..rich() }]);
    for run in ["run-1", "run-2"] {
        assert!(page.contains(&format!("href=\"#{run}\"")) && page.contains(&format!("id=\"{run}\"")), "{run}");
    }
    assert_well_formed(&page);
}

#[test]
fn a_day_of_samples_makes_a_page_no_larger_than_minutes_do() {
    let day = Outcome { samples: (1..=86_400).map(sample).collect(), ..rich() };
    let page = report::page(&[day]);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

#[test]
fn figures_stand_in_the_page_as_people_write_them() {
    let page = report::page(&[rich()]).replace('\u{a0}', " ");
    for figure in ["2.41 M/s", "340 ns", "1.2 KiB", "41.3 µs", "72 300 000", "480 µs", "1.25 ms"] {
        assert!(page.contains(figure), "{figure}");
    }
}

#[test]
fn plots_of_recorded_runs_are_files_of_their_own_with_both_lights() {
    for (kind, name) in [(Kind::Curve, "curve"), (Kind::Bars, "bars"), (Kind::Latency, "latency")] {
        let mut arguments = arguments(kind, name);
        if kind == Kind::Latency {
            arguments.with.push(("clients".to_owned(), 1_000));
        }
        plot::run(&arguments).expect("a plot");
        let svg = std::fs::read_to_string(&arguments.out).expect("a file");
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(svg.contains("prefers-color-scheme:dark"));
        for subject in ["fanout", "floor joined"] {
            assert!(svg.contains(subject), "{subject} in {name}");
        }
        assert_well_formed(&svg);
    }
}

#[test]
fn a_plot_that_the_runs_do_not_make_is_refused_with_a_sentence() {
    let refusal = |change: fn(&mut PlotArguments)| {
        let mut arguments = arguments(Kind::Latency, "none");
        change(&mut arguments);
        plot::run(&arguments).expect_err("refused")
    };
    assert!(
        refusal(|it| (it.kind, it.figure) = (Kind::Curve, "unheard_of".to_owned())).starts_with("these runs do not")
    );
    assert!(refusal(|it| it.with = vec![("window".to_owned(), 17)]).starts_with("these runs do not"));
    assert!(refusal(|it| it.with.clear()).starts_with("18 curves cannot be told apart"));
    assert!(refusal(|it| it.runs = vec!["not-there.json".to_owned()]).starts_with("not-there.json: "));
}

#[test]
fn a_bare_outcome_is_plotted_under_the_name_it_is_given() {
    let file = scratch("outcome.json");
    std::fs::write(&file, serde_json::to_string(&rich()).expect("JSON")).expect("written");
    let mut arguments = arguments(Kind::Latency, "bare-outcome");
    arguments.runs = vec![format!("nchan={}", file.display())];
    plot::run(&arguments).expect("a plot");
    let svg = std::fs::read_to_string(&arguments.out).expect("a file");
    assert!(svg.contains("nchan") && svg.contains("Latency by percentile · clients 30"), "subject and settings");
}

fn rich() -> Outcome {
    let percentiles = [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99, 99.999, 100.0];
    let micros = [90, 160, 210, 260, 320, 370, 480, 560, 900, 2_300, 3_900, 4_100];
    Outcome {
        published: 72_300,
        delivered: 72_300_000,
        closed: 2,
        latency_us: Latency { p50: 210, p90: 320, p99: 480, p999: 1_250, max: 4_100 },
        server: Some(server_cost(340.0)),
        scenario: "capacity".to_owned(),
        settings: [("clients", "30"), ("url", "ws://127.0.0.1:8084/ws?username={user}"), ("slo", "p99=50ms")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        connected: 1_000,
        closed_by_code: BTreeMap::from([(1006, 2)]),
        seconds: 30.0,
        published_per_second: 2_410.0,
        delivered_per_second: 2_410_000.0,
        tester: Tester { busiest_thread: 0.82, threads: 1, agents: 1, open_files_max: 20_000, ..Tester::default() },
        percentiles: percentiles.into_iter().zip(micros).collect(),
        samples: (1..=30).map(sample).collect(),
        connecting_us: Some(Latency { p50: 900, p90: 1_400, p99: 2_600, p999: 4_000, max: 9_000 }),
        handshakes_per_second: Some(21_500.0),
        rounds: rates(),
        ..Outcome::default()
    }
}

fn sample(second: u32) -> Sample {
    let wave = u64::from(second % 7);
    Sample {
        second: f64::from(second),
        connections: u64::from(second.min(15)) * 1_000,
        published: 2_300 + 40 * wave,
        delivered: 2_300_000 + 40_000 * wave,
        closed: 0,
        latency_us: Latency {
            p50: 200 + 5 * wave,
            p90: 320,
            p99: 470 + 30 * wave,
            p999: 1_100,
            max: 1_500 + 400 * wave,
        },
        rss_bytes: (12 << 20) + u64::from(second.min(15)) * 1_200_000,
        server_cores: 0.9 + f64::from(second % 3) / 50.0,
    }
}

fn rates() -> Vec<Round> {
    [(1_000.0, 0.9e3, true), (2_000.0, 1.4e3, true), (4_000.0, 7.8e5, false), (3_000.0, 4.8e4, true)]
        .map(|(rate, p99, held)| Round {
            name: format!("{rate} events/s"),
            held,
            figures: [("p99_us", p99), ("delivered_per_second", rate * 1_000.0)].map(named).into(),
        })
        .to_vec()
}

fn storms() -> Vec<Round> {
    [("at once", 1.9e6), ("staggered", 4e5)]
        .map(|(name, back)| Round {
            name: name.to_owned(),
            held: true,
            figures: [("all_back_us", back), ("connecting_p99_us", back / 3.0)].map(named).into(),
        })
        .to_vec()
}

fn named((name, value): (&str, f64)) -> (String, f64) {
    (name.to_owned(), value)
}

fn server_cost(cpu_ns_per_delivery: f64) -> ServerCost {
    ServerCost {
        cpu_ns_per_delivery,
        rss_bytes_per_connection: 1_229.0,
        kernel_bytes_per_connection: Some(4_300.0),
        cpu_ns_per_handshake: 41_300.0,
        rss_bytes: 30 << 20,
        ..ServerCost::default()
    }
}

fn recorded() -> Record {
    let costs = [("fanout", 310.0), ("floor joined", 360.0), ("nchan", 3_100.0)];
    let runs = costs.into_iter().flat_map(|(subject, cost)| {
        [1, 10, 100, 1_000, 10_000, 19_000].into_iter().flat_map(move |clients: u32| {
            (1..=3).map(move |round| {
                let grown = cost * (1.0 + f64::from(clients.ilog2() + round) / 40.0) + 2_000.0 / f64::from(clients);
                Run {
                    subject: subject.to_owned(),
                    round,
                    settings: [("clients", clients), ("window", 16)]
                        .map(|(name, it)| (name.to_owned(), it.into()))
                        .into(),
                    outcome: Outcome { server: Some(server_cost(grown)), ..rich() },
                    ..Run::default()
                }
            })
        })
    });
    let row = "curve-clients".to_owned();
    Record { row, date: "2026-11-21".to_owned(), machine: Machine::here(), runs: runs.collect() }
}

fn arguments(kind: Kind, name: &str) -> PlotArguments {
    let file = scratch(&format!("{name}.json"));
    recorded().write(&file).expect("written");
    PlotArguments {
        out: scratch(&format!("{name}.svg")),
        over: "clients".to_owned(),
        figure: "cost".to_owned(),
        only: Vec::new(),
        with: Vec::new(),
        kind,
        runs: vec![file.display().to_string()],
    }
}

fn written(name: &str, outcome: &Outcome) -> String {
    let file = scratch(&format!("{name}.html"));
    report::write(outcome, &file).expect("written");
    std::fs::read_to_string(&file).expect("a file")
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}"))
}

fn plots_named(page: &str, name: &str) -> usize {
    page.matches(&format!("aria-label=\"{name}:")).count()
}

/// Every element that is opened is closed, in order; those without contents are known.
fn assert_well_formed(text: &str) {
    const EMPTY: [&str; 3] = ["meta", "link", "!DOCTYPE"];
    let mut open = Vec::new();
    for tag in text.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !tag.ends_with('/') && !EMPTY.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}
