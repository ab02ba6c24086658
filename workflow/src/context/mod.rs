//! What a workflow function works with: its payload, its run, and its steps.
//!
//! A step is a future. When it is polled first it puts a *claim* on the [`exchange`](exchange::Exchange); the driver takes
//! all claims of one poll as a group, and puts each step's *turn* back: run your body now, or here is your result.

pub mod api;
mod call;
mod content;
pub(crate) mod exchange;
mod invoke;
mod lazy;
mod notify;
mod results;
mod run;
mod run_step;
mod sleep;
pub(crate) mod slot;
mod wait;
mod webhook;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;

use self::exchange::Exchange;
pub use self::{
    call::{CallResponse, CallStep},
    invoke::{InvokeResult, InvokeStep},
    notify::NotifyStep,
    results::{Notify, StepFailure, WaitResult},
    run::{StepBody, StepBuilder, StepResult},
    run_step::RunStep,
    wait::WaitStep,
    webhook::{WebhookRequest, WebhookStep},
};
use crate::{client::Locations, engine::RunInfo, replay::Fault};

/// The context of a running workflow: its payload of type `P`, its run, and its steps.
///
/// It is cheap to clone, and all clones are the same context. Steps belong to the workflow function: they are awaited there,
/// alone or together (`tokio::join!`, `try_join_all`), not in spawned tasks and not inside other steps.
pub struct WorkflowContext<P> {
    invocation: Arc<Invocation<P>>,
}

pub(crate) struct Invocation<P> {
    pub(crate) payload: P,
    pub(crate) run: RunInfo,
    pub(crate) headers: HeaderMap,
    pub(crate) exchange: Arc<Exchange>,
    /// Where other workflows of the app are.
    pub(crate) locations: Arc<Locations>,
    /// How long an attempt of a step may take, unless the step says otherwise.
    pub(crate) step_timeout: Option<Duration>,
}

impl Invocation<Bytes> {
    /// The invocation with its payload, once that has been read.
    pub(crate) fn with_payload<P>(self, payload: P) -> Invocation<P> {
        let Self { payload: _, run, headers, exchange, locations, step_timeout } = self;
        Invocation { payload, run, headers, exchange, locations, step_timeout }
    }
}

impl<P> WorkflowContext<P> {
    pub(crate) fn new(invocation: Invocation<P>) -> Self {
        Self { invocation: Arc::new(invocation) }
    }

    /// What the run was triggered with.
    pub fn request_payload(&self) -> &P {
        &self.invocation.payload
    }

    /// The user's own headers, as given at the trigger. They are on every delivery of the run.
    pub fn headers(&self) -> &HeaderMap {
        &self.invocation.headers
    }

    /// The id of the run (`wfr_…`).
    pub fn workflow_run_id(&self) -> &str {
        &self.invocation.run.id
    }

    /// The URL of the workflow or, where the engine runs in this process, its path.
    pub fn url(&self) -> &str {
        &self.invocation.run.url
    }

    /// When the run was triggered. The same in every invocation, unlike the clock.
    pub fn created_at(&self) -> SystemTime {
        since_epoch(self.invocation.run.created_at)
    }

    /// The labels given at the trigger.
    pub fn labels(&self) -> &[String] {
        &self.invocation.run.labels
    }

    /// Which attempt this is, counted from 1: inside a step, of this step; outside, of the code before the next step.
    ///
    /// It differs from invocation to invocation, so steps must not depend on it; what is done inside of one may.
    pub fn attempt(&self) -> u32 {
        self.invocation.exchange.attempt()
    }
}

impl<P> WorkflowContext<P> {
    /// Cancels this run: it ends as cancelled, without a failure function and without an entry in the dead letter queue. The
    /// function ends here; whatever it still waits for beside this is given up.
    ///
    /// ```
    /// # async fn f(ctx: workflow::WorkflowContext<u32>) -> workflow::Result<String> {
    /// if *ctx.request_payload() == 0 {
    ///     return ctx.cancel().await;
    /// }
    /// # Ok(String::new()) }
    /// ```
    ///
    /// # Errors
    ///
    /// None: it never returns. The type is that of the function, so that it can be returned.
    pub async fn cancel<T>(&self) -> crate::Result<T> {
        self.invocation.exchange.fail(Fault::Canceled).await
    }
}

/// A time in milliseconds since the Unix epoch.
pub(crate) fn since_epoch(milliseconds: i64) -> SystemTime {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    let time = if milliseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

impl<P> Clone for WorkflowContext<P> {
    fn clone(&self) -> Self {
        Self { invocation: Arc::clone(&self.invocation) }
    }
}

impl<P: fmt::Debug> fmt::Debug for WorkflowContext<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowContext")
            .field("run", &self.invocation.run)
            .field("payload", &self.invocation.payload)
            .finish_non_exhaustive()
    }
}
