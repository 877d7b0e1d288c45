//! See `fuzz/src/request_head.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fanout_fuzz::request_head::check(bytes));
