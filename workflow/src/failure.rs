//! What a failure function is told.

use std::{fmt, time::SystemTime};

use http::HeaderMap;

use crate::{
    client::HeaderLists,
    context::since_epoch,
    engine::{RunFailure, RunInfo},
};

/// A run that has failed for good: what the failure function of its workflow gets.
///
/// The function is named by the attribute, and takes the same further parameters as the workflow itself:
///
/// ```
/// use workflow::{FailedRun, WorkflowContext, workflow};
///
/// #[workflow(on_failure = tell_support)]
/// async fn process_order(ctx: WorkflowContext<u64>) -> workflow::Result<()> {
///     ctx.run("charge", async || Err(workflow::Error::non_retryable("the card was declined"))).await
/// }
///
/// async fn tell_support(failed: FailedRun<u64>) -> workflow::Result<()> {
///     println!("order {} has failed: {}", failed.request_payload(), failed.message());
///     Ok(())
/// }
/// ```
///
/// It has no steps: where it fails itself, it is called again from its beginning, as often as the run's steps are retried.
pub struct FailedRun<P> {
    payload: P,
    run: RunInfo,
    headers: HeaderMap,
    failure: RunFailure,
}

impl<P> FailedRun<P> {
    pub(crate) fn new(payload: P, run: RunInfo, headers: HeaderMap, failure: RunFailure) -> Self {
        Self { payload, run, headers, failure }
    }

    /// What the run was triggered with.
    pub fn request_payload(&self) -> &P {
        &self.payload
    }

    /// The user's own headers, as given at the trigger.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The id of the run (`wfr_…`).
    pub fn workflow_run_id(&self) -> &str {
        &self.run.id
    }

    /// The URL of the workflow or, where the engine runs in this process, its path.
    pub fn url(&self) -> &str {
        &self.run.url
    }

    /// When the run was triggered.
    pub fn created_at(&self) -> SystemTime {
        since_epoch(self.run.created_at)
    }

    /// The labels given at the trigger.
    pub fn labels(&self) -> &[String] {
        &self.run.labels
    }

    /// What happened, for people: the message of the error that failed the run.
    pub fn message(&self) -> &str {
        &self.failure.message
    }

    /// The status of the endpoint's last answer: 500, 489 for an error that is not retryable, ….
    pub fn status(&self) -> u16 {
        self.failure.status
    }

    /// The headers of the endpoint's last answer.
    pub fn response_headers(&self) -> &HeaderLists {
        &self.failure.headers
    }

    /// The stack of the error, where the endpoint's language has one; else empty.
    pub fn stack(&self) -> &str {
        &self.failure.stack
    }

    /// The run's entry in the dead letter queue, by which it can be resumed.
    pub fn dlq_id(&self) -> &str {
        &self.failure.dlq_id
    }
}

impl<P: fmt::Debug> fmt::Debug for FailedRun<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailedRun")
            .field("run", &self.run)
            .field("payload", &self.payload)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
