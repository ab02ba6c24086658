//! Telling that runs have failed: it keeps to the limits of these runs, or to its own.

use axum::{extract::State, routing::post};
use workflow::{FlowControl, WorkflowContext, client::RunState, workflow};
use workflow_axum::serve;
use workflow_engine::{Engine, Message};
use workflow_tests::{Probe, Served, TestApp};

use super::{idle, waiting};

/// Fails at once, and cleans up where the test holds it.
#[workflow(on_failure = clean_up)]
async fn doomed(_ctx: WorkflowContext<u32>, State(_probe): State<Probe>) -> workflow::Result<()> {
    Err(workflow::Error::non_retryable("doomed"))
}

async fn clean_up(_run: workflow::FailedRun<u32>, State(probe): State<Probe>) -> workflow::Result<()> {
    probe.hold("clean up").await;
    Ok(())
}

async fn fail_many(app: &TestApp, url: &str, limits: &FlowControl, count: u32) -> Vec<String> {
    let triggers = (0..count).map(|number| app.client.trigger_url(url, &number).flow_control(limits.clone()));
    let runs = app.client.trigger_many(triggers).await.unwrap();
    let runs: Vec<String> = runs.into_iter().map(|run| run.workflow_run_id).collect();
    for run in &runs {
        assert_eq!(app.ended(run).await.workflow_state, RunState::RunFailed);
    }
    runs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_failure_functions_run_at_once_than_may() {
    let mut app = TestApp::on_file_with(|router| router.route("/doomed", post(serve::<doomed>())));
    let limits = FlowControl::key("k").parallelism(2);
    let runs = fail_many(&app, "/doomed", &limits, 5).await;
    assert_eq!(waiting(&app.engine, 3).await.parallelism_count, 2);
    app.probe.reached("clean up", 2).await;

    app.crash().await;
    assert_eq!(waiting(&app.engine, 3).await.parallelism_count, 2);
    app.probe.reached("clean up", 4).await;
    app.probe.open("clean up");
    for run in &runs {
        app.failed_and_told(run).await;
    }
    assert_eq!(app.probe.count("clean up"), 7, "the two that were stopped by the crash, and all five");
    idle(&app.engine).await;
}

#[tokio::test]
async fn a_failure_function_that_is_cancelled_leaves_the_wait_list() {
    let app = TestApp::in_memory_with(|router| router.route("/doomed", post(serve::<doomed>())));
    let limits = FlowControl::key("k").parallelism(1);
    let runs = fail_many(&app, "/doomed", &limits, 3).await;
    waiting(&app.engine, 2).await;
    app.probe.reached("clean up", 1).await;
    // The next one would have its turn when the first one is stopped.
    app.client.flow_control().pause("k").await.unwrap();
    for run in &runs {
        let letter = app.log(run).await.dlq_id.unwrap();
        app.client.dlq().cancel_failure_function(letter).await.unwrap();
    }
    app.probe.left("clean up").await;
    idle(&app.engine).await;
    assert_eq!(app.probe.count("clean up"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_tells_of_a_failure_may_have_limits_of_its_own() {
    let support = Probe::default();
    let router = axum::Router::new()
        .route("/support", post(async |State(support): State<Probe>| support.hold("told").await))
        .with_state(support.clone());
    let served = Served::start(router).await;
    let support_url = format!("{}/support", served.url());
    let engine = Engine::in_memory().unwrap();
    // Nothing is served there, so that the runs fail at once.
    let nowhere = Served::start(axum::Router::new()).await;
    let message = |number: usize| Message {
        destination: format!("{}/nowhere", nowhere.url()),
        headers: [
            ("upstash-workflow-init", "true"),
            ("upstash-workflow-runid", &format!("wfr_{number}")),
            ("upstash-workflow-url", &format!("{}/nowhere", nowhere.url())),
            ("upstash-retries", "0"),
            ("upstash-failure-callback", &support_url),
            ("upstash-failure-callback-flow-control-key", "k"),
            ("upstash-failure-callback-flow-control-value", "parallelism=1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..Message::default()
    };
    engine.publish((0..4).map(message).collect()).await.unwrap();
    assert_eq!(waiting(&engine, 3).await.parallelism_count, 1);
    support.reached("told", 1).await;
    support.open("told");
    support.reached("told", 4).await;
    idle(&engine).await;
    engine.shutdown().await;
}

#[tokio::test]
async fn limits_of_a_failure_that_make_no_sense_are_refused() {
    let engine = Engine::in_memory().unwrap();
    let headers = [
        ("upstash-workflow-init", "true"),
        ("upstash-workflow-runid", "wfr_1"),
        ("upstash-failure-callback", "http://support.test"),
        ("upstash-failure-callback-flow-control-key", "k"),
        ("upstash-failure-callback-flow-control-value", "parallelism=0"),
    ];
    let message = Message {
        destination: "http://nowhere.test".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..Message::default()
    };
    let refused = engine.publish(vec![message]).await.unwrap_err();
    assert!(refused.to_string().contains("a limit of 0"), "{refused}");
}
