//! Calls of webhooks, by whoever knows where they are.

use axum::{body::Body, response::Response};
use http::{HeaderMap, StatusCode, header::HOST, request::Parts};
use serde_json::json as value;
use workflow_engine::WebhookCall;

use super::{Api, json, read, refusal::Refusal};

/// How many bytes the body of such a request may have, whatever others may: 10 MiB. Nobody knows its sender.
const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// Any method, `/v2/workflows/hooks/{user}/{run}/{event}`
pub(super) async fn call(
    api: &Api,
    parts: Parts,
    body: Body,
    run_id: &str,
    event: &str,
) -> Result<Response, Refusal> {
    let body = read(body, &parts.headers, api.body_limit.min(BODY_LIMIT)).await?;
    let proto = first(&parts.headers, "x-forwarded-proto").filter(|proto| *proto == "https");
    let host = first(&parts.headers, "x-forwarded-host").or_else(|| first(&parts.headers, HOST.as_str()));
    let call = WebhookCall {
        proto: proto.unwrap_or("http").to_owned(),
        host: host.unwrap_or("localhost").to_owned(),
        url: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        method: parts.method,
        headers: parts.headers,
        body,
    };
    api.engine.call_webhook(run_id, event, call).await?;
    Ok(json(StatusCode::OK, &value!({})))
}

/// The first of the values of a header that are separated by commas.
fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    Some(value).filter(|value| !value.is_empty())
}
