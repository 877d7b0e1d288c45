//! The files of the console: what they weigh, and that they need nothing but each other.

use super::*;
use crate::metrics::{Drop, Refused};
use crate::wire::close::CloseCode;

/// What a page may weigh that is loaded over a telephone, all of it and uncompressed.
const PAGE_BYTES_MAX: usize = 150_000;

fn all() -> impl Iterator<Item = &'static File> {
    [&INDEX].into_iter().chain(FILES)
}

/// What stands behind each `before` in a file, up to the next quote.
fn quoted<'a>(file: &'a File, before: &'a str) -> impl Iterator<Item = &'a str> {
    file.text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn the_page_is_light() {
    let bytes: usize = all().map(|file| file.text.len()).sum();
    assert!(bytes < PAGE_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn every_file_that_is_asked_for_is_there_and_every_file_is_asked_for() {
    let links = ["href=\"/console/", "src=\"/console/"].into_iter().flat_map(|before| quoted(&INDEX, before));
    let imports = FILES.iter().flat_map(|file| quoted(file, " from \"./"));
    let mut wanted: Vec<&str> = links.chain(imports).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut there: Vec<&str> = FILES.iter().map(|file| file.name).collect();
    there.sort_unstable();
    assert_eq!(wanted, there);
}

#[test]
fn every_reason_of_a_loss_has_its_words() {
    let text = include_str!("losses.js");
    let reasons = Drop::ALL.map(Drop::label).into_iter().chain(Refused::ALL.map(Refused::label)).map(str::to_owned);
    let silent: Vec<String> = reasons
        .chain(CloseCode::ALL.map(CloseCode::label))
        .filter(|reason| !text.contains(&format!("\n    {reason}: \"")))
        .collect();
    assert_eq!(silent, [""; 0]);
}

#[test]
fn nothing_is_fetched_from_elsewhere_and_nothing_is_inline() {
    for file in all() {
        // Names of formats begin like addresses.
        let text = file.text.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http:", "https:", "src=\"//", "href=\"//", "@import", "url("] {
            let found = text.matches(foreign).count() - text.matches(&format!("\"{foreign}\"")).count();
            assert_eq!(found, 0, "{}: {foreign}", file.name);
        }
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(markup), "{}: {markup}", file.name);
        }
    }
    for inline in ["<style", " style=", "<script>", " onclick=", "javascript:"] {
        assert!(!INDEX.text.contains(inline), "the policy forbids {inline}");
    }
}

#[test]
fn every_file_of_code_says_in_its_first_line_what_it_is() {
    let is_silent = |file: &&File| match file.content_type {
        SCRIPT => !file.text.starts_with("// "),
        CSS => !file.text.starts_with("/* "),
        _ => false,
    };
    let silent: Vec<&str> = FILES.iter().filter(is_silent).map(|file| file.name).collect();
    assert_eq!(silent, [""; 0]);
}
