//! Events: waiting for them, and telling of them.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::json as value;
use workflow::{
    client::{HeaderLists, Notification},
    protocol::headers::{DEDUPLICATION_ID, WORKFLOW_RUN_ID},
};
use workflow_engine::{WaitBody, WaitRequest};

use super::{Call, json, refusal::Refusal};

/// `POST /v2/wait/{event}`
pub(super) async fn wait(call: Call, event: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    let run_id = call
        .header(WORKFLOW_RUN_ID)?
        .ok_or_else(|| {
            Refusal::bad_request("the header `Upstash-Workflow-RunId`, the run that waits, is missing")
        })?
        .to_owned();
    let mut body: WaitBody = call.json()?;
    body.timeout_headers.retain(|name, _| may_be_shown(name));
    let headers = shown_headers(&call.headers);
    call.engine.wait(&event, WaitRequest { run_id, headers, body }).await?;
    Ok(json(StatusCode::OK, &value!({})))
}

/// `POST /v2/notify/{event}` and `POST /v2/notify/{run}/{event}`
pub(super) async fn notify(call: Call, run_id: Option<String>, event: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    let deduplication_id = call.header(DEDUPLICATION_ID)?.map(str::to_owned);
    let one_run = run_id.is_some();
    let notification = Notification { event_id: event, data: call.body, run_id, deduplication_id };
    let mut notified = call.engine.notify(notification).await?;
    if !one_run {
        return Ok(json(StatusCode::CREATED, &notified));
    }
    match notified.pop() {
        Some(notified) => Ok(json(StatusCode::CREATED, &notified)),
        None => Err(Refusal::internal("the engine took the notification but did not say what became of it")),
    }
}

/// `GET /v2/waiters/{event}`
pub(super) async fn waiters(call: Call, event: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.waiters(&event).await?))
}

/// The headers of a wait request that whoever lists the waiters may see.
fn shown_headers(headers: &HeaderMap) -> HeaderLists {
    let mut lists = HeaderLists::new();
    for (name, value) in headers.iter().filter(|(name, _)| may_be_shown(name.as_str())) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        lists.entry(name.as_str().to_owned()).or_default().push(value);
    }
    lists
}

/// The protocol's own headers hold no credentials. Headers of the user, which are to be forwarded, may.
fn may_be_shown(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match name.split_once("-forward-") {
        Some((_, forwarded)) => forwarded.starts_with("upstash-"),
        None => name == "content-type" || name.starts_with("upstash-"),
    }
}
