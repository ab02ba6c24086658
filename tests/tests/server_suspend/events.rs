//! Waits and notifications.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{WaitResult, WorkflowContext, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, Runs};

use crate::Remote;

const LONG: Duration = Duration::from_secs(3600);

/// The workflows of this file.
pub fn routes() -> Router<Probe> {
    Router::new().route("/wait", post(serve::<wait>())).route("/tell", post(serve::<tell>()))
}

#[derive(Serialize, Deserialize)]
struct WaitFor {
    event: String,
    millis: u64,
}

#[workflow]
async fn wait(ctx: WorkflowContext<WaitFor>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let WaitFor { event, millis } = ctx.request_payload();
    ctx.run("before", async || {
        probe.hold(event).await;
        Ok(())
    })
    .await?;
    let timeout = Duration::from_millis(*millis);
    match ctx.wait_for_event::<Value>("wait", event.as_str(), timeout).await? {
        WaitResult::Received(data) => Ok(json!({ "received": data })),
        WaitResult::TimedOut => Ok(json!("timed out")),
    }
}

impl Remote {
    async fn wait_for(&self, event: &str, timeout: Duration) -> String {
        let millis = u64::try_from(timeout.as_millis()).unwrap();
        self.trigger("/wait", &WaitFor { event: event.to_owned(), millis }).await
    }
}

#[tokio::test]
async fn a_wait_is_resolved_by_an_event_with_odd_characters() {
    let remote = Remote::start().await;
    let event = "order/1 ?#%é";
    remote.probe.open(event);
    let run = remote.wait_for(event, LONG).await;
    remote.waiting(event).await;
    let notified = remote.client.notify(event, &json!({ "cents": 5, "text": "é<&>" })).await.unwrap();
    assert_eq!(notified.len(), 1);
    assert_eq!(notified[0].workflow_run_id, run);
    assert_eq!(remote.output(&run).await, json!({ "received": { "cents": 5, "text": "é<&>" } }));
}

#[tokio::test]
async fn a_wait_times_out() {
    let remote = Remote::start().await;
    remote.probe.open("never");
    let run = remote.wait_for("never", Duration::from_millis(1)).await;
    assert_eq!(remote.output(&run).await, json!("timed out"));
    assert_eq!(remote.client.get_waiters("never").await.unwrap(), []);
}

#[tokio::test]
async fn a_notification_before_the_wait_is_looked_back_at() {
    let remote = Remote::start().await;
    let run = remote.wait_for("early", LONG).await;
    remote.probe.reached("early", 1).await;
    let stored = remote.client.notify("early", &"data").run_id(&run).await.unwrap();
    assert!(stored[0].waiter.is_none(), "{stored:?}");
    remote.probe.open("early");
    assert_eq!(remote.output(&run).await, json!({ "received": "data" }));
}

#[derive(Serialize, Deserialize)]
struct Tell {
    event: String,
    run: Option<String>,
}

#[workflow]
async fn tell(ctx: WorkflowContext<Tell>) -> workflow::Result<Value> {
    let Tell { event, run } = ctx.request_payload();
    let notify = ctx.notify("tell", event.as_str(), &"told");
    let told = match run {
        Some(run) => notify.run_id(run).await?,
        None => notify.await?,
    };
    let answers: Vec<_> = told
        .notify_response
        .iter()
        .map(|one| json!({ "run": one.workflow_run_id, "waited": one.waiter.is_some(), "error": one.error }))
        .collect();
    Ok(json!({ "event": told.event_id, "answers": answers }))
}

#[tokio::test]
async fn a_workflow_notifies_all_who_wait() {
    let remote = Remote::start().await;
    remote.probe.open("all");
    let waiting = remote.wait_for("all", LONG).await;
    remote.waiting("all").await;
    let telling = remote.trigger("/tell", &Tell { event: "all".to_owned(), run: None }).await;
    let expected = json!({ "event": "all", "answers": [{ "run": waiting, "waited": true, "error": "" }] });
    assert_eq!(remote.output(&telling).await, expected);
    assert_eq!(remote.output(&waiting).await, json!({ "received": "told" }));
}

#[tokio::test]
async fn a_workflow_notifies_one_run_which_looks_back() {
    let remote = Remote::start().await;
    let waiting = remote.wait_for("one", LONG).await;
    remote.probe.reached("one", 1).await;
    let tell = Tell { event: "one".to_owned(), run: Some(waiting.clone()) };
    let telling = remote.trigger("/tell", &tell).await;
    let expected = json!({ "event": "one", "answers": [{ "run": waiting, "waited": false, "error": "" }] });
    assert_eq!(remote.output(&telling).await, expected);
    remote.probe.open("one");
    assert_eq!(remote.output(&waiting).await, json!({ "received": "told" }));
}

#[tokio::test]
async fn a_refused_notification_is_an_answer_and_no_failure() {
    let remote = Remote::start().await;
    let tell = Tell { event: "one".to_owned(), run: Some("wfr_gone".to_owned()) };
    let told = remote.trigger("/tell", &tell).await;
    let told = remote.output(&told).await;
    assert_eq!(told["answers"][0]["run"], "wfr_gone");
    assert!(told["answers"][0]["error"].as_str().unwrap().contains("wfr_gone"), "{told}");
}
