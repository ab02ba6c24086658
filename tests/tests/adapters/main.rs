//! The conformance suite of adapters, for each of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod actix_app;
mod axum_app;
