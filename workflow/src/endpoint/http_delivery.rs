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

/// What a request asks for: to go on with a run, or (nothing) to start one.
///
/// # Errors
///
/// The answer to a request that asks for neither.
pub(super) fn classify(
    engine: &HttpEngine,
    request: &Request,
) -> Result<Option<Invocation>, Response<Bytes>> {
    let has = |name| request.headers.contains_key(name);
    let starts = !has(headers::WORKFLOW_SDK_VERSION)
        && !has(headers::WORKFLOW_CALLBACK)
        && !has(headers::WORKFLOW_FAILURE_CALLBACK)
        && !has(headers::WORKFLOW_UNKNOWN_SDK)
        && text(&request.headers, headers::WORKFLOW_IS_FAILURE) != Some("true");
    if let Err(error) = engine.verify(&request.headers, &request.body) {
        let message = format!("the request is not accepted as one of the workflow engine: {error}");
        tracing::warn!(%error, "a request is not accepted as one of the workflow engine");
        return Err(if starts {
            rejected(StatusCode::UNAUTHORIZED, &message)
        } else {
            answer::not_understood(&message)
        });
    }
    if starts { Ok(None) } else { delivery(engine, request).map(Some) }
}

fn delivery(engine: &HttpEngine, request: &Request) -> Result<Invocation, Response<Bytes>> {
    let headers = &request.headers;
    let run_id = text(headers, headers::WORKFLOW_RUN_ID).ok_or_else(|| {
        answer::not_understood("the delivery names no run: `Upstash-Workflow-RunId` is missing")
    })?;
    if headers.contains_key(headers::WORKFLOW_FAILURE_CALLBACK)
        || text(headers, headers::WORKFLOW_IS_FAILURE) == Some("true")
    {
        return Err(answer::no_failure_function(run_id));
    }
    if headers.contains_key(headers::WORKFLOW_CALLBACK) {
        return Err(answer::not_understood(
            "the delivery is the result of a call (`context.call`), which this endpoint never makes",
        ));
    }
    match text(headers, headers::WORKFLOW_SDK_VERSION) {
        Some(headers::PROTOCOL_VERSION) => {}
        None => {
            return Err(answer::not_understood(
                "runs that are started without naming the endpoint's SDK (`Upstash-Workflow-Unknown-Sdk`) are not supported; \
                 trigger the workflow with a workflow client",
            ));
        }
        Some(other) => {
            return Err(answer::not_understood(&format!(
                "the delivery speaks version `{other}` of the protocol; this endpoint speaks version `{}`",
                headers::PROTOCOL_VERSION
            )));
        }
    }
    let delivery =
        StepDelivery::decode(&request.body).map_err(|error| answer::not_understood(&error.to_string()))?;
    let url =
        engine.workflow_url(&request.url).map_err(|error| answer::not_understood(&error.to_string()))?;
    let retried = number(headers, headers::RETRIED).unwrap_or(0);
    let info = RunInfo {
        id: run_id.to_owned(),
        url,
        created_at: number(headers, headers::WORKFLOW_CREATED_AT).unwrap_or(0),
        labels: labels(headers),
        retries: number(headers, headers::MAX_RETRIES).unwrap_or(DEFAULT_RETRIES),
    };
    let attempts = Attempts::OfDelivery { failed: retried, retries: info.retries };
    let invoke_count = number(headers, headers::WORKFLOW_INVOKE_COUNT).unwrap_or(0);
    let run = info.clone();
    Ok(Invocation {
        run,
        payload: delivery.payload,
        headers: users_headers(headers),
        history: delivery.steps,
        attempts,
        reporter: engine.reporter(HttpRun { info, invoke_count, retried }),
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
