//! What the tests of several crates share: an app with an engine whose time stands still until it is moved ([`TestApp`]),
//! workflows that do what their payload says ([`script`]), a window into running steps ([`Probe`]), a minimal endpoint of
//! another process ([`remote`]), a server that workflows call ([`ThirdParty`]), the HTTP API on a port of its own ([`Served`],
//! [`TestApi`]) or in a process of its own ([`DevServer`]), and what every adapter of a web
//! framework must do ([`adapters`]).
//!
//! Nothing here waits for a fixed time: a test waits until something is the case, and fails if that takes absurdly long.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod adapters;
mod api;
mod app;
mod dev;
pub mod hostile;
mod probe;
pub mod remote;
mod runs;
pub mod script;
mod served;
mod third_party;

use std::{fmt, time::Duration};

pub use self::{
    api::{Answer, ELSEWHERE, TOKEN, TestApi},
    app::{Routes, START, TestApp, Told, WEBHOOKS, told},
    dev::DevServer,
    probe::Probe,
    runs::Runs,
    served::Served,
    third_party::ThirdParty,
};

/// Long enough for the busiest machine; only a test that hangs waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `check` gives something.
///
/// # Panics
/// If that does not happen within a minute.
pub async fn eventually<T>(what: impl fmt::Display, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "this has not happened within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The programs of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// And those of the page about steps.
#[cfg(doctest)]
#[doc = include_str!("../../docs/steps.md")]
struct Steps;
