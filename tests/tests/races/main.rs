//! Races that other systems have shipped as bugs, retries, and random sequences of everything against a small model. Real
//! engine, real axum app, virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "a list of one is compared as a list")]

mod calls;
mod children;
mod duplicates;
mod endings;
mod failures;
mod fan_out;
mod matching;
mod model;
mod registration;
mod restarts;
mod retries;
mod sleeps;
mod stored;
mod timeouts;
mod webhooks;
