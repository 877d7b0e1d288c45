//! Texts made from the tables: help, manual page, completions, effective settings.

use super::super::kind::Kind;
use super::super::{Preset, SETTINGS, command};
use super::{Command, Host, printed, run_on};
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn the_help_names_every_setting_with_its_default() {
    let help = command::command().term_width(0).max_term_width(0).render_long_help().to_string();
    for setting in SETTINGS {
        let line =
            setting.flag.map_or_else(|| setting.environment.unwrap_or_default().to_owned(), |flag| format!("--{flag}"));
        let section = help.split_once(&format!("  {line}")).unwrap_or_else(|| panic!("no {line} in\n{help}")).1;
        let section = section.split("\n  -").next().unwrap_or_default();
        assert!(section.contains(setting.description), "{section}");
        if setting.kind != Kind::Switch {
            assert!(section.contains(&format!("[default: {}]", setting.preset.text())), "{section}");
        }
        if let Some(name) = setting.environment {
            assert!(section.contains(&format!("[environment: {name}]")), "{section}");
        }
        assert!(help.contains(&format!("{}:\n", setting.group.heading())), "{}", setting.group.heading());
    }
    for arguments in ["--help", "-h", "serve --help", "doctor --help", "man --help", "--version"] {
        let shown = run_on(&Host::pretend(2), arguments, "").expect_err(arguments);
        assert_eq!(shown.exit_code(), 0, "{arguments}");
    }
}

/// The text that `arguments` ask for, with a variable set that no setting would take.
fn document(arguments: &str) -> String {
    match run_on(&Host::pretend(2), arguments, "PORT=nonsense") {
        Ok(Command::Print(text)) => text,
        other => panic!("{arguments}: {other:?}"),
    }
}

#[test]
fn the_manual_page_and_the_completions_name_every_setting_and_every_subcommand() {
    let flags = || SETTINGS.iter().filter_map(|setting| setting.flag);
    let variables = SETTINGS.iter().filter_map(|setting| setting.environment);
    let manual = document("man").replace("\\-", "-");
    let words = flags().map(|flag| format!("--{flag}")).chain(variables.map(str::to_owned));
    for word in words.chain(["--sub <NAME>", "<SHELL>", ".TH FANOUT 1"].map(str::to_owned)) {
        assert!(manual.contains(&word), "no {word} in\n{manual}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = document(&format!("completions {shell}"));
        for word in flags().chain([
            "serve",
            "doctor",
            "config",
            "token",
            "publish",
            "listen",
            "trace",
            "completions",
            "man",
            "embedded",
            "expires",
        ]) {
            assert!(script.contains(word), "no {word} for {shell}");
        }
    }
}

#[test]
fn config_prints_what_print_config_does() {
    let (host, words) = (Host::pretend(2), "--port 1 --max-channels 2");
    for arguments in [format!("config {words}"), format!("{words} config"), format!("serve --print-config {words}")] {
        match run_on(&host, &arguments, "SHARDS=1") {
            Ok(Command::Print(text)) => assert_eq!(text, printed(words, "SHARDS=1"), "{arguments}"),
            other => panic!("{arguments}: {other:?}"),
        }
    }
}

/// The settings as the README shows them: a Markdown table, one line per setting, with a final line feed.
fn markdown_table() -> String {
    let mut table = "| flag | environment | default | allowed | what it is for |\n|---|---|---|---|---|\n".to_owned();
    let code = |text: String| format!("`{text}`");
    for setting in SETTINGS {
        let live = if setting.key.is_live() { " ↻" } else { "" };
        let flag = setting.flag.map_or("–".to_owned(), |flag| code(format!("--{flag}")));
        let environment = setting.environment.map_or("–".to_owned(), |name| code(name.to_owned()));
        let default = match setting.preset {
            Preset::Value(value) => code(value.to_owned()),
            Preset::Derived(words) => words.to_owned(),
        };
        // A bare `*` would start emphasis and a bare `[` a link.
        let allowed = setting.kind.to_string().replace('*', "\\*").replace('[', "\\[").replace('|', "\\|");
        let description = setting.description;
        writeln!(table, "| {flag}{live} | {environment} | {default} | {allowed} | {description} |")
            .expect("a String takes all");
    }
    table
}

#[test]
fn the_readme_carries_this_table() {
    let readme = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let text = std::fs::read_to_string(readme).expect("there is one");
    let after = text.split_once("<!-- settings: begin -->").expect("the marker of the table's begin").1;
    let inside = after.split_once("<!-- settings: end -->").expect("the marker of the table's end").0;
    assert!(inside.trim() == markdown_table().trim(), "put this between the markers:\n{}", markdown_table());
}
