//! See `fuzz/src/client_frames.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fanout_fuzz::client_frames::check(bytes));
