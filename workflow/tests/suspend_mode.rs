//! Runs on an engine that calls again after every step.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use serde_json::json;
use support::Recorder;
use workflow::{WorkflowContext, engine::Mode, workflow};

#[workflow]
async fn story(ctx: WorkflowContext<u32>) -> workflow::Result<(u32, bool, usize)> {
    let doubled = ctx.run("double", async || Ok(ctx.request_payload() * 2)).await?;
    ctx.sleep("nap", Duration::from_millis(1500)).await?;
    let waited = ctx.wait_for_event::<()>("wait", "event", Duration::from_secs(1)).await?;
    let told = ctx.notify("tell", "event", "data").await?;
    Ok((doubled, waited.is_timeout(), told.notify_response.len()))
}

#[tokio::test]
async fn every_step_is_an_invocation_of_its_own() {
    let engine = Recorder::new(Mode::Suspend);
    engine.deliver_each::<story>("21").await;
    assert_eq!(
        engine.reports(),
        [
            "append 1 double 42",
            "sleep 2 nap park",
            "wait 3 wait for event park",
            "notify 4 tell of event",
            "complete [42,true,1]"
        ]
    );
    assert_eq!(engine.history()[1].sleep_for, Some(json!(2)), "whole seconds, and never too short");
}

#[tokio::test]
async fn a_group_is_planned_and_each_member_runs_once() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    #[workflow]
    async fn group(ctx: WorkflowContext<()>) -> workflow::Result<(u32, bool, u32)> {
        let count = || Ok(RUNS.fetch_add(1, Relaxed));
        ctx.run("before", async || Ok(())).await?;
        let (a, wait, sleep, b) = tokio::join!(
            ctx.run("a", async || count()),
            ctx.wait_for_event::<()>("wait", "event", Duration::from_secs(90)),
            ctx.sleep("sleep", Duration::from_secs(5)),
            ctx.run("b", async || count()),
        );
        sleep?;
        let timed_out = wait?.is_timeout();
        ctx.run("after", async || Ok(())).await?;
        Ok((a?, timed_out, b?))
    }

    let engine = Recorder::new(Mode::Suspend);
    engine.deliver_each::<group>("").await;
    assert_eq!(
        engine.reports(),
        [
            "append 1 before null",
            "plan 2 a, 3 wait, 4 sleep, 5 b",
            "append 2 a 0",
            "wait 3 wait for event",
            "append 4 sleep -",
            "append 5 b 1",
            "append 6 after null",
            "complete [0,true,1]"
        ]
    );
    let plans = engine.history()[1..5].to_vec();
    assert!(plans.iter().all(|plan| plan.step_id == 0 && plan.concurrent == 4));
    assert_eq!(plans[1].wait_event_id.as_deref(), Some("event"));
    assert_eq!(plans[1].timeout.as_deref(), Some("90s"));
    assert_eq!(plans[2].sleep_for, Some(json!(5)));
}

#[tokio::test]
async fn a_repeated_delivery_does_nothing() {
    let engine = Recorder::new(Mode::Suspend);
    engine.deliver::<story>("1").await;
    engine.edit(|history| history.extend_from_within(..));
    let answer = engine.deliver::<story>("1").await;
    assert_eq!(answer.status(), 200);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body, json!({ "workflowRunId": "wfr_test", "finishCondition": "duplicate-step" }));
    assert_eq!(engine.reports(), ["append 1 double 2"]);
}

#[tokio::test]
async fn an_ended_run_is_answered_with_success() {
    let engine = Recorder::new(Mode::Suspend);
    engine.deliver_each::<story>("1").await;
    engine.edit(Vec::clear);
    assert_eq!(engine.deliver::<story>("1").await.status(), 200);
}
