//! See `fuzz/src/flux_json.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fanout_fuzz::flux_json::check(bytes));
