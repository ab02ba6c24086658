//! Any bytes as a delivery, whose kind the first byte says, to an endpoint with steps of several kinds.

#![no_main]

use std::sync::LazyLock;

use tokio::runtime::Runtime;
use workflow_tests::hostile::{self, Target};

static TARGET: LazyLock<(Runtime, Target)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let target = runtime.block_on(Target::start(false));
    (runtime, target)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (runtime, target) = &*TARGET;
    runtime.block_on(hostile::deliver(target, bytes));
});
