//! The webhooks of a run that is resumed: whoever was given their address calls the run that goes on.

use std::time::Duration;

use axum::{extract::State, routing::post};
use bytes::Bytes;
use http::{HeaderMap, Method};
use workflow::{Error, WaitResult, WorkflowContext, protocol::Webhook, workflow};
use workflow_axum::serve;
use workflow_engine::{EngineError, WebhookCall};
use workflow_tests::{Probe, TestApp};

/// Gives a webhook away, fails once, and waits for its call.
#[workflow]
async fn ask(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<String> {
    let webhook = ctx.create_webhook("make link").await?;
    ctx.run("send link", async || {
        probe.hold("send link").await;
        match probe.count("send link") {
            1 => Err(Error::non_retryable("the mail server is down")),
            _ => Ok(()),
        }
    })
    .await?;
    match ctx.wait_for_webhook("wait for click", &webhook, Duration::from_secs(3600)).await? {
        WaitResult::Received(request) => Ok(request.text()),
        WaitResult::TimedOut => Ok("nobody".to_owned()),
    }
}

fn click() -> WebhookCall {
    WebhookCall {
        method: Method::POST,
        headers: HeaderMap::new(),
        proto: "https".to_owned(),
        host: "shop.test".to_owned(),
        url: "/hooks".to_owned(),
        body: Bytes::from_static(b"clicked"),
    }
}

fn app() -> TestApp {
    TestApp::in_memory_with(|router| router.route("/ask", post(serve::<ask>())))
}

/// Starts a run, and waits until it has made its webhook.
async fn asked(app: &TestApp) -> (String, Webhook) {
    let run = app.client.trigger_url("/ask", &()).await.unwrap().workflow_run_id;
    app.probe.reached("send link", 1).await;
    let made = app.steps(&run).await.remove(0);
    let webhook: Webhook = serde_json::from_str(made.out.as_deref().unwrap()).unwrap();
    assert!(webhook.webhook_url.contains(&run));
    (run, webhook)
}

async fn resume(app: &TestApp, failed: &str) -> String {
    let id = app.ended(failed).await.dlq_id.unwrap();
    app.client.dlq().resume(id).await.unwrap().workflow_runs.remove(0).workflow_run_id
}

#[tokio::test]
async fn the_webhook_of_a_failed_run_reaches_the_one_that_goes_on_for_it() {
    let app = app();
    let (failed, webhook) = asked(&app).await;
    app.probe.open("send link");
    app.ended(&failed).await;
    let refused = app.engine.call_webhook(&failed, &webhook.event_id, click()).await.unwrap_err();
    assert!(matches!(refused, EngineError::NotFound(_)), "it has failed, and nobody goes on: {refused}");

    let resumed = resume(&app, &failed).await;
    app.engine.call_webhook(&failed, &webhook.event_id, click()).await.unwrap();
    assert_eq!(app.output::<String>(&resumed).await, "clicked");
}

#[tokio::test]
async fn a_call_that_was_taken_before_the_failure_is_there_for_the_resumed_run() {
    let app = app();
    let (failed, webhook) = asked(&app).await;
    app.engine.call_webhook(&failed, &webhook.event_id, click()).await.unwrap();
    app.probe.open("send link");
    let resumed = resume(&app, &failed).await;
    assert_eq!(app.output::<String>(&resumed).await, "clicked");
}
