//! The configuration file: TOML, each setting under its name, in no section.

use super::kind::Kind;
use super::refusal::{Refusal, Unfit, refusal};
use super::setting::Setting;
use super::table::SETTINGS;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// Longest file, in bytes: a hundred times what every setting with its description takes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What others than its owner and its group may do with a file (chmod(2)).
const READABLE_FOR_OTHERS: u32 = 0o004;

/// How alike two names are, of 1, of which one may be the other mistyped (Jaro).
const ALIKE_MIN: f64 = 0.7;

/// A file and what it says.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) is_readable_for_others: bool,
    text: String,
}

/// A value as one would type it, and its line, counted from 1; `None` where the file does not name the setting.
type Entry = Option<(String, usize)>;

impl ConfigFile {
    /// Reads the file at `path`, which has to be a regular one: a pipe could be read only once, and a terminal never.
    pub(super) fn find(path: &str) -> Result<Self, Unfit> {
        let file = fs::metadata(path).map_err(|error| unusable(&error))?;
        if !file.is_file() {
            return Err(Unfit::Because("that is no regular file".to_owned()));
        }
        if file.len() > FILE_BYTES_MAX {
            return Err(Unfit::Because("that has more than 1MiB".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(|error| unusable(&error))?;
        Ok(Self { path: PathBuf::from(path), is_readable_for_others: is_readable_for_others(&file), text })
    }

    #[cfg(test)]
    pub(super) fn of(path: &str, text: &str) -> Self {
        Self { path: PathBuf::from(path), is_readable_for_others: false, text: text.to_owned() }
    }

    /// What it says about each setting, by [`Key`](super::key::Key).
    ///
    /// # Errors
    /// One sentence about the first mistake, with the file and the line.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Refusal> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let line = self.line(error.span().map_or(0, |span| span.start));
            // Its display would repeat the line, which may hold a secret.
            Refusal(format!(
                "{}:{line}: this is not TOML: {}",
                self.path.display(),
                error.message().replace('\n', "; ")
            ))
        })?;
        let mut named: Vec<_> = table.get_ref().iter().collect();
        named.sort_unstable_by_key(|(name, _)| name.span().start);
        let (path, mut entries) = (self.path.display(), vec![None; SETTINGS.len()]);
        for (name, value) in named {
            let line = self.line(name.span().start);
            let place = format!("{path}:{line}");
            let setting = setting(name.get_ref(), value.get_ref(), &place)?;
            let text = text(value.get_ref(), setting.kind).ok_or_else(|| {
                let written = &self.text[value.span()];
                refusal(&format!("{place}: {}", name.get_ref()), setting, written, &wrong_type(setting.kind))
            })?;
            entries[setting.key as usize] = Some((text, line));
        }
        Ok(entries)
    }

    /// The line of a place, counted from 1.
    fn line(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].split(|byte| *byte == b'\n').count()
    }
}

fn unusable(error: &io::Error) -> Unfit {
    Unfit::Because(match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file: write one, as deploy/fanout.toml is, or leave it out".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not read it: give it to the user or group it runs as".to_owned()
        }
        io::ErrorKind::InvalidData => "that is not UTF-8".to_owned(),
        _ => format!("it cannot be read ({error})"),
    })
}

fn is_readable_for_others(file: &Metadata) -> bool {
    file.permissions().mode() & READABLE_FOR_OTHERS != 0
}

/// The setting of this name, or which it could have been.
fn setting(name: &str, value: &DeValue<'_>, place: &str) -> Result<&'static Setting, Refusal> {
    let names = || SETTINGS.iter().filter(|setting| setting.is_in_file()).map(|setting| (setting.name(), setting));
    if let Some((_, setting)) = names().find(|(known, _)| known == name) {
        return Ok(setting);
    }
    let name = name.escape_debug();
    if matches!(value, DeValue::Table(_)) {
        return Err(Refusal(format!("{place}: [{name}] is a section; settings stand without sections")));
    }
    let nearest = names()
        .map(|(known, _)| (strsim::jaro(&known, &name.to_string()), known))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .filter(|(alike, _)| *alike >= ALIKE_MIN);
    Err(Refusal(match nearest {
        Some((_, nearest)) => format!("{place}: `{name}` is not known; did you mean `{nearest}`?"),
        None => format!("{place}: `{name}` is not known; fanout config lists what is"),
    }))
}

/// A value as one would type it behind the flag; `None` is of a type that nobody could mean.
fn text(value: &DeValue<'_>, kind: Kind) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if kind.is_numeric() => decimal(number),
        DeValue::Array(items) if kind.is_list() && !items.is_empty() => {
            let items: Option<Vec<String>> = items.iter().map(|item| entry(item, kind)).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}

/// One of several, which are typed between commas.
fn entry(item: &Spanned<DeValue<'_>>, kind: Kind) -> Option<String> {
    match item.get_ref() {
        DeValue::Array(_) => None,
        value => text(value, kind).filter(|text| !text.contains(',')),
    }
}

fn decimal(number: &DeInteger<'_>) -> Option<String> {
    i128::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
}

fn wrong_type(kind: Kind) -> Unfit {
    match kind {
        Kind::Cores => Unfit::Shape,
        kind if kind.is_list() => {
            Unfit::Because("that is neither text in quotes nor an array of entries in quotes".to_owned())
        }
        kind if kind.is_numeric() => Unfit::Shape,
        _ => Unfit::Because("that is no text in quotes".to_owned()),
    }
}
