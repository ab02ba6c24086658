//! A workflow with a failure function, which fails as its payload says.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{Error, FailedRun, WorkflowContext, client::DlqMessage, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, TestApp, eventually};

/// What a run of [`guarded`] does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// How often the step `charge` fails.
    pub failures: usize,
    /// Whether no retry can help it.
    pub for_good: bool,
    /// How often the failure function fails.
    pub function_failures: usize,
    /// Whether the failure function is held at the place `function`.
    pub hold: bool,
    /// Something to make the payload large.
    #[serde(default)]
    pub ballast: String,
}

/// One failed attempt.
pub fn fails_once() -> Plan {
    Plan { failures: 1, ..Plan::default() }
}

/// Three steps, of which the second fails.
#[workflow(on_failure = note_failure)]
pub async fn guarded(ctx: WorkflowContext<Plan>, State(probe): State<Probe>) -> workflow::Result<Vec<usize>> {
    let plan = ctx.request_payload();
    let first = ctx.run("first", async || Ok(probe.pass("first"))).await?;
    let charge = ctx
        .run("charge", async || match probe.pass("charge") {
            count if count > plan.failures => Ok(count),
            _ if plan.for_good => Err(Error::non_retryable("the card was declined")),
            _ => Err(Error::msg("the bank is closed")),
        })
        .await?;
    let last = ctx.run("last", async || Ok(probe.pass("last"))).await?;
    Ok(vec![first, charge, last])
}

/// Passes the place `function begins`, and gives everything that it was told.
async fn note_failure(failed: FailedRun<Plan>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let count = probe.pass("function begins");
    if failed.request_payload().hold {
        probe.hold("function").await;
    }
    if count <= failed.request_payload().function_failures {
        return Err(Error::msg(format!("nobody answers, {count}")));
    }
    Ok(json!({
        "failures": failed.request_payload().failures,
        "run": failed.workflow_run_id(),
        "url": failed.url(),
        "labels": failed.labels(),
        "user": failed.headers().get("x-user").map(|user| user.to_str().unwrap()),
        "status": failed.status(),
        "message": failed.message(),
        "step": failed.response_headers()["upstash-error-step-name"],
        "dlqId": failed.dlq_id(),
    }))
}

/// A group of four: a step, another one that is held at the place `right` and fails in its first attempts, a wait, and a sleep.
#[workflow]
pub async fn group(ctx: WorkflowContext<usize>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let failures = *ctx.request_payload();
    ctx.run("before", async || Ok(probe.pass("before"))).await?;
    let (left, right, event, slept) = tokio::join!(
        ctx.run("left", async || Ok(probe.pass("left"))),
        ctx.run("right", async || {
            probe.hold("right").await;
            match probe.count("right") {
                count if count > failures => Ok(count),
                _ => Err(Error::non_retryable("the right one fails")),
            }
        }),
        ctx.wait_for_event::<u32>("wait", "event", Duration::from_secs(3600)),
        ctx.sleep("sleep", Duration::from_secs(60)),
    );
    slept?;
    let event = match event? {
        workflow::WaitResult::Received(event) => Some(event),
        workflow::WaitResult::TimedOut => None,
    };
    let after = ctx.run("after", async || Ok(probe.pass("after"))).await?;
    Ok(json!({ "left": left?, "right": right?, "event": event, "after": after }))
}

/// Is held at the place of its payload and fails there once, and then waits twice for an event.
#[workflow]
pub async fn waiter(
    ctx: WorkflowContext<String>,
    State(probe): State<Probe>,
) -> workflow::Result<Vec<String>> {
    let place = ctx.request_payload();
    ctx.run("hold", async || {
        probe.hold(place).await;
        if probe.count(place) == 1 { Err(Error::non_retryable("it is held up")) } else { Ok(()) }
    })
    .await?;
    let mut received = Vec::new();
    for number in 1..=2 {
        let hour = Duration::from_secs(3600);
        match ctx.wait_for_event::<String>(format!("wait {number}"), "e", hour).await? {
            workflow::WaitResult::Received(data) => received.push(data),
            workflow::WaitResult::TimedOut => received.push("nothing".to_owned()),
        }
    }
    Ok(received)
}

/// An app with these workflows.
pub fn routes(router: Router<Probe>) -> Router<Probe> {
    router
        .route("/guarded", post(serve::<guarded>()))
        .route("/group", post(serve::<group>()))
        .route("/waiter", post(serve::<waiter>()))
}

/// Starts a run that is not retried, and gives its id.
pub async fn start(app: &TestApp, plan: &Plan) -> String {
    app.client.trigger_url("/guarded", plan).retries(0).await.unwrap().workflow_run_id
}

/// Starts a run that fails, and gives its entry in the dead letter queue.
pub async fn fail(app: &TestApp, plan: &Plan) -> DlqMessage {
    let run = start(app, plan).await;
    letter(app, &run).await
}

/// Waits until a run has failed and its failure was told, and gives its entry in the dead letter queue.
pub async fn letter(app: &TestApp, run: &str) -> DlqMessage {
    let log = app.failed_and_told(run).await;
    let id = log.dlq_id.expect("a run that has failed is in the dead letter queue");
    app.client.dlq().get(&id).await.unwrap().expect("the entry is there")
}

/// Waits until the dead letter queue has exactly this many entries.
pub async fn queued(app: &TestApp, count: usize) -> Vec<DlqMessage> {
    eventually(format!("{count} runs have failed"), async || {
        let page = app.client.dlq().list(Default::default()).await.unwrap();
        Some(page.messages).filter(|messages| messages.len() == count)
    })
    .await
}
