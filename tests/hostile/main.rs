//! What strangers may send: the corpora of the fuzz targets and seeded mutations of them, on every test run.

#[path = "../../fuzz/src/lib.rs"]
pub mod invariants;
mod mutation;

use mutation::Mutations;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

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
fn try_all(name: &str, check: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(corpus.len() >= 5, "{name}: the corpus shows what the input is like");
    let mutations = Mutations::new(&corpus).take(MUTATIONS);
    for input in corpus.iter().cloned().chain(mutations) {
        catch_unwind(AssertUnwindSafe(|| check(&input))).unwrap_or_else(|panic| {
            eprintln!("{name}: the input was b\"{}\"", input.escape_ascii());
            resume_unwind(panic);
        });
    }
}

/// The table of fuzz targets: what each is to show, and the name of its file of invariants. A line is a test.
macro_rules! targets {
    ($($sentence:ident: $target:ident,)+) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),+];

        $(#[test]
        fn $sentence() {
            try_all(stringify!($target), invariants::$target::check);
        })+
    };
}

targets! {
    a_client_is_understood_the_same_however_its_frames_are_cut: client_frames,
    what_redis_says_is_understood_the_same_however_it_is_cut_and_as_others_understand_it: resp_push,
    a_publisher_is_understood_the_same_however_its_commands_are_cut: resp_request,
    a_request_head_has_one_reading: request_head,
    a_query_is_what_a_slow_reader_finds_in_it: query,
    a_flux_message_has_one_consequence_and_a_broadcast_keeps_its_payload_byte_for_byte: flux_json,
    what_anybody_publishes_to_a_flux_channel_arrives_byte_for_byte_or_is_dropped_for_its_reason: flux_envelope,
    a_token_opens_only_to_whom_a_key_has_signed_it_for: tokens,
}

#[test]
fn every_fuzz_target_is_tried_here_and_by_libfuzzer() {
    let manifest = fs::read_to_string(directory("Cargo.toml")).expect("the manifest");
    let paths = TARGETS.iter().map(|name| directory("fuzz_targets").join(format!("{name}.rs")));
    assert_eq!(files(&directory("fuzz_targets")), paths.clone().collect());
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    for (name, path) in TARGETS.iter().zip(paths) {
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "{name} is no [[bin]] of fuzz/Cargo.toml");
        let call = format!("fanout_fuzz::{name}::check(bytes)");
        assert!(fs::read_to_string(path).expect("a target").contains(&call), "{name} has other invariants than here");
    }
}
