//! The seam between a workflow and the engine that it reports to.
//!
//! A handler never knows which engine runs it. It receives a *delivery* (a run and its history so far), and tells what
//! happened as [`Report`]s to a [`Reporter`]. Two engines implement that trait:
//!
//! * an **embedded** engine ([`Embedded`]) in the same process commits a report and answers, so the handler *continues* in
//!   the same future;
//! * an engine **over HTTP** ([`HttpEngine`]) takes the report as a message and calls the endpoint again, so the handler
//!   *suspends*.

mod handle;
mod http;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    handle::{EngineHandle, EngineKind},
    http::{HttpEngine, HttpRun},
};
use crate::{
    Client, FlowControl,
    client::{HeaderLists, Trigger},
    protocol::Step,
};

/// A boxed future, the currency of the object-safe traits of this module.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An engine in the same process.
pub trait Embedded: Send + Sync + 'static {
    /// A client that talks to this engine without HTTP.
    fn client(&self) -> Client;

    /// Sets the service through which workflows of this process are delivered, and starts delivering. A second call
    /// replaces the first.
    fn attach(&self, app: Arc<dyn App>);

    /// See [`EngineHandle::shutdown`].
    fn shutdown(&self) -> BoxFuture<'_, ()>;

    /// Answers a request to a webhook of this engine. `path` is what follows the address below which the app serves webhooks,
    /// still percent-encoded: `{run id}/{event id}`. Any method is good.
    fn call_webhook(
        &self,
        path: &str,
        request: ::http::Request<Bytes>,
    ) -> BoxFuture<'_, ::http::Response<Bytes>>;
}

/// The app as an embedded engine sees it: a service from request to response.
///
/// Deliveries are ordinary requests, so routing, extractors, state and middleware behave as always. The request carries an
/// [`Arc<Delivery>`] in its extensions.
pub trait App: Send + Sync + 'static {
    /// Handles one request.
    fn call(&self, request: ::http::Request<Bytes>) -> BoxFuture<'static, ::http::Response<Bytes>>;
}

/// One delivery of an embedded engine: a run, and what is to be done for it.
pub struct Delivery {
    /// The run.
    pub run: RunInfo,
    /// The payload that the run was triggered with, as raw bytes.
    pub payload: Bytes,
    /// What is to be done.
    pub task: Task,
}

/// What a delivery of an embedded engine asks for.
pub enum Task {
    /// To go on with the run.
    GoOn {
        /// The recorded results of steps, in the order in which they were recorded.
        history: Vec<Step>,
        /// Attempts that have failed since the last recorded step.
        failed_attempts: Vec<FailedAttempts>,
        /// Takes the reports of this delivery.
        reporter: Arc<dyn Reporter>,
    },
    /// The run has failed: to call the workflow's failure function, if it has one. There is no reporter; what has become of it
    /// is in the answer, as over HTTP (protocol, section A.8): a status of 2xx when the function has returned, with
    /// `Upstash-Workflow-Failure-Callback-Notfound: true` where there is none, and any other status when it has failed.
    Failed(RunFailure),
}

/// Why a run has failed: what its failure function is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFailure {
    /// The status of the answer that failed the run; 0 where there was no answer.
    pub status: u16,
    /// What happened, for people.
    pub message: String,
    /// The stack of the error, where the endpoint's language has one; else empty.
    pub stack: String,
    /// The headers of the answer.
    pub headers: HeaderLists,
    /// The run's entry in the dead letter queue.
    pub dlq_id: String,
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
    /// How deep the run is nested in invocations of other runs; 0 for one that was triggered.
    pub invoke_count: u32,
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
    /// Wait for an event or, with a step of the type `WaitForWebhook`, for a call of a webhook.
    Wait {
        /// The wait step.
        step: Step,
        /// The event's id; that of a webhook is in what [`Report::CreateWebhook`] has recorded.
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
    /// Make an HTTP request, and record what was answered as this step's result.
    Call {
        /// The call step; the engine records `{"status", "header", "body"}` as its `out` (protocol, section A.5).
        step: Step,
        /// The request.
        call: Box<HttpCall>,
        /// Whether the handler ends now.
        park: bool,
    },
    /// Start a run of another workflow, and record how it ends as this step's result.
    Invoke {
        /// The invoke step; the engine records `{"body"?, "isCanceled", "isFailed"}` as its `out`.
        step: Step,
        /// The run to be started. Its URL is absolute or, on an embedded engine, a path of the app.
        child: Box<Trigger>,
        /// Whether the handler ends now.
        park: bool,
    },
    /// Make a webhook, and record `{"webhookUrl", "eventId"}` as this step's result.
    CreateWebhook(Step),
    /// An attempt has failed.
    Failed(Failure),
    /// The workflow cancels its own run.
    Cancel,
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

/// An HTTP request that an engine makes for a workflow (`context.call`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCall {
    /// Whom to call: an absolute URL.
    pub url: String,
    /// The method.
    pub method: ::http::Method,
    /// The request's headers, its content type among them. None of the run's are added.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long one attempt may take; as long as the engine allows if absent.
    pub timeout: Option<Duration>,
    /// How often an attempt is repeated that was not answered with 2xx. Whatever the last one has given is the result.
    pub retries: u32,
    /// Expression for the delay before a retry, in milliseconds, over `retried`; the usual backoff if absent.
    pub retry_delay: Option<String>,
    /// Limits that calls share.
    pub flow_control: Option<FlowControl>,
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

impl Failure {
    /// Code outside of any step has failed.
    pub(crate) fn of_code(error: &crate::Error) -> Self {
        Self {
            step_id: 0,
            step_name: None,
            message: error.chain(),
            retry: error.retry(),
            max_retries: None,
            record: None,
            park: true,
            keep: false,
        }
    }
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
