//! See `fuzz/src/resp_push.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fanout_fuzz::resp_push::check(bytes));
