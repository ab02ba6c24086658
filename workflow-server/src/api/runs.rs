//! Runs: listing, ending and cancelling them, and reading what is recorded.

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json as value;
use workflow::{client::LogQuery, protocol::headers::WORKFLOW_CREATED_AT};

use super::{Call, json, refusal::Refusal};

const CANCEL_PARAMETERS: &[&str] = &[
    "workflowRunIds",
    "workflowUrl",
    "workflowUrlExactMatch",
    "host",
    "path",
    "label",
    "flowControlKey",
    "callerIp",
    "state",
    "fromDate",
    "toDate",
    "workflowCreatedAt",
    "count",
];
const LOG_PARAMETERS: &[&str] = &[
    "workflowRunId",
    "workflowRuns",
    "workflowUrl",
    "workflowUrlExactMatch",
    "host",
    "path",
    "label",
    "flowControlKey",
    "callerIp",
    "messageId",
    "state",
    "fromDate",
    "toDate",
    "workflowCreatedAt",
    "cursor",
    "count",
    "groupBy",
];

/// `DELETE /v2/workflows/runs`
pub(super) async fn cancel(mut call: Call) -> Result<Response, Refusal> {
    if !call.body.is_empty() {
        let body: CancelBody = call.json()?;
        if body.workflow_run_ids.as_ref().is_some_and(Vec::is_empty) {
            return Ok(cancelled(0));
        }
        body.workflow_run_ids.into_iter().flatten().for_each(|id| call.query.push("workflowRunIds", id));
        body.workflow_url.into_iter().for_each(|url| call.query.push("workflowUrl", url));
    }
    call.query.only(CANCEL_PARAMETERS)?;
    let filter = call.query.filter("workflowRunIds", false)?;
    let count = match call.query.number::<u32>("count")? {
        Some(count) => call.engine.cancel_some(filter, count).await?,
        None => call.engine.cancel(filter).await?,
    };
    Ok(cancelled(count))
}

/// Ids and a URL are also taken from the body, as older clients send them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CancelBody {
    workflow_run_ids: Option<Vec<String>>,
    workflow_url: Option<String>,
}

fn cancelled(count: u64) -> Response {
    json(StatusCode::OK, &value!({ "cancelled": count }))
}

/// `DELETE /v2/workflows/runs/{id}`
pub(super) async fn end(call: Call, run_id: String) -> Result<Response, Refusal> {
    call.query.only(&["cancel"])?;
    let cancel = call.query.flag("cancel")?.unwrap_or(true);
    let created_at = call.header_number(WORKFLOW_CREATED_AT)?;
    call.engine.end_run(&run_id, created_at, cancel, call.body).await?;
    Ok(json(StatusCode::OK, &value!({ "workflowRunId": run_id })))
}

/// `GET /v2/workflows/runs/{id}`
pub(super) async fn history(call: Call, run_id: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.history(&run_id).await?))
}

/// `GET /v2/workflows/events`
pub(super) async fn events(call: Call) -> Result<Response, Refusal> {
    match call.query.one("groupBy")?.as_deref() {
        Some("workflowRunId") => logs(call).await,
        _ => Err(Refusal::bad_request(
            "single events are not listed by this engine; add `groupBy=workflowRunId` to list runs",
        )),
    }
}

/// `GET /v2/workflows/logs`
pub(super) async fn logs(mut call: Call) -> Result<Response, Refusal> {
    // Clients send back the empty cursor of the last page.
    call.query.drop_empty("cursor");
    call.query.only(LOG_PARAMETERS)?;
    if let Some(group) = call.query.one("groupBy")?.filter(|group| group != "workflowRunId") {
        return Err(Refusal::bad_request(format!("`groupBy` must be `workflowRunId`, not `{group}`")));
    }
    let query = LogQuery {
        filter: call.query.filter("workflowRunId", true)?,
        cursor: call.query.one("cursor")?,
        count: call.query.number("count")?,
    };
    let mut page = call.engine.logs(query).await?;
    page.cursor.get_or_insert_default();
    Ok(json(StatusCode::OK, &page))
}
