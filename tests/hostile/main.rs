//! What strangers may send: the corpora of the fuzz targets and seeded mutations of them, on every test run.

#[path = "../../fuzz/src/lib.rs"]
pub mod invariants;
mod mutation;

use mutation::Mutations;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// A fuzz target's name and its invariants.
type Target = (&'static str, fn(&[u8]));

/// Every fuzz target there is.
const TARGETS: [Target; 8] = [
    ("client_frames", invariants::client_frames::check),
    ("flux_envelope", invariants::flux_envelope::check),
    ("flux_json", invariants::flux_json::check),
    ("query", invariants::query::check),
    ("request_head", invariants::request_head::check),
    ("resp_push", invariants::resp_push::check),
    ("resp_request", invariants::resp_request::check),
    ("tokens", invariants::tokens::check),
];

/// Mutations per target and test run: about a second.
const MUTATIONS: usize = 10_000;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// Names of the files in a directory, in order.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.expect("a file").path()).collect()
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    files(&directory("corpus").join(target)).iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// Tries a target with its corpus and with mutations of it.
fn check(name: &str) {
    let (_, check) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("it is in the table");
    let corpus = corpus(name);
    let mutations = Mutations::new(&corpus).take(MUTATIONS);
    for input in corpus.iter().cloned().chain(mutations) {
        catch_unwind(AssertUnwindSafe(|| check(&input))).unwrap_or_else(|panic| {
            eprintln!("{name}: the input was b\"{}\"", input.escape_ascii());
            resume_unwind(panic);
        });
    }
}

#[test]
fn a_client_is_understood_the_same_however_its_frames_are_cut() {
    check("client_frames");
}

#[test]
fn what_redis_says_is_understood_the_same_however_it_is_cut_and_as_others_understand_it() {
    check("resp_push");
}

#[test]
fn a_publisher_is_understood_the_same_however_its_commands_are_cut() {
    check("resp_request");
}

#[test]
fn a_request_head_has_one_reading() {
    check("request_head");
}

#[test]
fn a_query_is_what_a_slow_reader_finds_in_it() {
    check("query");
}

#[test]
fn a_flux_message_has_one_consequence_and_a_broadcast_keeps_its_payload_byte_for_byte() {
    check("flux_json");
}

#[test]
fn what_anybody_publishes_to_a_flux_channel_arrives_byte_for_byte_or_is_dropped_for_its_reason() {
    check("flux_envelope");
}

#[test]
fn a_token_opens_only_to_whom_a_key_has_signed_it_for() {
    check("tokens");
}

#[test]
fn every_fuzz_target_is_tried_here_and_has_a_corpus() {
    let targets: BTreeSet<PathBuf> =
        TARGETS.iter().map(|(name, _)| directory("fuzz_targets").join(format!("{name}.rs"))).collect();
    assert_eq!(files(&directory("fuzz_targets")), targets);
    for (name, _) in TARGETS {
        assert!(corpus(name).len() >= 5, "{name}: the corpus shows what the input is like");
    }
}
