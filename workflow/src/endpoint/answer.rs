//! The answers of an endpoint.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::json;

use crate::{
    engine::{Failure, ReportError, Retry},
    protocol::{duration::whole_seconds, headers},
    replay::Ending,
};

/// The status that tells an engine never to try again.
const NON_RETRYABLE: u16 = 489;

const SDK: &str = concat!("workflow-rs/", env!("CARGO_PKG_VERSION"));

/// An answer to a request that is wrong in itself: `{"error": message}`.
pub fn rejected(status: StatusCode, message: &str) -> Response<Bytes> {
    with_body(status, &json!({ "error": message }))
}

/// The delivery has been handled, or the run has been started.
pub(super) fn success(run_id: &str) -> Response<Bytes> {
    finished(run_id, "success")
}

/// The engine tells that a run has failed, and there is no function to be called then.
pub(super) fn no_failure_function(run_id: &str) -> Response<Bytes> {
    let mut answer = finished(run_id, "failure-callback-undefined");
    set(&mut answer, headers::WORKFLOW_FAILURE_CALLBACK_NOTFOUND, HeaderValue::from_static("true"));
    answer
}

/// The result of a call has been submitted, or is not the last one.
pub(super) fn call_result_taken(run_id: &str) -> Response<Bytes> {
    finished(run_id, "fromCallback")
}

/// There is no such run any more.
pub(super) fn already_ended(run_id: &str) -> Response<Bytes> {
    finished(run_id, "workflow-already-ended")
}

/// The failure function has returned this, as JSON.
pub(super) fn failure_function_result(result: &str) -> Response<Bytes> {
    let result = serde_json::from_str::<serde_json::Value>(result).unwrap_or_default();
    let body = if result.is_null() { json!({}) } else { json!({ "result": result }) };
    let mut answer = with_body(StatusCode::OK, &body);
    set(&mut answer, headers::WORKFLOW_SDK, HeaderValue::from_static(SDK));
    answer
}

/// A delivery that cannot be understood. The engine tries again.
pub(super) fn not_understood(message: &str) -> Response<Bytes> {
    failure(StatusCode::INTERNAL_SERVER_ERROR, "WorkflowError", message)
}

/// What went wrong, in the form of a JavaScript error.
fn failure(status: StatusCode, kind: &str, message: &str) -> Response<Bytes> {
    with_body(status, &json!({ "error": kind, "message": message, "stack": "" }))
}

/// The outcome of an invocation.
pub(super) fn ended(run_id: &str, ending: Result<Ending, ReportError>) -> Response<Bytes> {
    match ending {
        Ok(Ending::Completed | Ending::Canceled | Ending::Suspended | Ending::RunEnded) => success(run_id),
        Ok(Ending::Repeated) => finished(run_id, "duplicate-step"),
        Ok(Ending::Failed(failure)) => failed(&failure),
        Err(error) => not_taken(&error),
    }
}

/// The engine has not taken what it was told.
pub(super) fn not_taken(error: &ReportError) -> Response<Bytes> {
    let message = format!("the engine did not take what the workflow reported: {error}");
    if error.permanent { not_retried(&message) } else { not_understood(&message) }
}

/// A failed attempt. The engine learns from the answer what to do.
pub(super) fn failed(failed: &Failure) -> Response<Bytes> {
    let mut answer = match failed.retry {
        _ if failed.keep => not_understood(&failed.message),
        Retry::Backoff => failure(StatusCode::INTERNAL_SERVER_ERROR, "Error", &failed.message),
        Retry::Never => not_retried(&failed.message),
        Retry::After(delay) => {
            let mut answer =
                failure(StatusCode::TOO_MANY_REQUESTS, "WorkflowRetryAfterError", &failed.message);
            set(&mut answer, headers::WORKFLOW_SDK, HeaderValue::from_static(SDK));
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
            answer
        }
    };
    if let Some(name) = &failed.step_name {
        let printable: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Ok(name) = HeaderValue::from_str(&printable).or(HeaderValue::from_bytes(printable.as_bytes()))
        {
            set(&mut answer, headers::ERROR_STEP_NAME, name);
        }
    }
    answer
}

fn not_retried(message: &str) -> Response<Bytes> {
    let status = StatusCode::from_u16(NON_RETRYABLE).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = failure(status, "WorkflowNonRetryableError", message);
    set(&mut answer, headers::WORKFLOW_SDK, HeaderValue::from_static(SDK));
    set(&mut answer, headers::NON_RETRYABLE_ERROR, HeaderValue::from_static("true"));
    answer
}

fn finished(run_id: &str, condition: &str) -> Response<Bytes> {
    let body = json!({ "workflowRunId": run_id, "finishCondition": condition });
    let mut answer = with_body(StatusCode::OK, &body);
    set(&mut answer, headers::WORKFLOW_SDK, HeaderValue::from_static(SDK));
    answer
}

fn with_body(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set(&mut answer, headers::WORKFLOW_SDK_VERSION, HeaderValue::from_static(headers::PROTOCOL_VERSION));
    answer
}

fn set(answer: &mut Response<Bytes>, name: &'static str, value: HeaderValue) {
    answer.headers_mut().insert(name, value);
}
