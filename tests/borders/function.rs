//! The functions of a source file: where they are, how long, with how many parameters.

use super::source::{Source, Word, end_of_item, is_word_letter};

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Where it begins, counted from 1.
    pub(crate) line: usize,
    /// From its signature to the brace that closes it.
    pub(crate) lines: usize,
    /// Without `self`.
    pub(crate) parameters: usize,
    pub(crate) is_test: bool,
}

/// Every function of a file; those within functions count in both.
pub(crate) fn all(source: &Source) -> Vec<Function> {
    source.words().filter(|word| word.text == "fn").filter_map(|word| function(source, word)).collect()
}

/// `None` for a type such as `fn(u8) -> u8`, and for a function that is only declared.
fn function(source: &Source, keyword: Word<'_>) -> Option<Function> {
    let signature = source.behind(keyword).strip_prefix(' ')?;
    let name: String = signature.chars().take_while(|&letter| is_word_letter(letter)).collect();
    if name.is_empty() {
        return None;
    }
    let parameters_at = source.code.len() - signature.len() + name.len();
    let parameters_at = parameters_at + generics_bytes(&source.code[parameters_at..]);
    let end = end_of_item(&source.code, parameters_at);
    if !source.code[..end].ends_with('}') {
        return None;
    }
    let line = source.line(keyword.at);
    let lines = source.line(end - 1) - line + 1;
    let parameters = count_parameters(&source.code[parameters_at..]);
    Some(Function { name, line, lines, parameters, is_test: source.is_test(keyword.at) })
}

/// The length of `<…>` in front of a parameter list.
fn generics_bytes(code: &str) -> usize {
    let (mut depth, mut previous) = (0_usize, ' ');
    for (at, letter) in code.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if previous != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + usize::from(letter == '>');
        }
        previous = letter;
    }
    code.len()
}

/// Counts what stands between the commas of a list in parentheses; `self` is not one of them.
fn count_parameters(code: &str) -> usize {
    let (mut depth, mut previous, mut parameters) = (0_usize, ' ', vec![String::new()]);
    for letter in code.trim_start().chars() {
        match letter {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if previous == '-' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 1 => parameters.push(String::new()),
            _ => parameters.last_mut().expect("there is a first one").push(letter),
        }
        if depth == 0 {
            break;
        }
        previous = letter;
    }
    parameters.iter().filter(|parameter| !is_receiver(parameter) && !parameter.trim().is_empty()).count()
}

fn is_receiver(parameter: &str) -> bool {
    let name = parameter.split(':').next().unwrap_or_default();
    name.split(|letter| !is_word_letter(letter)).any(|word| word == "self")
}
