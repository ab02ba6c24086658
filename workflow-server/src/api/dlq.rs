//! The dead letter queue: runs that have failed.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde_json::json as value;
use workflow::{
    FlowControl,
    client::{CallbackState, DlqFilter, DlqQuery, DlqSelection, Revival, RunChanges},
    protocol::{
        duration::parse_duration,
        headers::{
            DELAY, FAILURE_CALLBACK, FLOW_CONTROL_KEY, FLOW_CONTROL_VALUE, LABEL, RETRIES, RETRY_DELAY,
        },
    },
};

use super::{Call, json, query::Query, refusal::Refusal};

const FILTER_PARAMETERS: &[&str] = &[
    "workflowRunId",
    "workflowUrl",
    "url",
    "label",
    "fromDate",
    "toDate",
    "workflowCreatedAt",
    "responseStatus",
    "failureFunctionState",
    "flowControlKey",
    "cursor",
    "count",
];

/// `GET /v2/dlq` and `GET /v2/workflows/dlq`
pub(super) async fn list(mut call: Call) -> Result<Response, Refusal> {
    only_filter_and(&mut call, &["source"])?;
    if let Some(source) = call.query.one("source")?.filter(|source| source != "workflow") {
        return Err(Refusal::bad_request(format!(
            "`source` must be `workflow`, not `{source}`: this engine has no other messages"
        )));
    }
    let mut page = call.engine.dead_letters(query(&call.query)?).await?;
    page.cursor.get_or_insert_default();
    Ok(json(StatusCode::OK, &page))
}

/// `GET /v2/workflows/dlq/{id}`
pub(super) async fn get(call: Call, id: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.dead_letter(&id).await?))
}

/// `POST /v2/workflows/dlq/resume` and `POST /v2/workflows/dlq/restart`
pub(super) async fn revive(mut call: Call, revival: Revival) -> Result<Response, Refusal> {
    only_filter_and(&mut call, &["dlqIds"])?;
    let revived = call.engine.revive(revival, selection(&call.query)?, changes(&call)?).await?;
    Ok(json(StatusCode::OK, &revived))
}

/// `POST /v2/workflows/dlq/resume/{id}` and `POST /v2/workflows/dlq/restart/{id}`
pub(super) async fn revive_one(call: Call, revival: Revival, id: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    let one = DlqSelection::Ids(vec![id.clone()]);
    let revived = call.engine.revive(revival, one, changes(&call)?).await?;
    match revived.workflow_runs.first() {
        Some(run) => Ok(json(StatusCode::OK, run)),
        None => Err(Refusal::not_found(format!("there is no `{id}` in the dead letter queue"))),
    }
}

/// `DELETE /v2/workflows/dlq`
pub(super) async fn delete(mut call: Call) -> Result<Response, Refusal> {
    only_filter_and(&mut call, &["dlqIds"])?;
    let deleted = call.engine.delete_dead_letters(selection(&call.query)?).await?;
    Ok(json(StatusCode::OK, &deleted))
}

/// `DELETE /v2/workflows/dlq/{id}`
pub(super) async fn delete_one(call: Call, id: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    let one = DlqSelection::Ids(vec![id.clone()]);
    match call.engine.delete_dead_letters(one).await?.deleted {
        0 => Err(Refusal::not_found(format!("there is no `{id}` in the dead letter queue"))),
        deleted => Ok(json(StatusCode::OK, &value!({ "deleted": deleted }))),
    }
}

/// `POST /v2/workflows/dlq/callback/{id}`
pub(super) async fn retry_callback(call: Call, id: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.retry_failure_function(&id).await?))
}

/// `DELETE /v2/workflows/dlq/callback/{id}`
pub(super) async fn cancel_callback(call: Call, id: String) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.cancel_failure_function(&id).await?))
}

/// Clients send back the empty cursor of the last page.
fn only_filter_and(call: &mut Call, others: &[&str]) -> Result<(), Refusal> {
    call.query.drop_empty("cursor");
    call.query.only(&[others, FILTER_PARAMETERS].concat())
}

/// Ids, or a filter, but not both: what the caller means would be unclear.
fn selection(query: &Query) -> Result<DlqSelection, Refusal> {
    let ids = query.many("dlqIds")?;
    if ids.is_empty() {
        return Ok(DlqSelection::Found(self::query(query)?));
    }
    query.only(&["dlqIds"])?;
    Ok(DlqSelection::Ids(ids))
}

fn query(query: &Query) -> Result<DlqQuery, Refusal> {
    let url = match (query.one("workflowUrl")?, query.one("url")?) {
        (Some(_), Some(_)) => {
            return Err(Refusal::bad_request("`workflowUrl` and `url` mean the same; give one of them"));
        }
        (url, older) => url.or(older),
    };
    let states = query.many("failureFunctionState")?;
    let filter = DlqFilter {
        run_ids: query.many("workflowRunId")?,
        workflow_url: url,
        labels: query.many("label")?,
        from: query.number("fromDate")?,
        to: query.number("toDate")?,
        created_at: query.number("workflowCreatedAt")?,
        response_status: query.number("responseStatus")?,
        failure_function: states.iter().map(|state| state_of(state)).collect::<Result<_, _>>()?,
        flow_control_key: query.one("flowControlKey")?,
    };
    Ok(DlqQuery { filter, cursor: query.one("cursor")?, count: query.number("count")? })
}

fn state_of(text: &str) -> Result<CallbackState, Refusal> {
    CallbackState::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
        Refusal::bad_request(format!(
            "`{text}` is no state of a failure function; there are {}",
            CallbackState::ALL.map(CallbackState::as_str).join(", ")
        ))
    })
}

/// What the headers say that is to be different in the new runs.
fn changes(call: &Call) -> Result<RunChanges, Refusal> {
    let retries = call.header_number(RETRIES)?;
    let retries = retries.map(u32::try_from).transpose().map_err(|_| {
        Refusal::bad_request(format!("the header `{RETRIES}` must be a number of retries from 0 on"))
    })?;
    let delay = call.header(DELAY)?.map(parse_duration).transpose();
    let delay: Option<Duration> =
        delay.map_err(|error| Refusal::bad_request(format!("the header `{DELAY}`: {error}")))?;
    let labels = call.header(LABEL)?.into_iter().flat_map(|labels| labels.split(','));
    let labels = labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect();
    Ok(RunChanges {
        retries,
        retry_delay: call.header(RETRY_DELAY)?.map(str::to_owned),
        flow_control: flow_control(call)?,
        labels,
        delay,
        failure_url: call.header(FAILURE_CALLBACK)?.map(str::to_owned),
    })
}

fn flow_control(call: &Call) -> Result<Option<FlowControl>, Refusal> {
    match (call.header(FLOW_CONTROL_KEY)?, call.header(FLOW_CONTROL_VALUE)?) {
        (Some(key), Some(limits)) => {
            FlowControl::parse(key, limits).map(Some).map_err(|error| Refusal::bad_request(error.to_string()))
        }
        (None, None) => Ok(None),
        _ => Err(Refusal::bad_request(format!(
            "`{FLOW_CONTROL_KEY}` and `{FLOW_CONTROL_VALUE}` go together; one of them is missing"
        ))),
    }
}
