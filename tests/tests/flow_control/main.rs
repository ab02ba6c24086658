//! Flow control: limits that runs share by a key.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod failures;
mod in_process;
mod over_http;
mod pinned;

use workflow::{FlowControl, client::FlowControlInfo};
use workflow_engine::Engine;
use workflow_tests::{
    TestApp, eventually,
    script::{self, Op},
};

/// Starts a script under limits, and gives the run's id.
async fn start(app: &TestApp, limits: &FlowControl, ops: impl IntoIterator<Item = Op>) -> String {
    let ops: Vec<Op> = ops.into_iter().collect();
    let trigger = app.client.trigger_url(script::PATH, &ops).flow_control(limits.clone());
    trigger.await.unwrap().workflow_run_id
}

/// Starts this many of one script under limits, and gives their ids in the order of their triggers.
async fn start_many(app: &TestApp, limits: &FlowControl, count: usize, op: Op) -> Vec<String> {
    let one = || app.client.trigger_url(script::PATH, std::slice::from_ref(&op)).flow_control(limits.clone());
    let started = app.client.trigger_many(std::iter::repeat_with(one).take(count)).await.unwrap();
    started.into_iter().map(|run| run.workflow_run_id).collect()
}

/// Waits until this many wait for their turn under the key `k`, and gives what is known of it.
async fn waiting(engine: &Engine, count: u64) -> FlowControlInfo {
    eventually(format!("{count} wait"), async || {
        Some(engine.flow_control("k")).filter(|info| info.wait_list_size == count)
    })
    .await
}

/// Waits until nothing of the key `k` is under way, and nothing waits.
async fn idle(engine: &Engine) {
    eventually("all permits are back", async || {
        let info = engine.flow_control("k");
        (info.parallelism_count == 0 && info.wait_list_size == 0).then_some(())
    })
    .await;
}
