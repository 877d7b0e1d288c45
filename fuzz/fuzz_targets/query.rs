//! See `fuzz/src/query.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fanout_fuzz::query::check(bytes));
