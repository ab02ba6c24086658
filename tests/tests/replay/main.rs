//! Code that changes under runs that are on their way: what a replay check says of it, and what an engine does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod check;
mod docs;
mod kept;
