//! Runs that have failed are resumed and restarted: the endpoint gets the history of the failed run, and again what has no result.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use serde_json::{Value, json};
use workflow::{Error, WaitResult, WorkflowContext, client::StepState, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, Runs, eventually};

use crate::Remote;

/// The workflows of this file.
pub fn routes() -> Router<Probe> {
    Router::new().route("/charge", post(serve::<charge>())).route("/group", post(serve::<group>()))
}

/// The second step fails at its first attempts, as often as the payload says.
#[workflow]
async fn charge(ctx: WorkflowContext<usize>, State(probe): State<Probe>) -> workflow::Result<Vec<usize>> {
    let first = ctx.run("first", async || Ok(probe.pass("first"))).await?;
    ctx.sleep("nap", Duration::from_millis(1)).await?;
    let charged = ctx
        .run("charge", async || match probe.pass("charge") {
            count if count > *ctx.request_payload() => Ok(count),
            _ => Err(Error::non_retryable("the card was declined")),
        })
        .await?;
    let last = ctx.run("last", async || Ok(probe.pass("last"))).await?;
    Ok(vec![first, charged, last])
}

/// Four members, of which one is held at the place `right`, and fails at its first attempt.
#[workflow]
async fn group(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<Value> {
    ctx.run("before", async || Ok(probe.pass("before"))).await?;
    let (left, right, event, slept) = tokio::join!(
        ctx.run("left", async || Ok(probe.pass("left"))),
        ctx.run("right", async || {
            probe.hold("right").await;
            match probe.count("right") {
                1 => Err(Error::non_retryable("not right")),
                count => Ok(count),
            }
        }),
        ctx.wait_for_event::<u32>("wait", "group-event", Duration::from_secs(3600)),
        ctx.sleep("sleep", Duration::from_millis(1)),
    );
    slept?;
    let event = match event? {
        WaitResult::Received(event) => Some(event),
        WaitResult::TimedOut => None,
    };
    let after = ctx.run("after", async || Ok(probe.pass("after"))).await?;
    Ok(json!({ "left": left?, "right": right?, "event": event, "after": after }))
}

impl Remote {
    async fn dlq_id(&self, run: &str) -> String {
        self.ended(run).await.dlq_id.expect("a run that has failed is in the dead letter queue")
    }
}

#[tokio::test]
async fn a_resumed_run_goes_on_at_the_step_that_failed() {
    let remote = Remote::start().await;
    let run = remote.trigger("/charge", &2).await;
    let mut failed = remote.dlq_id(&run).await;
    let mut last = String::new();
    for _ in 0..2 {
        let resumed = remote.client.dlq().resume(failed.as_str()).await.unwrap();
        last = resumed.workflow_runs[0].workflow_run_id.clone();
        failed = remote.ended(&last).await.dlq_id.unwrap_or_default();
    }
    assert_eq!(remote.output(&last).await, json!([1, 3, 1]));
    assert_eq!(remote.probe.count("first"), 1);
    let log = remote.log(&last).await;
    let names: Vec<_> =
        log.steps.iter().flat_map(|group| &group.steps).map(|step| step.step_name.as_deref()).collect();
    assert_eq!(names, ["init", "first", "nap", "charge", "last"].map(Some));
}

#[tokio::test]
async fn a_restarted_run_begins_again() {
    let remote = Remote::start().await;
    let run = remote.trigger("/charge", &1).await;
    let failed = remote.dlq_id(&run).await;
    let restarted = remote.client.dlq().restart(failed).await.unwrap();
    let again = &restarted.workflow_runs[0].workflow_run_id;
    assert_eq!(remote.output(again).await, json!([2, 2, 1]));
}

/// Protocol, section I, decision 5.
#[tokio::test]
async fn a_group_is_resumed_without_the_members_that_have_a_result() {
    let remote = Remote::start().await;
    let run = remote.trigger("/group", &()).await;
    remote.waiting("group-event").await;
    eventually("two members have a result", async || {
        let log = remote.log(&run).await;
        let done = |state: Option<StepState>| state == Some(StepState::StepSuccess);
        let members = log.steps.iter().flat_map(|group| &group.steps);
        let done = members.filter(|step| step.concurrent == Some(4) && done(step.state));
        (done.count() == 2).then_some(())
    })
    .await;
    remote.probe.reached("right", 1).await;
    remote.probe.open("right");
    let failed = remote.dlq_id(&run).await;
    let resumed = remote.client.dlq().resume(failed).await.unwrap();
    let resumed = &resumed.workflow_runs[0].workflow_run_id;
    remote.waiting("group-event").await;
    let told = remote.client.notify("group-event", &7_u32).await.unwrap();
    assert_eq!(told[0].workflow_run_id, *resumed);
    let expected = json!({ "left": 1, "right": 2, "event": 7, "after": 1 });
    assert_eq!(remote.output(resumed).await, expected);
    let counts = ["before", "left", "right", "after"].map(|place| remote.probe.count(place));
    assert_eq!(counts, [1, 1, 2, 1]);
}
