//! Runs that are triggered by the type of their workflow.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use axum::{Router, routing::post};
use bytes::Bytes;
use common::Test;
use serde::{Deserialize, Serialize};
use workflow::{Client, ClientError, Workflow, WorkflowContext, client::RunLog, workflow};
use workflow_axum::serve;

#[derive(Deserialize, Serialize)]
struct Order {
    id: u64,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Receipt {
    cents: u64,
}

#[workflow]
async fn process_order(ctx: WorkflowContext<Order>) -> workflow::Result<Receipt> {
    match ctx.request_payload().id {
        13 => Err(workflow::Error::non_retryable("nobody delivers number 13")),
        id => Ok(Receipt { cents: id * 100 }),
    }
}

#[workflow]
async fn measure(ctx: WorkflowContext<Bytes>) -> workflow::Result<usize> {
    Ok(ctx.request_payload().len())
}

#[workflow]
async fn greet(ctx: WorkflowContext<String>) -> workflow::Result<String> {
    Ok(format!("hello {}", ctx.request_payload()))
}

#[workflow]
async fn tick(_ctx: WorkflowContext<()>) -> workflow::Result<()> {
    Ok(())
}

fn test() -> Test {
    Test::new(
        Router::new()
            .route("/api/process-order", post(serve::<process_order>()))
            .route("/api/measure", post(serve::<measure>()))
            .route("/hello", post(serve::<greet>()))
            .route("/api/tick", post(serve::<tick>())),
    )
}

async fn ended<W: Workflow>(client: &Client, payload: &W::Payload) -> RunLog
where
    W::Payload: Serialize,
{
    let started = client.trigger::<W>(payload).await.unwrap();
    loop {
        let run = client.run(&started.workflow_run_id).await.unwrap().unwrap();
        if run.is_ended() {
            return run;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_workflow_says_where_what_and_what_comes_of_it() {
    let client = test().client.workflows_at("/api").workflow_at::<greet>("/hello");

    let run = ended::<process_order>(&client, &Order { id: 7 }).await;
    assert_eq!(run.workflow_url, "/api/process-order");
    assert_eq!(run.result::<process_order>().unwrap(), Some(Receipt { cents: 700 }));

    let run = ended::<greet>(&client, &"you".to_owned()).await;
    assert_eq!(run.workflow_url, "/hello");
    assert_eq!(run.result::<greet>().unwrap().as_deref(), Some("hello you"));

    let run = ended::<tick>(&client, &()).await;
    assert_eq!(run.result::<tick>().unwrap(), Some(()));
}

#[tokio::test]
async fn bytes_are_sent_as_they_are() {
    let client = test().client.workflows_at("/api/");
    let run = ended::<measure>(&client, &Bytes::from_static(b"\xff\x00\xfe")).await;
    assert_eq!(run.result::<measure>().unwrap(), Some(3));
}

#[tokio::test]
async fn a_run_that_has_failed_has_no_result_but_a_reason() {
    let client = test().client.workflows_at("/api");
    let run = ended::<process_order>(&client, &Order { id: 13 }).await;
    let error = run.result::<process_order>().unwrap_err();
    assert!(matches!(error, ClientError::Unsuccessful { .. }), "{error}");
    assert!(error.to_string().contains("nobody delivers number 13"), "{error}");
}

#[tokio::test]
async fn where_a_workflow_is_has_to_be_told_and_the_error_says_how() {
    let Test { client, .. } = &test();
    let message = "this client does not know where the workflow `process_order` is mounted; tell it where the client is made: \
                   `client.workflow_at::<process_order>(\"/api/process-order\")` for this workflow alone, or \
                   `client.workflows_at(\"/api\")` for all that are mounted under their names";
    let trigger = || client.trigger::<process_order>(&Order { id: 7 });
    for error in [
        trigger().await.unwrap_err(),
        trigger().raw("{}", "application/json").await.unwrap_err(),
        client.trigger_many([trigger()]).await.unwrap_err(),
    ] {
        assert!(matches!(error, ClientError::Configuration(_)), "{error:?}");
        assert_eq!(error.to_string(), message);
    }
}
