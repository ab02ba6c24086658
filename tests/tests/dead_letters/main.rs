//! Runs that have failed: who is told, and what becomes of them afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bulk;
mod guarded;
mod messages;
mod revived;
mod told;
mod told_elsewhere;
mod webhooks;
