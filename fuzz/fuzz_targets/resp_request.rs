//! See `fuzz/src/resp_request.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fanout_fuzz::resp_request::check(bytes));
