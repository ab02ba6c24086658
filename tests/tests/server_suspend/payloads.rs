//! Payloads of every kind.

use axum::{Router, routing::post};
use serde_json::json;
use workflow::{WorkflowContext, client::LogQuery, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, Runs};

use crate::Remote;

/// The workflows of this file.
pub fn routes() -> Router<Probe> {
    Router::new().route("/text", post(serve::<text>())).route("/sum", post(serve::<sum>()))
}

#[workflow]
async fn text(ctx: WorkflowContext<String>) -> workflow::Result<String> {
    Ok(ctx.request_payload().to_uppercase())
}

#[tokio::test]
async fn a_payload_may_be_plain_text() {
    let remote = Remote::start().await;
    let run = remote.client.trigger_url("/text", &()).raw("plain é", "text/plain").await.unwrap();
    assert_eq!(remote.output(&run.workflow_run_id).await, json!("PLAIN É"));
}

#[tokio::test]
async fn a_payload_that_does_not_fit_fails_the_run_without_retries() {
    let remote = Remote::start().await;
    let run = remote.trigger("/story", &json!({ "id": "seven" })).await;
    let errors = remote.failure(&run).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("id") && errors[0].contains("u32"), "{errors:?}");
}

#[workflow]
async fn sum(ctx: WorkflowContext<bytes::Bytes>) -> workflow::Result<u32> {
    Ok(ctx.request_payload().iter().map(|byte| u32::from(*byte)).sum())
}

#[tokio::test]
async fn bytes_that_are_no_text_reach_the_workflow() {
    let remote = Remote::start().await;
    let bytes: &[u8] = &[0xff, 0xfe, 0x00, 0x80];
    let run = remote.client.trigger_url("/sum", &()).raw(bytes, "application/octet-stream").await.unwrap();
    assert_eq!(remote.output(&run.workflow_run_id).await, json!(255 + 254 + 128));

    let several =
        [remote.client.trigger_url("/sum", &1), remote.client.trigger_url("/sum", &()).raw(bytes, "a/b")];
    let error = remote.client.trigger_many(several).await.unwrap_err().to_string();
    assert!(error.contains("not UTF-8"), "{error}");
    assert_eq!(remote.client.logs(LogQuery::default()).await.unwrap().runs.len(), 1);
}
