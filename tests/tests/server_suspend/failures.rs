//! Failures, retries and cancellation.

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{Error, WorkflowContext, client::RunState, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, Runs};

use crate::Remote;

/// The workflows of this file.
pub fn routes() -> Router<Probe> {
    Router::new()
        .route("/flaky", post(serve::<flaky>()))
        .route("/compensate", post(serve::<compensate>()))
        .route("/held", post(serve::<held>()))
}

#[derive(Serialize, Deserialize)]
struct Flaky {
    place: String,
    failures: usize,
    for_good: bool,
    retries: Option<u32>,
}

#[workflow]
async fn flaky(ctx: WorkflowContext<Flaky>, State(probe): State<Probe>) -> workflow::Result<u32> {
    let Flaky { place, failures, for_good, retries } = ctx.request_payload();
    let step = ctx.step("flaky");
    let step = match retries {
        Some(retries) => step.retries(*retries),
        None => step,
    };
    step.run(async || match probe.pass(place) {
        count if count > *failures => Ok(ctx.attempt()),
        count if *for_good => Err(Error::non_retryable(format!("no use after {count}"))),
        count => Err(Error::msg(format!("failure {count}"))),
    })
    .await
}

impl Remote {
    async fn flaky(&self, failures: usize, for_good: bool, retries: Option<u32>) -> String {
        self.trigger("/flaky", &Flaky { place: "flaky".to_owned(), failures, for_good, retries }).await
    }
}

#[tokio::test]
async fn a_failing_step_is_retried() {
    let remote = Remote::start().await;
    let run = remote.flaky(2, false, None).await;
    assert_eq!(remote.output(&run).await, json!(3));
    assert_eq!(remote.probe.count("flaky"), 3);
}

#[tokio::test]
async fn a_step_that_keeps_failing_fails_the_run_with_its_reason() {
    let remote = Remote::start().await;
    let run = remote.flaky(usize::MAX, false, None).await;
    let errors = remote.failure(&run).await;
    assert_eq!(remote.probe.count("flaky"), 4);
    assert!(errors.last().unwrap().contains("failure 4"), "{errors:?}");
}

#[tokio::test]
async fn a_step_may_have_fewer_retries_than_its_run() {
    let remote = Remote::start().await;
    let run = remote.flaky(usize::MAX, false, Some(1)).await;
    let errors = remote.failure(&run).await;
    assert_eq!(remote.probe.count("flaky"), 2);
    assert!(errors.last().unwrap().contains("failure 2"), "{errors:?}");
}

#[tokio::test]
async fn a_failure_that_is_not_retryable_fails_the_run_at_once() {
    let remote = Remote::start().await;
    let run = remote.flaky(usize::MAX, true, None).await;
    let errors = remote.failure(&run).await;
    assert_eq!(remote.probe.count("flaky"), 1);
    assert!(errors.last().unwrap().contains("no use after 1"), "{errors:?}");
}

#[workflow]
async fn compensate(ctx: WorkflowContext<bool>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let charged = ctx
        .try_run("charge", async || {
            let count = probe.pass("charge");
            let message = format!("declined {count}");
            if *ctx.request_payload() {
                Err::<u32, _>(Error::non_retryable(message))
            } else {
                Err(Error::msg(message))
            }
        })
        .await;
    let released: String = ctx
        .run("release", async || {
            probe.pass("release");
            Ok("released".to_owned())
        })
        .await?;
    Ok(json!([charged.map_err(|failure| failure.message), released]))
}

#[tokio::test]
async fn a_recorded_failure_is_compensated() {
    for (for_good, attempts) in [(true, 1), (false, 4)] {
        let remote = Remote::start().await;
        let run = remote.trigger("/compensate", &for_good).await;
        let output = remote.output(&run).await;
        assert!(output[0]["Err"].as_str().unwrap().contains(&format!("declined {attempts}")), "{output}");
        assert_eq!(output[1], "released");
        assert_eq!((remote.probe.count("charge"), remote.probe.count("release")), (attempts, 1));
    }
}

#[workflow]
async fn held(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<()> {
    ctx.run("held", async || {
        probe.hold("held").await;
        Ok(())
    })
    .await?;
    ctx.run("after", async || {
        probe.pass("after");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_cancelled_run_submits_does_not_count() {
    let remote = Remote::start().await;
    let run = remote.trigger("/held", &()).await;
    remote.probe.reached("held", 1).await;
    assert!(remote.client.cancel_run(&run).await.unwrap());
    let before = remote.log(&run).await;
    assert_eq!(before.workflow_state, RunState::RunCanceled);
    remote.probe.open("held");
    remote.probe.left("held").await;
    // The engine drains its deliveries: the endpoint has answered.
    remote.engine.shutdown().await;
    assert_eq!(remote.probe.count("after"), 0);
    assert_eq!(remote.probe.count("held"), 1);
}
