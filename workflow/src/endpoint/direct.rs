//! Requests that come from no engine: each starts a run.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE};

use super::{Request, answer, rejected};
use crate::{
    Client, ClientError, EngineHandle, Workflow, WorkflowOptions,
    client::Triggered,
    engine::{EngineKind, HttpEngine},
    protocol::headers::{LABEL, is_passed_on},
};

/// Starts a run of `W` with the request's body as its payload, unless it does not fit.
pub(super) async fn start<W: Workflow>(engine: &EngineHandle, request: &Request) -> Response<Bytes> {
    if let Err(error) = W::payload(&request.body) {
        let status = if error.malformed { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        return rejected(status, &format!("no run of `{}` is started: the payload {error}", W::NAME));
    }
    let started = match engine.kind() {
        EngineKind::Embedded(embedded) => trigger(&embedded.client(), request, &W::OPTIONS).await,
        EngineKind::Http(http) => match http.workflow_url(&request.url) {
            Ok(url) => http.trigger_first(&url, &request.headers, request.body.clone(), &W::OPTIONS).await,
            Err(error) => Err(error),
        },
    };
    match started {
        Ok(run) => answer::success(&run.workflow_run_id),
        Err(error) => refused(W::NAME, &error),
    }
}

/// Tells the engine again to start a run that it knows, with this payload, now that it is known which SDK the endpoint has: its
/// trigger could not say.
pub(super) async fn start_again<W: Workflow>(
    http: &HttpEngine,
    request: &Request,
    run_id: &str,
    payload: Bytes,
) -> Response<Bytes> {
    let url = match http.workflow_url(&request.url) {
        Ok(url) => url,
        Err(error) => return refused(W::NAME, &error),
    };
    match http.initiate(&url, &request.headers, payload, &W::OPTIONS, Some(run_id)).await {
        Ok(run) => answer::success(&run.workflow_run_id),
        Err(error) => refused(W::NAME, &error),
    }
}

async fn trigger(
    client: &Client,
    request: &Request,
    options: &WorkflowOptions,
) -> Result<Triggered, ClientError> {
    let content_type = text(&request.headers, CONTENT_TYPE.as_str()).unwrap_or("application/json");
    let mut trigger = client
        .trigger_url(path(&request.url), &())
        .raw(request.body.clone(), content_type)
        .failure_callback(options.own_failure_callback());
    for label in text(&request.headers, LABEL).unwrap_or_default().split(',').map(str::trim) {
        if !label.is_empty() {
            trigger = trigger.label(label);
        }
    }
    for (name, value) in &request.headers {
        if is_passed_on(name.as_str()) && *name != LABEL {
            trigger = trigger.header(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
    }
    trigger.complete(options).await
}

/// The answer where the engine starts no run. What the caller can do something about keeps its status.
fn refused(workflow: &str, error: &ClientError) -> Response<Bytes> {
    let status = match error {
        ClientError::Refused { status: status @ (400 | 412 | 413), .. } => StatusCode::from_u16(*status).ok(),
        ClientError::RateLimited { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
        ClientError::Unreachable { .. } => Some(StatusCode::SERVICE_UNAVAILABLE),
        _ => None,
    };
    tracing::error!(workflow, %error, "no run could be started");
    rejected(
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        &format!("no run of `{workflow}` is started: {error}"),
    )
}

/// The path and query of a URL: an engine in this process reaches its workflows by them.
fn path(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) if !url.starts_with('/') => {
            rest.find('/').and_then(|start| rest.get(start..)).unwrap_or("/")
        }
        _ => url,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn the_path_of_a_url_is_what_follows_the_host() {
        assert_eq!(path("http://a.test/b/c?d=/e"), "/b/c?d=/e");
        assert_eq!(path("http://a.test"), "/");
        assert_eq!(path("/b?c=http://d/e"), "/b?c=http://d/e");
    }
}
