//! What `fanout doctor` is asked for, beside the settings that it looks at.

use clap::{Arg, ArgAction, ArgMatches};

/// How it is told, and what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoctorOrder {
    /// For whom it is written.
    pub form: Form,
    /// What makes the exit code 1.
    pub strictness: Strictness,
}

/// For whom the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// People: lines in columns.
    Text,
    /// Programs: one object.
    Json,
}

/// What makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Only what cannot work.
    Failures,
    /// What could be better, too.
    Warnings,
}

/// What may be typed behind `fanout doctor` beside the settings.
pub(super) fn arguments() -> Vec<Arg> {
    let switch = |name: &'static str, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    vec![switch("json", "Prints one JSON object instead of lines"), switch("strict", "Exits with 1 for warnings, too")]
}

impl DoctorOrder {
    pub(super) fn of(matches: &ArgMatches) -> Self {
        Self {
            form: if matches.get_flag("json") { Form::Json } else { Form::Text },
            strictness: if matches.get_flag("strict") { Strictness::Warnings } else { Strictness::Failures },
        }
    }
}
