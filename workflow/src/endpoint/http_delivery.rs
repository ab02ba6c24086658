//! Deliveries of an engine over HTTP.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;

use super::{
    Request, answer, call_result,
    invocation::{Invocation, users_headers},
    rejected,
};
use crate::{
    ClientError,
    client::HeaderLists,
    engine::{HttpEngine, HttpRun, RunFailure, RunInfo},
    json::Object,
    protocol::{StepDelivery, headers},
    replay::Attempts,
};

/// How often a delivery is repeated where the engine does not say.
const DEFAULT_RETRIES: u32 = 3;

/// What a request asks for.
pub(super) enum Asked {
    /// To start a run.
    Start,
    /// To start a run that the engine knows, now that it is known which SDK the endpoint has.
    StartAgain {
        /// The id of the run.
        run_id: String,
        /// What it was triggered with.
        payload: Bytes,
    },
    /// To go on with a run.
    GoOn(Box<Invocation>),
    /// To call the failure function.
    Failed(Box<FailureDelivery>),
    /// Nothing that the workflow has to do with: this is the answer.
    Nothing(Response<Bytes>),
}

/// A run that has failed, as the engine tells it.
pub(super) struct FailureDelivery {
    pub(super) run: RunInfo,
    pub(super) payload: Bytes,
    pub(super) failure: RunFailure,
}

/// Finds out what a request to a workflow of this engine asks for. What has nothing to do with the workflow is done.
pub(super) async fn classify(engine: &HttpEngine, request: &Request) -> Asked {
    let headers = &request.headers;
    let tells_of_failure = headers.contains_key(headers::WORKFLOW_FAILURE_CALLBACK)
        || text(headers, headers::WORKFLOW_IS_FAILURE) == Some("true");
    let unknown_sdk = headers.contains_key(headers::WORKFLOW_UNKNOWN_SDK);
    let tells_of_call = headers.contains_key(headers::WORKFLOW_CALLBACK);
    let goes_on = headers.contains_key(headers::WORKFLOW_SDK_VERSION);
    let starts = !(tells_of_failure || unknown_sdk || tells_of_call || goes_on);
    if let Err(error) = engine.verify(headers, &request.body) {
        tracing::warn!(%error, "a request is not accepted as one of the workflow engine");
        let message = format!("the request is not accepted as one of the workflow engine: {error}");
        return Asked::Nothing(if starts {
            rejected(StatusCode::UNAUTHORIZED, &format!("{message}; {}", how_to_start(engine, request)))
        } else {
            answer::not_understood(&message)
        });
    }
    if starts {
        return Asked::Start;
    }
    let run = match run(engine, request) {
        Ok(run) => run,
        Err(message) => return Asked::Nothing(answer::not_understood(&message)),
    };
    let asked = if unknown_sdk {
        start_again(engine, request, run).await
    } else if tells_of_failure {
        failure(&request.body, run).map(|failed| Asked::Failed(Box::new(failed)))
    } else if tells_of_call && !goes_on {
        return Asked::Nothing(call_result::take(engine, run, headers, &request.body).await);
    } else {
        step_delivery(engine, request, run).await
    };
    asked.unwrap_or_else(|message| Asked::Nothing(answer::not_understood(&message)))
}

/// Where signing keys are set, only the engine is listened to, so that a run is started through it.
fn how_to_start(engine: &HttpEngine, request: &Request) -> String {
    let url = engine.workflow_url(&request.url).unwrap_or_else(|_| request.url.clone());
    format!(
        "to start a run, send its payload to the engine, with the engine's token: `POST /v2/trigger/{url}`, or \
         `client.trigger` in Rust"
    )
}

/// The run that a delivery names.
fn run(engine: &HttpEngine, request: &Request) -> Result<HttpRun, String> {
    let headers = &request.headers;
    let id = text(headers, headers::WORKFLOW_RUN_ID)
        .ok_or("the delivery names no run: `Upstash-Workflow-RunId` is missing")?;
    let info = RunInfo {
        id: id.to_owned(),
        url: engine.workflow_url(&request.url).map_err(|error| error.to_string())?,
        created_at: number(headers, headers::WORKFLOW_CREATED_AT).unwrap_or(0),
        labels: labels(headers),
        retries: number(headers, headers::MAX_RETRIES).unwrap_or(DEFAULT_RETRIES),
        invoke_count: number(headers, headers::WORKFLOW_INVOKE_COUNT).unwrap_or(0),
    };
    Ok(HttpRun { info, retried: number(headers, headers::RETRIED).unwrap_or(0) })
}

