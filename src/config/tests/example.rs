//! The example of a configuration file: every setting, what it is for, and its default.

use super::super::kind::Kind;
use super::super::{Config, Group, Preset, SETTINGS, Setting};
use super::file::Scratch;
use super::{Host, config_on};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Columns of a comment.
const COLUMNS: usize = 100;

const PREFACE: &str = "\
# Settings of fanout. Every line that is commented out shows the default; what stands in <> has none.
#
#   fanout --config fanout.toml config     prints what is in force and where it came from
#   kill -HUP PID                          reads it again: what has a ↻ changes, the log names what needs a restart
#
# Flags win over the environment, the environment over this file.
";

/// The text of `deploy/fanout.toml`.
fn example() -> String {
    let mut text = PREFACE.to_owned();
    let mut group: Option<Group> = None;
    for setting in SETTINGS.iter().filter(|setting| setting.is_in_file()) {
        if group.replace(setting.group) != Some(setting.group) {
            write!(text, "\n\n# == {} ==\n", setting.group.heading()).expect("a String takes all");
        }
        write!(text, "\n{}#{} = {}\n", comment(setting), setting.name(), value(setting)).expect("a String takes all");
    }
    text
}

fn comment(setting: &Setting) -> String {
    let default = match setting.preset {
        Preset::Derived(words) => format!(" Default: {words}."),
        Preset::Value(_) => String::new(),
    };
    let live = if setting.key.is_live() { " ↻" } else { "" };
    let words = format!("{}. Allowed: {}.{default}{live}", setting.description, setting.kind);
    let mut lines = String::new();
    let mut column = COLUMNS;
    for word in words.split(' ') {
        column += 1 + word.chars().count();
        if column > COLUMNS {
            lines.push_str(if lines.is_empty() { "#" } else { "\n#" });
            column = 2 + word.chars().count();
        }
        lines.push(' ');
        lines.push_str(word);
    }
    lines.push('\n');
    lines
}

/// As TOML.
fn value(setting: &Setting) -> String {
    let is_bare = matches!(setting.kind, Kind::Number { .. });
    match setting.preset {
        Preset::Value(value) if is_bare => value.to_owned(),
        Preset::Value(value) if setting.kind.is_list() => format!("[\"{value}\"]"),
        Preset::Value(value) => format!("\"{value}\""),
        Preset::Derived(_) if is_bare => format!("<{}>", setting.kind.unit()),
        Preset::Derived(_) if setting.kind.is_list() => format!("[\"<{}>\"]", setting.kind.unit()),
        Preset::Derived(_) => format!("\"<{}>\"", setting.kind.unit()),
    }
}

#[test]
fn the_example_holds_every_setting_and_its_default() {
    let example = example();
    let written = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/fanout.toml"));
    let text = fs::read_to_string(written).expect("the example is deployed");
    assert!(text == example, "write this to deploy/fanout.toml:\n{example}");
    for setting in SETTINGS.iter().filter(|setting| setting.is_in_file()) {
        assert!(example.contains(&format!("\n#{} = ", setting.name())), "{:?}", setting.key);
    }
    // With every line in force that has a value, all is as without a file.
    let lines = example.lines().filter(|line| !line.starts_with("# ") && !line.contains('<'));
    let text = lines.map(|line| line.trim_start_matches('#')).collect::<Vec<_>>().join("\n");
    assert!(text.contains("\nlisten = "), "{text}");
    let file = Scratch::of(&text);
    let config = |words: &str| Config { file: None, ..config_on(&Host::pretend(2), words, "") };
    let (with, without) = (config(&format!("--broker redis {}", file.flag())), config("--broker redis"));
    assert_eq!(format!("{with:#?}"), format!("{without:#?}"));
}
