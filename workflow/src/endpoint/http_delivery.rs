//! Deliveries of an engine over HTTP.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};

use super::{
    Request, answer,
    invocation::{Invocation, users_headers},
    rejected,
};
use crate::{
    engine::{HttpEngine, HttpRun, RunInfo},
    protocol::{StepDelivery, headers},
    replay::Attempts,
};

/// How often a delivery is repeated where the engine does not say.
const DEFAULT_RETRIES: u32 = 3;

/// What a request asks for.
pub(super) enum Asked {
    /// To start a run.
    Start,
    /// To go on with a run.
    GoOn(Box<Invocation>),
    /// Nothing that the workflow has to do with: this is the answer.
    Nothing(Response<Bytes>),
}

/// Finds out what a request to a workflow of this engine asks for.
pub(super) fn classify(engine: &HttpEngine, request: &Request) -> Asked {
    let headers = &request.headers;
    let tells_of_failure = headers.contains_key(headers::WORKFLOW_FAILURE_CALLBACK)
        || text(headers, headers::WORKFLOW_IS_FAILURE) == Some("true");
    let starts = !tells_of_failure
        && !headers.contains_key(headers::WORKFLOW_SDK_VERSION)
        && !headers.contains_key(headers::WORKFLOW_CALLBACK)
        && !headers.contains_key(headers::WORKFLOW_UNKNOWN_SDK);
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
    let Some(run_id) = text(headers, headers::WORKFLOW_RUN_ID) else {
        return Asked::Nothing(answer::not_understood(
            "the delivery names no run: `Upstash-Workflow-RunId` is missing",
        ));
    };
    if tells_of_failure {
        return Asked::Nothing(answer::no_failure_function(run_id));
    }
    match invocation(engine, request, run_id) {
        Ok(invocation) => Asked::GoOn(Box::new(invocation)),
        Err(message) => Asked::Nothing(answer::not_understood(&message)),
    }
}

/// Where signing keys are set, only the engine is listened to, so that a run is started through it.
fn how_to_start(engine: &HttpEngine, request: &Request) -> String {
    let url = engine.workflow_url(&request.url).unwrap_or_else(|_| request.url.clone());
    format!(
        "to start a run, send its payload to the engine, with the engine's token: `POST /v2/trigger/{url}`, or \
         `client.trigger` in Rust"
    )
}

/// Reads a step delivery.
///
/// # Errors
///
/// Why it cannot be understood.
fn invocation(engine: &HttpEngine, request: &Request, run_id: &str) -> Result<Invocation, String> {
    let headers = &request.headers;
    if headers.contains_key(headers::WORKFLOW_CALLBACK) {
        return Err("the delivery is the result of a call (`context.call`), which this endpoint never makes"
            .to_owned());
    }
    match text(headers, headers::WORKFLOW_SDK_VERSION) {
        Some(headers::PROTOCOL_VERSION) => {}
        None => {
            return Err("runs that are started without naming the endpoint's SDK (`Upstash-Workflow-Unknown-Sdk`) are not \
                        supported; trigger the workflow with a workflow client"
                .to_owned());
        }
        Some(other) => {
            return Err(format!(
                "the delivery speaks version `{other}` of the protocol; this endpoint speaks version `{}`",
                headers::PROTOCOL_VERSION
            ));
        }
    }
    let delivery = StepDelivery::decode(&request.body).map_err(|error| error.to_string())?;
    let url = engine.workflow_url(&request.url).map_err(|error| error.to_string())?;
    let retried = number(headers, headers::RETRIED).unwrap_or(0);
    let info = RunInfo {
        id: run_id.to_owned(),
        url,
        created_at: number(headers, headers::WORKFLOW_CREATED_AT).unwrap_or(0),
        labels: labels(headers),
        retries: number(headers, headers::MAX_RETRIES).unwrap_or(DEFAULT_RETRIES),
        invoke_count: number(headers, headers::WORKFLOW_INVOKE_COUNT).unwrap_or(0),
    };
    let attempts = Attempts::OfDelivery { failed: retried, retries: info.retries };
    let run = info.clone();
    Ok(Invocation {
        run,
        payload: delivery.payload,
        headers: users_headers(headers),
        history: delivery.steps,
        attempts,
        reporter: engine.reporter(HttpRun { info, retried }),
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