async fn start_again(engine: &HttpEngine, request: &Request, run: HttpRun) -> Result<Asked, String> {
    match log(engine, request, &run).await? {
        Some(StepDelivery { payload, .. }) => Ok(Asked::StartAgain { run_id: run.info.id, payload }),
        None => Ok(Asked::Nothing(answer::already_ended(&run.info.id))),
    }
}

/// Reads a step delivery.
///
/// # Errors
///
/// Why it cannot be understood.
async fn step_delivery(engine: &HttpEngine, request: &Request, run: HttpRun) -> Result<Asked, String> {
    let headers = &request.headers;
    match text(headers, headers::WORKFLOW_SDK_VERSION) {
        Some(headers::PROTOCOL_VERSION) => {}
        other => {
            return Err(format!(
                "the delivery speaks version `{}` of the protocol; this endpoint speaks version `{}`",
                other.unwrap_or_default(),
                headers::PROTOCOL_VERSION
            ));
        }
    }
    let delivery = match log(engine, request, &run).await? {
        None => return Ok(Asked::Nothing(answer::already_ended(&run.info.id))),
        Some(delivery) if delivery.is_done() => {
            tracing::debug!(run = %run.info.id, "the delivery has done its work before");
            return Ok(Asked::Nothing(answer::success(&run.info.id)));
        }
        Some(delivery) => delivery,
    };
    Ok(Asked::GoOn(Box::new(Invocation {
        run: run.info.clone(),
        payload: delivery.payload,
        headers: users_headers(headers),
        history: delivery.steps,
        attempts: Attempts::OfDelivery { failed: run.retried, retries: run.info.retries },
        reporter: engine.reporter(run),
    })))
}

/// The run's log up to the delivered message. Where the body is empty the engine is asked for it; none if the run is gone.
async fn log(engine: &HttpEngine, request: &Request, run: &HttpRun) -> Result<Option<StepDelivery>, String> {
    let read = if request.body.is_empty() {
        let log = match engine.fetch_run(&run.info.id).await {
            Ok(log) => log,
            Err(ClientError::Refused { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(format!("the steps of the run could not be fetched: {error}")),
        };
        let delivered = text(&request.headers, headers::MESSAGE_ID).ok_or(
            "the delivery has no body and does not say which message it is: `Upstash-Message-Id` is missing",
        )?;
        StepDelivery::decode_until(&log, delivered)
    } else {
        StepDelivery::decode(&request.body)
    };
    read.map(Some).map_err(|error| error.to_string())
}

/// The body of a delivery that tells of a failure. Whatever is missing is empty.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FailureBody {
    status: u16,
    header: Option<HeaderLists>,
    /// The answer of the endpoint, base64.
    body: Option<String>,
    /// The payload of the run, base64.
    source_body: Option<String>,
    url: Option<String>,
    dlq_id: Option<String>,
    workflow_created_at: Option<i64>,
}

/// An answer of an endpoint that has failed.
#[derive(Deserialize)]
struct FailureAnswer {
    message: String,
    #[serde(default)]
    stack: Option<String>,
}

fn failure(body: &[u8], run: HttpRun) -> Result<FailureDelivery, String> {
    let Object(told): Object<FailureBody> = serde_json::from_slice(body)
        .map_err(|error| format!("what tells of the failed run cannot be read: {error}"))?;
    let decode = |what: &str, text: Option<String>| {
        STANDARD
            .decode(text.unwrap_or_default())
            .map_err(|error| format!("{what} of the failed run is not base64: {error}"))
    };
    let answered = decode("the last answer", told.body)?;
    let (message, stack) = match serde_json::from_slice::<FailureAnswer>(&answered) {
        Ok(FailureAnswer { message, stack }) => (message, stack.unwrap_or_default()),
        Err(_) => {
            let answered = String::from_utf8_lossy(&answered);
            let message = format!("the endpoint answered with the status {}: `{answered}`", told.status);
            (message, String::new())
        }
    };
    let RunInfo { url, created_at, .. } = run.info.clone();
    Ok(FailureDelivery {
        run: RunInfo {
            url: told.url.filter(|url| !url.is_empty()).unwrap_or(url),
            created_at: told.workflow_created_at.unwrap_or(created_at),
            ..run.info
        },
        payload: decode("the payload", told.source_body)?.into(),
        failure: RunFailure {
            status: told.status,
            message,
            stack,
            headers: told.header.unwrap_or_default(),
            dlq_id: told.dlq_id.unwrap_or_default(),
        },
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty())
}

fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    text(headers, name).and_then(|text| text.parse().ok())
}

fn labels(headers: &HeaderMap) -> Vec<String> {
    let labels = text(headers, headers::LABEL).unwrap_or_default().split(',').map(str::trim);
    labels.filter(|label| !label.is_empty()).map(str::to_owned).collect()
}
