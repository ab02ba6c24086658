//! Messages: they start runs, or bring the steps of one.

use std::collections::BTreeMap;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::{
    client::Triggered,
    protocol::headers::{FAILURE_CALLBACK, WORKFLOW_INIT},
};
use workflow_engine::{Message, Published};

use super::{Call, json, refusal::Refusal};

/// `POST /v2/publish/{destination}`
pub(super) async fn publish(call: Call, destination: String) -> Result<Response, Refusal> {
    let message = message(&call, destination, message_headers(&call.headers)?, call.body.clone())?;
    let published = call.engine.publish(vec![message]).await?.into_iter().next();
    let answer = Answer::from(published.ok_or_else(nothing_published)?);
    let status = if answer.deduplicated { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(json(status, &answer))
}

/// `POST /v2/batch`
pub(super) async fn batch(call: Call) -> Result<Response, Refusal> {
    let published = call.engine.publish(messages(&call)?).await?;
    Ok(json(StatusCode::OK, &published.into_iter().map(Answer::from).collect::<Vec<_>>()))
}

/// `POST /v2/trigger/{url}`
pub(super) async fn trigger(call: Call, destination: String) -> Result<Response, Refusal> {
    let mut message = message(&call, destination, message_headers(&call.headers)?, call.body.clone())?;
    starts_a_run(&mut message);
    let published = call.engine.publish(vec![message]).await?.into_iter().next();
    Ok(json(StatusCode::OK, &triggered(published.ok_or_else(nothing_published)?)))
}

/// `POST /v2/batch/trigger`
pub(super) async fn batch_trigger(call: Call) -> Result<Response, Refusal> {
    let mut messages = messages(&call)?;
    messages.iter_mut().for_each(starts_a_run);
    let published = call.engine.publish(messages).await?;
    Ok(json(StatusCode::CREATED, &published.into_iter().map(triggered).collect::<Vec<_>>()))
}

/// An entry of a batch.
#[derive(Deserialize)]
struct Entry {
    destination: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    queue: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    message_id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deduplicated: bool,
}

impl From<Published> for Answer {
    fn from(published: Published) -> Self {
        Self { message_id: published.message_id, deduplicated: published.deduplicated }
    }
}

fn messages(call: &Call) -> Result<Vec<Message>, Refusal> {
    call.query.only(&[])?;
    let entries: Vec<Entry> = call.json()?;
    let entry_message = |(position, entry): (usize, Entry)| {
        if let Some(queue) = entry.queue {
            return Err(Refusal::bad_request(format!(
                "entry {position} of the batch is for the queue `{queue}`, and this engine has no queues"
            )));
        }
        let body = match entry.body {
            Some(Value::String(text)) => Bytes::from(text),
            // The body of a call may be any JSON where the SDK has not turned it into text.
            Some(json) if !json.is_null() => Bytes::from(json.to_string()),
            _ => Bytes::new(),
        };
        message(call, entry.destination, entry.headers.into_iter().collect(), body)
    };
    entries.into_iter().enumerate().map(entry_message).collect()
}

fn message(
    call: &Call,
    destination: String,
    headers: Vec<(String, String)>,
    body: Bytes,
) -> Result<Message, Refusal> {
    if !call.has_app && destination.starts_with('/') {
        return Err(Refusal::bad_request(format!(
            "`{destination}` is a path, and there is no app in this process; give the absolute URL of the workflow"
        )));
    }
    Ok(Message { destination, headers, body, caller_ip: call.caller.map(|ip| ip.to_string()) })
}

/// What a request says about its message: the protocol's own headers and the content type.
fn message_headers(headers: &HeaderMap) -> Result<Vec<(String, String)>, Refusal> {
    let of_the_message =
        headers.iter().filter(|(name, _)| name.as_str().starts_with("upstash-") || *name == CONTENT_TYPE);
    of_the_message
        .map(|(name, value)| match std::str::from_utf8(value.as_bytes()) {
            Ok(value) => Ok((name.as_str().to_owned(), value.to_owned())),
            Err(_) => Err(Refusal::bad_request(format!("the value of the header `{name}` is not UTF-8"))),
        })
        .collect()
}

/// Whoever triggers a run leaves it to the engine to say so, and that the workflow itself is told if it fails.
fn starts_a_run(message: &mut Message) {
    if message.header(FAILURE_CALLBACK).is_none() {
        message.headers.push((FAILURE_CALLBACK.to_owned(), message.destination.clone()));
    }
    message.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(WORKFLOW_INIT));
    message.headers.push((WORKFLOW_INIT.to_owned(), "true".to_owned()));
}

fn triggered(published: Published) -> Triggered {
    Triggered {
        workflow_run_id: published.run_id,
        workflow_created_at: published.created_at,
        deduplicated: published.deduplicated,
    }
}

fn nothing_published() -> Refusal {
    Refusal::internal("the engine took the message but did not say what became of it")
}
