//! The webhooks of a run that is resumed: whoever was given their address calls the run that goes on.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use http::{HeaderMap, Method};
use workflow::{Error, WaitResult, WorkflowContext, client::RunLog, protocol::Webhook, workflow};
use workflow_axum::serve;
use workflow_engine::{Engine, EngineError, ManualClock, WebhookCall};
use workflow_tests::{Probe, START, eventually};

/// Gives a webhook away, fails once, and waits for its call.
#[workflow]
async fn ask(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<String> {
    let webhook = ctx.create_webhook("make link").await?;
    ctx.run("send link", async || match probe.pass("send link") {
        1 => Err(Error::non_retryable("the mail server is down")),
        _ => Ok(()),
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

#[tokio::test]
async fn the_webhook_of_a_failed_run_reaches_the_one_that_goes_on_for_it() {
    let engine = Engine::builder()
        .clock(Arc::new(ManualClock::new(START)))
        .webhooks_at("https://shop.test/hooks")
        .in_memory()
        .unwrap();
    let router = Router::new().route("/ask", post(serve::<ask>())).with_state(Probe::default());
    let _app: Router = workflow_axum::attach(router, &engine.handle());
    let client = engine.client();
    let ended = async |run: &str| {
        eventually(format!("the run `{run}` ends"), async || {
            client.run(run).await.unwrap().filter(RunLog::is_ended)
        })
        .await
    };

    let failed = client.trigger_url("/ask", &()).await.unwrap().workflow_run_id;
    let log = ended(&failed).await;
    let made = &log.steps[1].steps[0];
    let webhook: Webhook = serde_json::from_str(made.out.as_deref().unwrap()).unwrap();
    assert!(webhook.webhook_url.contains(&failed));
    let refused = engine.call_webhook(&failed, &webhook.event_id, click()).await.unwrap_err();
    assert!(matches!(refused, EngineError::NotFound(_)), "it has failed, and nobody goes on: {refused}");

    let resumed = client.dlq().resume(log.dlq_id.unwrap()).await.unwrap().workflow_runs.remove(0);
    engine.call_webhook(&failed, &webhook.event_id, click()).await.unwrap();
    let log = ended(&resumed.workflow_run_id).await;
    assert_eq!(log.response::<String>().unwrap().as_deref(), Some("clicked"));
}
