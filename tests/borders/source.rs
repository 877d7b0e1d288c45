//! A Rust source file as plain text: which bytes are code, which lines are tests, where the words are.

use std::fs;
use std::path::{Path, PathBuf};

/// One file below `src/`.
pub(crate) struct Source {
    /// Relative to the package, for example `src/engine/mesh.rs`.
    pub(crate) path: String,
    /// What stands in the file.
    pub(crate) text: String,
    /// The same bytes with comments and literals blanked; line breaks stay where they are.
    pub(crate) code: String,
    /// Lines that hold more than blanks and comments.
    has_code: Vec<bool>,
    /// Lines that only exist while testing.
    is_test: Vec<bool>,
}

/// A word of the code, outside comments and literals.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    /// Where it begins, in bytes.
    pub(crate) at: usize,
}

/// What a byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Code,
    Literal,
    Comment,
}

/// Every source file of this package, in the order of their paths.
pub(crate) fn all() -> Vec<Source> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&package.join("src"), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let relative = path.strip_prefix(package).expect("below the package");
        Source::new(relative.to_string_lossy().into_owned(), text)
    };
    let mut sources: Vec<Source> = paths.iter().map(read).collect();
    let test_modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        if test_modules.iter().any(|module| is_part_of(&source.path, module)) {
            source.is_test.fill(true);
        }
    }
    sources
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of sources can be read") {
        let path = entry.expect("its entries too").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Whether a file is the module `module` (`src/sim`, for example) or one below it.
pub(crate) fn is_part_of(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let classes = classify(text.as_bytes());
        let code = text.bytes().zip(&classes).map(|(byte, &class)| match byte {
            b'\n' => '\n',
            _ if class == Class::Code && byte.is_ascii() => char::from(byte),
            _ => ' ',
        });
        let code: String = code.collect();
        let has_code = lines_with_code(&text, &classes);
        let mut source = Self { path, is_test: vec![false; has_code.len()], text, code, has_code };
        for (start, end) in source.test_items() {
            let (first, last) = (source.line(start), source.line(end));
            source.is_test[first - 1..last].fill(true);
        }
        source
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.code[..at].split('\n').count()
    }

    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.is_test[self.line(at) - 1]
    }

    /// Lines that are neither blank nor comment.
    pub(crate) fn code_lines(&self) -> usize {
        self.has_code.iter().filter(|&&has_code| has_code).count()
    }

    /// The same without tests.
    pub(crate) fn code_lines_without_tests(&self) -> usize {
        self.has_code.iter().zip(&self.is_test).filter(|&(&has_code, &is_test)| has_code && !is_test).count()
    }

    /// Every identifier and keyword.
    pub(crate) fn words(&self) -> impl Iterator<Item = Word<'_>> {
        let mut at = 0;
        self.code.split(|letter: char| !is_word_letter(letter)).filter_map(move |text| {
            let word = Word { text, at };
            at += text.len() + 1;
            (!text.is_empty()).then_some(word)
        })
    }

    /// The code from a word's end on.
    pub(crate) fn behind(&self, word: Word<'_>) -> &str {
        &self.code[word.at + word.text.len()..]
    }

    /// Where items that only exist while testing begin and end.
    fn test_items(&self) -> Vec<(usize, usize)> {
        let attributes = self.code.match_indices("#[cfg(test)]");
        attributes.map(|(start, attribute)| (start, end_of_item(&self.code, start + attribute.len()))).collect()
    }

    /// Modules in files of their own that only exist while testing.
    fn test_modules(&self) -> Vec<String> {
        let directory = self.path.strip_suffix("/mod.rs").or_else(|| self.path.strip_suffix("/lib.rs"));
        let directory = directory.or_else(|| self.path.strip_suffix(".rs")).expect("a Rust source");
        let module = |(start, end): (usize, usize)| {
            let item = self.code[start..end].rsplit_once(']')?.1.trim();
            let name = item.strip_prefix("mod ")?.strip_suffix(';')?;
            Some(format!("{directory}/{name}"))
        };
        self.test_items().into_iter().filter_map(module).collect()
    }
}

/// Whether `letter` may stand in an identifier.
pub(crate) fn is_word_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Where the item that begins at `from` ends: behind its `;`, or behind the brace that closes it.
pub(crate) fn end_of_item(code: &str, from: usize) -> usize {
    let (mut depth, mut bytes) = (0_usize, code.bytes().enumerate().skip(from));
    let end = bytes.find(|&(_, byte)| {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(byte, b'}' | b';')
    });
    end.map_or(code.len(), |(at, _)| at + 1)
}

fn lines_with_code(text: &str, classes: &[Class]) -> Vec<bool> {
    let mut lines = vec![false];
    for (byte, &class) in text.bytes().zip(classes) {
        let line = lines.last_mut().expect("there is a first line");
        *line |= class != Class::Comment && !byte.is_ascii_whitespace();
        if byte == b'\n' {
            lines.push(false);
        }
    }
    lines
}

fn classify(text: &[u8]) -> Vec<Class> {
    let mut classes = Vec::with_capacity(text.len());
    while classes.len() < text.len() {
        let at = classes.len();
        let (class, length) = token(text, at);
        classes.resize((at + length).min(text.len()), class);
    }
    classes
}

/// The class of what begins at `at`, and how many bytes of that class are certain.
fn token(text: &[u8], at: usize) -> (Class, usize) {
    let rest = &text[at..];
    if rest.starts_with(b"//") {
        return (Class::Comment, rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return (Class::Comment, block_comment_bytes(rest));
    }
    let is_inside_word = at > 0 && is_word_letter(char::from(text[at - 1])) && !ends_with_prefix(&text[..at]);
    let literal_bytes = match rest[0] {
        b'"' => Some(quoted_bytes(rest)),
        b'\'' => character_bytes(rest),
        b'r' if !is_inside_word => raw_bytes(rest),
        _ => None,
    };
    literal_bytes.map_or((Class::Code, 1), |bytes| (Class::Literal, bytes))
}

/// Whether the `b` or `c` of a raw string's `br` or `cr` stands here, and not the end of a word.
fn ends_with_prefix(before: &[u8]) -> bool {
    let [before @ .., b'b' | b'c'] = before else { return false };
    !before.last().is_some_and(|&byte| is_word_letter(char::from(byte)))
}

fn block_comment_bytes(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_bytes(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// `None` for a lifetime.
fn character_bytes(rest: &[u8]) -> Option<usize> {
    let close = |from: usize| rest.iter().skip(from).position(|&byte| byte == b'\'').map(|bytes| from + bytes + 1);
    if rest.get(1) == Some(&b'\\') {
        return close(3);
    }
    let character = std::str::from_utf8(&rest[1..rest.len().min(5)]);
    let valid = character.unwrap_or_else(|error| std::str::from_utf8(&rest[1..=error.valid_up_to()]).unwrap_or(""));
    let bytes = valid.chars().next()?.len_utf8();
    (rest.get(1 + bytes) == Some(&b'\'')).then_some(bytes + 2)
}

/// `None` for a word that begins with an `r`, a raw identifier among them.
fn raw_bytes(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = [b'"'].into_iter().chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    let bytes = rest[body..].windows(close.len()).position(|window| window == close);
    Some(bytes.map_or(rest.len(), |bytes| body + bytes + close.len()))
}
