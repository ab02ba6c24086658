//! What happens to a request for a workflow.
//!
//! The adapters of the web frameworks turn their request into a [`Request`] and call [`handle`]. It tells the kinds apart:
//!
//! * a *delivery* of an engine in this process, which comes with the request;
//! * a *delivery* of an engine over HTTP, whose body is the history of the run, the result of a call, or why the run failed;
//! * any other `POST`, which *starts* a run.

mod answer;
mod call_result;
mod direct;
mod failed;
mod http_delivery;
mod invocation;
mod many;
mod webhook;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header::HOST};

pub(crate) use self::invocation::users_headers;
pub use self::{
    answer::rejected,
    many::{is_at, unknown_workflow},
    webhook::webhook,
};
use self::{
    http_delivery::{Asked, FailureDelivery},
    invocation::Invocation,
};
use crate::{
    Workflow,
    engine::{Delivery, EngineHandle, EngineKind, HttpEngine, Task},
    protocol::headers,
};

/// The largest request body that adapters should accept, in bytes: a delivery carries the history of its run, up to 100 MiB
/// of it, as base64.
pub const MAX_BODY_BYTES: usize = 140 * 1024 * 1024;

/// A request for a workflow, as an adapter hands it over.
pub struct Request {
    /// The URL of the request: absolute where the host is known, else its path and query.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came; signatures cover its bytes.
    pub body: Bytes,
    /// The engine that the app is attached to, if it is.
    pub engine: Option<EngineHandle>,
    /// The delivery, if the request is one of an engine in this process.
    pub delivery: Option<Arc<Delivery>>,
}

/// Handles a request for the workflow `W`, whose further parameters are `args`.
///
/// Where the app is attached to no engine, the one that the environment names is used ([`HttpEngine::from_env`]).
pub async fn handle<W: Workflow>(request: Request, args: W::Args) -> Response<Bytes> {
    if let Some(delivery) = &request.delivery {
        return match &delivery.task {
            Task::GoOn { history, failed_attempts, reporter } => {
                Invocation::in_process(delivery, history, failed_attempts, reporter, &request.headers)
                    .run::<W>(args, request.engine.as_ref())
                    .await
            }
            Task::Failed(failure) => {
                let run = delivery.run.clone();
                failed::call::<W>(run, &delivery.payload, &request.headers, failure.clone(), args).await
            }
        };
    }
    // What an embedded engine asks for does not carry the state of all that may come over HTTP.
    Box::pin(from_outside::<W>(request, args)).await
}

/// Handles a request that is no delivery of an engine in this process.
async fn from_outside<W: Workflow>(request: Request, args: W::Args) -> Response<Bytes> {
    let engine = match engine(request.engine.clone()) {
        Ok(engine) => engine,
        Err(message) => return rejected(StatusCode::INTERNAL_SERVER_ERROR, &message),
    };
    match engine.kind() {
        EngineKind::Embedded(_) if request.headers.contains_key(headers::WORKFLOW_SDK_VERSION) => rejected(
            StatusCode::BAD_REQUEST,
            "this app runs its workflows on an engine in its own process, which does not deliver over HTTP; a request that \
             starts a run must not have the header `Upstash-Workflow-Sdk-Version`",
        ),
        EngineKind::Embedded(_) => direct::start::<W>(&engine, &request).await,
        EngineKind::Http(http) => match http_delivery::classify(http, &request).await {
            Asked::Start => direct::start::<W>(&engine, &request).await,
            Asked::StartAgain { run_id, payload } => {
                direct::start_again::<W>(http, &request, &run_id, payload).await
            }
            Asked::Failed(failed) => {
                let FailureDelivery { run, payload, failure } = *failed;
                failed::call::<W>(run, &payload, &request.headers, failure, args).await
            }
            Asked::GoOn(invocation) => invocation.run::<W>(args, Some(&engine)).await,
            Asked::Nothing(answer) => answer,
        },
    }
}

/// For adapters: the answer to a body of more than [`MAX_BODY_BYTES`].
pub fn too_large() -> Response<Bytes> {
    rejected(
        StatusCode::PAYLOAD_TOO_LARGE,
        &format!("the request body is larger than {MAX_BODY_BYTES} bytes"),
    )
}

/// For adapters: the answer to a body that could not be read to its end.
pub fn unreadable(error: &dyn std::fmt::Display) -> Response<Bytes> {
    rejected(StatusCode::BAD_REQUEST, &format!("the request body could not be read: {error}"))
}

/// For adapters: the URL that the caller used, as far as it can be known: `path` (with its query) alone where no host is named.
/// `secure` says whether the connection is; what a proxy says of its own (`X-Forwarded-Proto`) wins.
pub fn url(path: &str, headers: &HeaderMap, secure: bool) -> String {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return path.to_owned();
    };
    // Each proxy on the way adds an entry; the first is the one that the caller spoke to.
    let forwarded =
        headers.get("x-forwarded-proto").and_then(|schemes| schemes.to_str().ok()?.split(',').next());
    let secure = forwarded.map_or(secure, |scheme| scheme.trim().eq_ignore_ascii_case("https"));
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://{host}{path}")
}

/// The app's engine, or the one that the environment names. The environment is read once.
fn engine(attached: Option<EngineHandle>) -> Result<EngineHandle, String> {
    static FROM_ENV: OnceLock<Result<Option<HttpEngine>, String>> = OnceLock::new();
    if let Some(engine) = attached {
        return Ok(engine);
    }
    match FROM_ENV.get_or_init(|| HttpEngine::from_env().map_err(|error| error.to_string())) {
        Ok(Some(engine)) => Ok(engine.clone().into()),
        Ok(None) => Err("this app has no workflow engine; attach one with `workflow_axum::attach` or `workflow_actix::attach`, \
                         or set `QSTASH_URL` and `QSTASH_TOKEN` to use one over HTTP"
            .to_owned()),
        Err(error) => Err(format!("the workflow engine that the environment names cannot be used: {error}")),
    }
}
