//! Flow control: looking at keys, pausing them, and pinning their limits.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde_json::json as value;
use workflow::client::FlowControlChange;

use super::{Call, json, refusal::Refusal};

/// `GET /v2/flowControl`
pub(super) fn list(call: &Call) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.flow_controls()))
}

/// `GET /v2/flowControl/{key}`
pub(super) fn get(call: &Call, key: &str) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.flow_control(key)))
}

/// `POST /v2/flowControl/{key}/{action}`
pub(super) async fn change(call: Call, key: String, action: String) -> Result<Response, Refusal> {
    let known: &[&str] = match action.as_str() {
        "pin" => &["parallelism", "rate", "period"],
        "unpin" => &["parallelism", "rate"],
        _ => &[],
    };
    call.query.only(known)?;
    let change = match action.as_str() {
        "pause" => FlowControlChange::Pause,
        "resume" => FlowControlChange::Resume,
        "pin" => FlowControlChange::Pin {
            parallelism: call.query.number("parallelism")?,
            rate: call.query.number("rate")?,
            period: call.query.number("period")?.map(Duration::from_secs),
        },
        "unpin" => unpin(&call)?,
        "resetRate" => FlowControlChange::ResetRate,
        other => {
            return Err(Refusal::not_found(format!(
                "there is no action `{other}` for a flow-control key; there are pause, resume, pin, unpin and resetRate"
            )));
        }
    };
    call.engine.change_flow_control(&key, change).await?;
    Ok(json(StatusCode::OK, &value!({})))
}

fn unpin(call: &Call) -> Result<FlowControlChange, Refusal> {
    let parallelism = call.query.flag("parallelism")?.unwrap_or(false);
    let rate = call.query.flag("rate")?.unwrap_or(false);
    if !parallelism && !rate {
        return Err(Refusal::bad_request(
            "say what is to be unpinned: `parallelism=true`, `rate=true`, or both",
        ));
    }
    Ok(FlowControlChange::Unpin { parallelism, rate })
}

/// `GET /v2/globalParallelism`
pub(super) fn global(call: &Call) -> Result<Response, Refusal> {
    call.query.only(&[])?;
    Ok(json(StatusCode::OK, &call.engine.global_parallelism()))
}
