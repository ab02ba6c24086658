//! Failure functions: what a workflow does about a run that has failed.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Response};
use tracing::Instrument as _;

use super::{answer, invocation::users_headers};
use crate::{
    Error, FailedRun, Workflow,
    engine::{Failure, RunFailure, RunInfo},
    error::panicked,
};

/// Calls the failure function of `W`, if it has one.
pub(super) async fn call<W: Workflow>(
    run: RunInfo,
    payload: &Bytes,
    headers: &HeaderMap,
    failure: RunFailure,
    args: W::Args,
) -> Response<Bytes> {
    if !W::OPTIONS.handles_failure {
        return answer::no_failure_function(&run.id);
    }
    let span = tracing::info_span!("failure function", workflow = W::NAME, run = %run.id);
    let headers = users_headers(headers);
    let outcome = async {
        let payload = W::payload(payload)
            .map_err(|misfit| Error::non_retryable(format!("the payload of the failed run {misfit}")))?;
        let called = W::failed(FailedRun::new(payload, run, headers, failure), args);
        AssertUnwindSafe(called).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))
    };
    match outcome.instrument(span.clone()).await {
        Ok(result) => answer::failure_function_result(&result),
        Err(error) => {
            tracing::error!(parent: &span, error = %error.chain(), "the failure function has failed");
            answer::failed(&Failure::of_code(&error))
        }
    }
}
