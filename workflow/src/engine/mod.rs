//! The seam between a workflow and the engine that it reports to.
//!
//! A handler never knows which engine runs it. It receives a *delivery* (a run and its history so far), and tells what
//! happened as [`Report`]s to a [`Reporter`]. Two engines implement that trait:
//!
//! * an **embedded** engine ([`Embedded`]) in the same process commits a report and answers, so the handler *continues* in
//!   the same future;
//! * an engine **over HTTP** ([`HttpEngine`]) takes the report as a message and calls the endpoint again, so the handler
//!   *suspends*.

mod http;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::http::{HttpEngine, HttpRun};
use crate::{Client, protocol::Step};

/// A boxed future, the currency of the object-safe traits of this module.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The engine that an app is attached to.
///
/// Adapters put it into the extensions of every request, where the mounted workflows find it.
#[derive(Clone)]
pub enum EngineHandle {
    /// An engine in this process.
    Embedded(Arc<dyn Embedded>),
    /// An engine reached over the Upstash Workflow HTTP protocol.
    Http(HttpEngine),
}

impl EngineHandle {
    /// A client for this engine.
    pub fn client(&self) -> Client {
        match self {
            Self::Embedded(engine) => engine.client(),
            Self::Http(engine) => engine.client(),
        }
    }

    /// Tells the engine through which service it reaches the app's workflows. An engine over HTTP needs no such thing and
    /// ignores it.
    pub fn attach(&self, app: Arc<dyn App>) {
        if let Self::Embedded(engine) = self {
            engine.attach(app);
        }
    }

    /// Hands over: no further delivery starts, running steps end, and everything that is left stays in the store for the
    /// next start. An engine over HTTP has nothing to hand over.
    pub async fn shutdown(&self) {
        if let Self::Embedded(engine) = self {
            engine.shutdown().await;
        }
    }
}

impl std::fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedded(_) => "EngineHandle::Embedded",
            Self::Http(_) => "EngineHandle::Http",
        })
    }
}

/// An engine in the same process.
pub trait Embedded: Send + Sync + 'static {
    /// A client that talks to this engine without HTTP.
    fn client(&self) -> Client;

    /// Sets the service through which workflows of this process are delivered, and starts delivering. A second call
    /// replaces the first.
    fn attach(&self, app: Arc<dyn App>);

    /// See [`EngineHandle::shutdown`].
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// The app as an embedded engine sees it: a service from request to response.
///
/// Deliveries are ordinary requests, so routing, extractors, state and middleware behave as always. The request carries an
/// [`Arc<Delivery>`] in its extensions.
pub trait App: Send + Sync + 'static {
    /// Handles one request.
    fn call(&self, request: ::http::Request<Bytes>) -> BoxFuture<'static, ::http::Response<Bytes>>;
}

/// One delivery of an embedded engine: a run, what it has done so far, and whom to report to.
pub struct Delivery {
    /// The run.
    pub run: RunInfo,
    /// The payload that the run was triggered with, as raw bytes.
    pub payload: Bytes,
    /// The recorded results of steps, in the order in which they were recorded.
    pub history: Vec<Step>,
    /// Attempts that have failed since the last recorded step.
    pub failed_attempts: Vec<FailedAttempts>,
    /// Takes the reports of this delivery.
    pub reporter: Arc<dyn Reporter>,
}

/// What a handler knows about its run.
#[derive(Clone, Debug, Default)]
pub struct RunInfo {
    /// The public run id (`wfr_…`).
    pub id: String,
    /// The URL (or, in process, the path) of the workflow.
    pub url: String,
    /// When the run was triggered, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Labels given at the trigger.
    pub labels: Vec<String>,
    /// How often a failed attempt is retried before the run fails.
    pub retries: u32,
}

/// How often a step (or the code before it) has failed already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempts {
    /// The step that failed, or would have come next; 0 where the code did not fit the run's history.
    pub step_id: u32,
    /// Failed attempts so far; at least 1.
    pub count: u32,
    /// When the next attempt is due, in milliseconds since the Unix epoch.
    pub due: i64,
}

