//! The client: starts, notifies, lists and cancels runs, in process or over HTTP.

mod http;
mod types;

use std::sync::Arc;

pub use self::types::*;
use crate::engine::BoxFuture;

/// Talks to an engine.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
}

/// How a client reaches its engine.
pub trait Transport: Send + Sync + 'static {
    /// Starts runs, all or none.
    fn trigger(&self, triggers: Vec<Trigger>) -> BoxFuture<'_, Result<Vec<Triggered>, ClientError>>;
    /// Sends a notification. One entry per waiter; exactly one with a run id.
    fn notify(&self, notification: Notification) -> BoxFuture<'_, Result<Vec<Notified>, ClientError>>;
    /// Lists the waiters of an event, longest waiting first.
    fn waiters<'a>(&'a self, event_id: &'a str) -> BoxFuture<'a, Result<Vec<Waiter>, ClientError>>;
    /// Cancels runs and says how many.
    fn cancel(&self, filter: RunFilter) -> BoxFuture<'_, Result<u64, ClientError>>;
    /// Lists runs.
    fn logs(&self, query: LogQuery) -> BoxFuture<'_, Result<LogPage, ClientError>>;
}

/// A call of the client that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The engine refused: it says why. `status` is the HTTP status (also in process).
    #[error("the engine refused ({status}): {message}")]
    Refused {
        /// The HTTP status that stands for the reason: 400, 401, 404, 412, 413, 429, ….
        status: u16,
        /// What happened and what to do.
        message: String,
    },
    /// The engine could not be reached or did not answer.
    #[error("the engine at {url} could not be reached: {message}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// A value could not be turned into JSON, or an answer not read.
    #[error("{0}")]
    Encoding(String),
}
