//! See `fuzz/src/flux_envelope.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fanout_fuzz::flux_envelope::check(bytes));
