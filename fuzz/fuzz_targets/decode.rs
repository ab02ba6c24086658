//! Any bytes as the body of a step delivery, read without being carried out.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| workflow_tests::hostile::decode(bytes));
