//! Steps, sleeps and parallel groups.

use std::time::{Duration, SystemTime};

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{WorkflowContext, client::GroupKind, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, Runs};

use crate::Remote;

const LONG: Duration = Duration::from_secs(3600);

/// The workflows of this file.
pub fn routes() -> Router<Probe> {
    Router::new().route("/story", post(serve::<story>())).route("/parallel", post(serve::<parallel>()))
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
}

#[workflow]
async fn story(ctx: WorkflowContext<Order>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let order = ctx.request_payload();
    let doubled: u32 = ctx
        .run("double", async || {
            probe.pass("double");
            Ok(order.id * 2)
        })
        .await?;
    ctx.sleep("nap", Duration::from_millis(10)).await?;
    ctx.sleep_until("until long ago", SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500))
        .await?;
    let seen = ctx
        .run("see", async || {
            probe.pass("see");
            Ok(json!({
                "doubled": doubled,
                "header": ctx.headers().get("x-user").and_then(|value| value.to_str().ok()),
                "labels": ctx.labels(),
                "run": ctx.workflow_run_id(),
            }))
        })
        .await?;
    assert!(ctx.created_at() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    Ok(seen)
}

#[tokio::test]
async fn steps_run_once_and_the_function_goes_on_with_their_results() {
    let remote = Remote::start().await;
    let triggered = remote
        .client
        .trigger_url("/story", &Order { id: 21 })
        .run_id("story-1")
        .header("X-User", "u")
        .header("X-User", "v")
        .label("a")
        .label("b")
        .await
        .unwrap();
    assert_eq!(triggered.workflow_run_id, "wfr_story-1");
    let seen = remote.output("wfr_story-1").await;
    assert_eq!(seen["doubled"], 42);
    assert_eq!(seen["labels"], json!(["a", "b"]));
    assert_eq!(seen["header"], "u, v");
    assert_eq!(seen["run"], "wfr_story-1");
    assert_eq!((remote.probe.count("double"), remote.probe.count("see")), (1, 1));

    let log = remote.log("wfr_story-1").await;
    assert_eq!(log.workflow_url, format!("{}/story", remote.app.url()));
    let names: Vec<_> =
        log.steps.iter().flat_map(|group| &group.steps).map(|step| step.step_name.as_deref()).collect();
    let expected = ["init", "double", "nap", "until long ago", "see"];
    assert_eq!(names, expected.map(Some));
}

#[workflow]
async fn parallel(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let step = async |name: &'static str| {
        ctx.run(name, async || {
            probe.pass(name);
            Ok(name.len())
        })
        .await
    };
    let (one, nap, three, event) = tokio::join!(
        step("one"),
        ctx.sleep("nap", Duration::from_millis(10)),
        step("three"),
        ctx.wait_for_event::<u32>("event", "parallel-event", LONG),
    );
    nap?;
    let event = event?.received();
    let last = step("last").await?;
    Ok(json!([one?, three?, event, last]))
}

#[tokio::test]
async fn a_parallel_group_is_planned_run_and_released() {
    let remote = Remote::start().await;
    let run = remote.trigger("/parallel", &()).await;
    remote.waiting("parallel-event").await;
    remote.client.notify("parallel-event", &7).await.unwrap();
    assert_eq!(remote.output(&run).await, json!([3, 5, 7, 4]));
    for place in ["one", "three", "last"] {
        assert_eq!(remote.probe.count(place), 1, "{place}");
    }
    let log = remote.log(&run).await;
    let kinds: Vec<_> = log.steps.iter().map(|group| (group.kind, group.steps.len())).collect();
    assert_eq!(kinds, [(GroupKind::Sequential, 1), (GroupKind::Parallel, 4), (GroupKind::Sequential, 1)]);
}