/// Takes what a handler reports during one delivery.
pub trait Reporter: Send + Sync + 'static {
    /// Whether the handler goes on after a report or waits to be called again.
    fn mode(&self) -> Mode;

    /// The engine's time in milliseconds since the Unix epoch. Sleeps are measured against it.
    fn now(&self) -> i64;

    /// Reports one thing. The future resolves when the engine has made it durable.
    fn report(&self, report: Report) -> BoxFuture<'_, Result<Reply, ReportError>>;
}

/// How a handler and its engine work together. See the module documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// After a report the handler goes on in the same future.
    Continue,
    /// After a report the handler ends; the engine calls again with the longer history.
    Suspend,
}

/// What a handler reports. Steps are complete but for `out` where the engine is to fill it in.
#[derive(Clone, Debug)]
pub enum Report {
    /// Steps of a parallel group, announced before any of them runs (suspend only). Each has `step_id` 0 and a `target_step`.
    Plan(Vec<Step>),
    /// A step has run; `out` is its result.
    Append(Step),
    /// A sleep has begun. `sleep_until` says until when (unix seconds, with fraction); `park`: nothing else is to be done.
    Sleep {
        /// The sleep step.
        step: Step,
        /// Whether the handler ends now (a sequential sleep): the engine then calls again when it is due.
        park: bool,
    },
    /// Wait for an event.
    Wait {
        /// The wait step.
        step: Step,
        /// The event's id.
        event_id: String,
        /// How long to wait at most.
        timeout: Duration,
        /// Whether the handler ends now if there is no stored notification.
        park: bool,
    },
    /// Notify the waiters of an event, and record the answer as this step's result, in one command.
    Notify {
        /// The notify step; the engine records `{"eventId", "eventData", "notifyResponse"}` as its `out`.
        step: Step,
        /// The event's id.
        event_id: String,
        /// The event's data: JSON, or empty for none.
        data: Bytes,
        /// The one run to notify, with lookback; all waiters if absent.
        run_id: Option<String>,
    },
    /// An attempt has failed.
    Failed(Failure),
    /// The handler ends; all it could do is done. The engine calls again when something is due or resolved.
    Park {
        /// When the next attempt of a step that has failed is due, if the handler has come to one: in milliseconds since the
        /// Unix epoch.
        retry_at: Option<i64>,
    },
    /// The workflow has returned. `output` is its JSON, absent for `()`.
    Complete {
        /// The workflow's return value as JSON.
        output: Option<String>,
    },
}

/// A failed attempt of a step, or of the code before it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The step that failed, or would have come next; 0 where the run is kept.
    pub step_id: u32,
    /// The step's name, if a step failed.
    pub step_name: Option<String>,
    /// What happened, for people.
    pub message: String,
    /// Whether and when to try again.
    pub retry: Retry,
    /// Retries of this step, where they differ from the run's.
    pub max_retries: Option<u32>,
    /// When the last attempt has failed, record this result and go on instead of failing the run (`try_run`).
    pub record: Option<Step>,
    /// Whether the handler ends now if another attempt is due later.
    pub park: bool,
    /// Whether the run must not fail by it: the code does not fit what the run has recorded, and a deploy heals that. It is no
    /// attempt of a step, and `step_id` is 0.
    pub keep: bool,
}

/// Whether and when a failed attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After the run's usual backoff.
    Backoff,
    /// After this long.
    After(Duration),
    /// Never.
    Never,
}

/// The engine's answer to a report.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The step is recorded with this result (its own, or the one that came first).
    Recorded(Step),
    /// The step is not resolved yet: the engine will call again (suspend: in any case; continue: once it is).
    Pending,
    /// The attempt is to be repeated at this time (milliseconds since the Unix epoch).
    RetryAt(i64),
    /// The engine learns of the failure from the endpoint's HTTP answer (suspend only).
    Answer,
    /// Done: the run is complete or parked.
    Done,
    /// The run has ended (failed, cancelled or completed elsewhere): nothing that is reported counts any more.
    Ended,
}

/// A report that could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ReportError {
    /// What happened, for people.
    pub message: String,
    /// Whether trying the same again cannot help.
    pub permanent: bool,
}
