//! What the engine takes from endpoints over HTTP and shows them.

use serde::{Deserialize, Serialize};
use workflow::{client::HeaderLists, engine::HttpCall, protocol::Step};

use crate::{error::EngineError, retry, store::CallRequest};

/// A call may have a URL of this many bytes.
const MAX_URL: usize = 8192;

/// Checks the HTTP request of a step of this process.
pub fn understand(step: Step, call: HttpCall) -> Result<CallRequest, EngineError> {
    check_url(&call.url)?;
    if let Some(expression) = &call.retry_delay {
        retry::check(expression).map_err(EngineError::Invalid)?;
    }
    Ok(CallRequest {
        step,
        url: call.url,
        method: call.method.as_str().to_owned(),
        headers: call.headers,
        body: call.body.into(),
        timeout: call.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        retries: call.retries,
        retry_delay: call.retry_delay,
        flow_control: call.flow_control,
        callback: None,
    })
}

/// Checks the URL that a call is made to.
pub fn check_url(url: &str) -> Result<(), EngineError> {
    if url.len() > MAX_URL {
        return Err(EngineError::Invalid(format!("the URL of the call has more than {MAX_URL} bytes")));
    }
    if url.starts_with('/') {
        return Err(EngineError::Invalid(format!(
            "`{url}` is a path, and a call needs an absolute URL: to run a workflow of the same app there is `invoke`"
        )));
    }
    match url::Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(()),
        Ok(_) => Err(EngineError::Invalid(format!(
            "`{url}` cannot be called: the URL must begin with http:// or https://"
        ))),
        Err(error) => Err(EngineError::Invalid(format!("`{url}` cannot be called: it is no URL ({error})"))),
    }
}

/// A request of an endpoint over HTTP to wait for an event (protocol, section B.5).
#[derive(Clone, Debug)]
pub struct WaitRequest {
    /// The waiting run.
    pub run_id: String,
    /// Headers of the request without credentials, for whoever lists the waiters.
    pub headers: HeaderLists,
    /// The body.
    pub body: WaitBody,
}

/// The body of a [`WaitRequest`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitBody {
    /// How long to wait at most: a duration such as `7d`.
    pub timeout: Option<String>,
    /// Headers for the delivery of the timeout.
    #[serde(default)]
    pub timeout_headers: HeaderLists,
    /// The step that waits.
    pub step: Step,
}

/// One entry of a run's history, as `GET /v2/workflows/runs/{id}` and deliveries show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The message that recorded it.
    pub message_id: String,
    /// Base64 of the payload (first entry), else of the step object.
    pub body: String,
    /// `step`.
    pub call_type: String,
}
