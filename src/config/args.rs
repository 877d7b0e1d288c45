//! What was typed or set, before it means anything.

use super::file::ConfigFile;
use super::key::Key;
use super::refusal::{Refusal, Unfit, refusal};
use super::setting::{Preset, Setting};
use super::table::SETTINGS;
use std::fmt;
use std::rc::Rc;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Flag(&'static str),
    Environment(&'static str),
    /// The file and the line.
    File(Rc<str>, usize),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path, line) => write!(f, "file {path}, line {line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The values of all settings as text: flags win over the environment, the environment over the file, the file over
/// defaults.
pub(super) struct Arguments {
    /// By [`Key`].
    given: Vec<Option<(String, Source)>>,
    /// The file that was read, if one is named.
    pub(super) file: Option<ConfigFile>,
}

impl Arguments {
    /// Adds to what was typed behind flags what is set in the environment and what the file holds, if one is named.
    ///
    /// # Errors
    /// One sentence about the first mistake in the file, or about the file.
    pub(super) fn gather(
        typed: impl Fn(&'static str) -> Option<String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Refusal> {
        let given = |setting| given(setting, &typed, &environment);
        let mut arguments = Self { given: SETTINGS.iter().map(given).collect(), file: None };
        if let Some(file) = arguments.optional(Key::Config, ConfigFile::find)? {
            let path: Rc<str> = file.path.display().to_string().into();
            for (place, entry) in arguments.given.iter_mut().zip(file.entries()?) {
                let entry = entry.map(|(text, line)| (text, Source::File(Rc::clone(&path), line)));
                *place = place.take().or(entry);
            }
            arguments.file = Some(file);
        }
        Ok(arguments)
    }

    /// Where the value came from.
    pub(super) fn source(&self, key: Key) -> Source {
        self.given[key as usize].as_ref().map_or(Source::Default, |(_, source)| source.clone())
    }

    /// Whether a setting that stands for several, such as an address, leaves one of them to the setting `part`: where
    /// nothing but the file sets it, and a flag or variable the part.
    pub(super) fn gives_way(&self, whole: Key, part: Key) -> bool {
        match self.source(whole) {
            Source::Default => true,
            Source::File(..) => matches!(self.source(part), Source::Flag(_) | Source::Environment(_)),
            Source::Flag(_) | Source::Environment(_) => false,
        }
    }

    /// Whether a flag, a variable or the file holds something; an empty text is nothing.
    pub(super) fn is_set(&self, key: Key) -> bool {
        self.text(key).is_some_and(|text| !text.is_empty())
    }

    /// What was given, if anything was.
    pub(super) fn text(&self, key: Key) -> Option<&str> {
        self.given[key as usize].as_ref().map(|(text, _)| text.as_str())
    }

    /// The value, if there is one.
    pub(super) fn optional<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, Unfit>,
    ) -> Result<Option<T>, Refusal> {
        let text = match (&self.given[key as usize], key.setting().preset) {
            (Some((text, _)), _) => text,
            (None, Preset::Value(text)) => text,
            (None, Preset::Derived(_)) => return Ok(None),
        };
        parse(text).map(Some).map_err(|unfit| self.refusal(key, text, &unfit))
    }

    /// The value of a setting whose default is one.
    pub(super) fn required<T>(&self, key: Key, parse: impl FnOnce(&str) -> Result<T, Unfit>) -> Result<T, Refusal> {
        self.optional(key, parse).map(|value| value.expect("the table gives a value by default"))
    }

    /// What one of these words stands for.
    pub(super) fn choice<T, const WORDS: usize>(&self, key: Key, choices: [(&str, T); WORDS]) -> Result<T, Refusal> {
        self.required(key, |text| {
            let chosen = choices.into_iter().find(|(word, _)| *word == text);
            chosen.map(|(_, meaning)| meaning).ok_or(Unfit::Shape)
        })
    }

    fn refusal(&self, key: Key, text: &str, unfit: &Unfit) -> Refusal {
        let place = match self.source(key) {
            Source::Flag(flag) => format!("--{flag}"),
            Source::Environment(name) => name.to_owned(),
            Source::File(path, line) => format!("{path}:{line}: {}", key.setting().name()),
            Source::Default => format!("the default of {key:?}"),
        };
        refusal(&place, key.setting(), text, unfit)
    }
}

fn given(
    setting: &Setting,
    typed: impl Fn(&'static str) -> Option<String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Option<(String, Source)> {
    let flag = setting.flag.and_then(|flag| Some((typed(flag)?, Source::Flag(flag))));
    flag.or_else(|| {
        let name = setting.environment?;
        let text = environment(name).filter(|text| !text.is_empty())?;
        Some((text, Source::Environment(name)))
    })
}
