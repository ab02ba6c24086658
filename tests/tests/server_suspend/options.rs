//! What the attribute says of a workflow's runs reaches an engine over HTTP.

use axum::{Router, extract::State, routing::post};
use workflow::{Error, WorkflowContext, client::http_client_builder, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, Runs};

use crate::Remote;

/// The workflows of this file.
pub fn routes() -> Router<Probe> {
    Router::new().route("/options", post(serve::<declined>()))
}

/// Its retry is due at once, so that the test need not wait.
#[workflow(name = "options", retries = 1, retry_delay = "0 * pow(2, retried)", label = ["retail", "eu"])]
async fn declined(ctx: WorkflowContext<u32>, State(probe): State<Probe>) -> workflow::Result<()> {
    ctx.run("charge", async || {
        probe.pass("charge");
        Err::<(), _>(Error::msg("declined"))
    })
    .await
}

#[tokio::test]
async fn runs_have_the_options_of_their_workflow_however_they_are_started() {
    let remote = Remote::start_with(|engine| engine).await;

    let answer = http_client_builder()
        .unwrap()
        .build()
        .unwrap()
        .post(format!("{}/options", remote.app.url()))
        .header("upstash-label", "vip")
        .json(&7)
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let direct = answer["workflowRunId"].as_str().expect("the answer names the run");
    assert_eq!(remote.failure(direct).await.len(), 2);
    assert_eq!(remote.log(direct).await.labels, ["vip", "retail", "eu"]);

    let client = remote.client.clone().workflows_at("/");
    let typed = client.trigger::<declined>(&7).retries(0).await.unwrap().workflow_run_id;
    assert_eq!(remote.failure(&typed).await.len(), 1);
    assert_eq!(remote.log(&typed).await.labels, ["retail", "eu"]);
}
