//! What the attribute says of a workflow's runs reaches the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use common::{Deeds, Test, deeds};
use http::{Method, StatusCode};
use workflow::{
    Error, FlowControl, FlowLimits, Workflow, WorkflowContext, WorkflowOptions, client::RunState, workflow,
};
use workflow_axum::serve;

/// Its retries are due at once, so that a test need not wait.
#[workflow(name = "charge-card", retries = 2, retry_delay = "0 * pow(2, retried)", label = ["retail", "eu"])]
async fn charge(ctx: WorkflowContext<u32>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    ctx.run("charge", async || {
        deeds.tell(format!("attempt {} of {}", ctx.attempt(), ctx.labels().join("+")));
        Err::<(), _>(Error::msg("declined"))
    })
    .await
}

#[workflow(retries = 0, label = "retail")]
async fn once(ctx: WorkflowContext<()>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    ctx.run("charge", async || {
        deeds.tell("one attempt".to_owned());
        Err::<(), _>(Error::msg("declined"))
    })
    .await
}

/// Limits and a timeout with which it runs as ever.
#[workflow(timeout = "1m30s", flow_control(key = "till-1", parallelism = 2, rate = 10, period = "1m"))]
async fn limited(_ctx: WorkflowContext<()>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    deeds.tell("ran".to_owned());
    Ok(())
}

#[workflow]
async fn plain(_ctx: WorkflowContext<()>) -> workflow::Result<()> {
    Ok(())
}

#[test]
fn options_are_constants_of_the_workflow() {
    assert_eq!(charge::NAME, "charge-card");
    assert_eq!(charge::OPTIONS.retries, Some(2));
    assert_eq!(charge::OPTIONS.retry_delay, Some("0 * pow(2, retried)"));
    assert_eq!(charge::OPTIONS.labels, ["retail", "eu"]);
    assert_eq!(limited::OPTIONS.timeout, Some(Duration::from_secs(90)));
    let period = Some(Duration::from_secs(60));
    let limits = FlowLimits { key: "till-1", parallelism: Some(2), rate: Some(10), period };
    assert_eq!(limited::OPTIONS.flow_control, Some(limits));
    assert!(FlowControl::from(limits).check().is_ok());
    assert_eq!(plain::OPTIONS, WorkflowOptions::new());
}

#[tokio::test]
async fn runs_that_a_request_starts_have_the_options_of_their_workflow() {
    let (tell, mut told) = deeds();
    let test = Test::new(Router::new().route("/charge", post(serve::<charge>())).with_state(tell));
    test.request(Method::POST, "/charge", &[("upstash-label", "vip,eu")], "7").await.expect(StatusCode::OK);
    for attempt in 1..=3 {
        assert_eq!(told.next().await, format!("attempt {attempt} of vip+eu+retail"));
    }
    let run = test.ended().await;
    assert_eq!(run.workflow_state, RunState::RunFailed);
    assert_eq!(run.labels, ["vip", "eu", "retail"]);
}

#[tokio::test]
async fn a_trigger_by_type_has_the_options_too_and_what_it_says_itself_comes_first() {
    let (tell, mut told) = deeds();
    let app = Router::new().route("/charge", post(serve::<charge>())).route("/once", post(serve::<once>()));
    let test = Test::new(app.with_state(tell));
    let client = test.client.clone().workflows_at("/").workflow_at::<charge>("/charge");

    client.trigger::<once>(&()).await.unwrap();
    assert_eq!(told.next().await, "one attempt");
    assert_eq!(test.ended().await.workflow_state, RunState::RunFailed);

    client.trigger::<charge>(&7).retries(1).label("vip").await.unwrap();
    for attempt in 1..=2 {
        assert_eq!(told.next().await, format!("attempt {attempt} of retail+eu+vip"));
    }
    assert_eq!(test.ended().await.workflow_state, RunState::RunFailed);
}
