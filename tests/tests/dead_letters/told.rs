//! Failure functions: called once for each run that has failed, at least once whatever happens, and never because of each other.

use serde_json::{Value, json};
use workflow::{
    ClientError,
    client::{CallbackState, DlqFilter, FailureFunctionLog, LogQuery, RunState},
};
use workflow_tests::{TestApp, eventually, script::LONG};

use crate::guarded::{Plan, fail, fails_once, letter, routes, start};

async fn function(app: &TestApp, run: &str) -> FailureFunctionLog {
    app.failed_and_told(run).await.failure_function.expect("the failure was told")
}

#[tokio::test]
async fn a_failure_function_is_called_once_with_what_happened() {
    for (for_good, status, message) in
        [(false, 500, "the bank is closed"), (true, 489, "the card was declined")]
    {
        let app = TestApp::in_memory_with(routes);
        let plan = Plan { failures: 9, for_good, ..Plan::default() };
        let trigger = app.client.trigger_url("/guarded", &plan).retries(1).retry_delay("0");
        let run = trigger.label("retail").header("X-User", "ann").await.unwrap().workflow_run_id;
        let told = function(&app, &run).await;
        assert_eq!((told.state, told.url.as_str()), (CallbackState::Success, "/guarded"));
        assert_eq!((told.fail_status, told.fail_response.as_str()), (status, message));
        assert_eq!(told.response_status, Some(200));
        let dlq_id = app.log(&run).await.dlq_id.unwrap();
        assert_eq!(told.dlq_id, dlq_id);
        let expected = json!({ "result": {
            "failures": 9, "run": run, "url": "/guarded", "labels": ["retail"], "user": "ann", "status": status,
            "message": message, "step": ["charge"], "dlqId": dlq_id,
        }});
        assert_eq!(serde_json::from_str::<Value>(&told.response_body.unwrap()).unwrap(), expected);
        app.advance(LONG);
        app.tell("nobody", "the engine has seen the time").await;
        assert_eq!(app.probe.count("function begins"), 1);
    }
}

#[tokio::test]
async fn what_failed_is_to_be_seen_in_the_dead_letter_queue() {
    let app = TestApp::in_memory_with(routes);
    let plan = Plan { failures: 1, for_good: true, ..Plan::default() };
    let run = app.client.trigger_url("/guarded", &plan).label("a").label("b").await.unwrap().workflow_run_id;
    let message = letter(&app, &run).await;
    assert_eq!(message.workflow_run_id, run);
    assert_eq!((message.url.as_str(), message.method.as_str()), ("/guarded", "POST"));
    assert_eq!(message.body.unwrap(), serde_json::to_string(&plan).unwrap());
    assert_eq!((message.response_status, message.max_retries), (489, 3));
    assert_eq!(message.response_header["upstash-nonretryable-error"], ["true"]);
    let answer: Value = serde_json::from_str(&message.response_body.unwrap()).unwrap();
    assert_eq!(answer["message"], "the card was declined");
    assert_eq!(
        (message.label.as_deref(), message.labels.as_slice()),
        (Some("a"), &["a", "b"].map(str::to_owned)[..])
    );
    assert_eq!(message.failure_callback.as_deref(), Some("/guarded"));
    let info = message.failure_callback_info.unwrap();
    assert_eq!((info.state, info.response_status), (CallbackState::Success, Some(200)));
}

#[tokio::test]
async fn a_cancelled_run_has_not_failed() {
    let app = TestApp::in_memory_with(routes);
    let run = app.client.trigger_url("/group", &0).await.unwrap().workflow_run_id;
    app.waiting("event", 1).await;
    assert!(app.client.cancel_run(&run).await.unwrap());
    let guarded =
        app.client.trigger_url("/guarded", &fails_once()).delay(LONG).await.unwrap().workflow_run_id;
    assert!(app.client.cancel_run(&guarded).await.unwrap());
    // What is told of a later failure comes after what would be told of these.
    fail(&app, &fails_once()).await;
    for run in [run, guarded] {
        let log = app.log(&run).await;
        assert_eq!(log.workflow_state, RunState::RunCanceled);
        assert_eq!((log.dlq_id, log.failure_function), (None, None));
    }
    assert_eq!(app.probe.count("function begins"), 1);
    assert_eq!(app.client.dlq().list(Default::default()).await.unwrap().messages.len(), 1);
}

#[tokio::test]
async fn a_workflow_without_a_failure_function_says_so_and_that_is_all() {
    let app = TestApp::in_memory_with(routes);
    app.probe.open("right");
    let run = app.client.trigger_url("/group", &9).await.unwrap().workflow_run_id;
    let log = app.failed_and_told(&run).await;
    assert_eq!(log.failure_function, None);
    let message = letter(&app, &run).await;
    assert_eq!((message.failure_callback, message.failure_callback_info), (None, None));
}

#[tokio::test]
async fn a_failure_function_that_fails_is_called_again() {
    let app = TestApp::in_memory_with(routes);
    let plan = Plan { failures: 9, for_good: true, function_failures: 2, ..Plan::default() };
    let trigger = app.client.trigger_url("/guarded", &plan).retries(2).retry_delay("1000");
    let run = trigger.await.unwrap().workflow_run_id;
    for attempt in 1..=2 {
        let failed = eventually("an attempt of the failure function fails", async || {
            let function = app.log(&run).await.failure_function?;
            (function.errors.len() == attempt).then_some(function)
        })
        .await;
        assert_eq!((failed.state, failed.max_retries), (CallbackState::InProgress, Some(2)));
        let error = failed.errors.last().unwrap();
        assert!(
            error.error.contains(&format!("nobody answers, {attempt}")) && error.status == 500,
            "{error:?}"
        );
        app.advance(std::time::Duration::from_secs(1));
        app.probe.reached("function begins", attempt + 1).await;
    }
    assert_eq!(function(&app, &run).await.state, CallbackState::Success);
    assert_eq!(app.probe.count("function begins"), 3);
}

#[tokio::test]
async fn a_failure_function_that_has_failed_for_good_can_be_retried_and_causes_no_other() {
    let app = TestApp::in_memory_with(routes);
    let dlq = app.client.dlq();
    let plan = Plan { failures: 9, function_failures: 2, ..Plan::default() };
    let message = fail(&app, &plan).await;
    let told = function(&app, &message.workflow_run_id).await;
    assert_eq!((told.state, told.errors.len(), told.response_status), (CallbackState::Failed, 1, Some(500)));
    let failing = DlqFilter { failure_function: vec![CallbackState::Failed], ..DlqFilter::default() };
    let found = dlq.list(workflow::client::DlqQuery { filter: failing, ..Default::default() }).await.unwrap();
    assert_eq!(found.messages.len(), 1);

    // It fails once more, and then not.
    for (calls, state) in [(2, CallbackState::Failed), (3, CallbackState::Success)] {
        let retried = dlq.retry_failure_function(&message.dlq_id).await.unwrap();
        assert_eq!(retried.workflow_run_id, message.workflow_run_id);
        app.probe.reached("function begins", calls).await;
        assert_eq!(function(&app, &message.workflow_run_id).await.state, state);
    }
    let refused = dlq.retry_failure_function(&message.dlq_id).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: 400, .. }), "{refused}");
    let unknown = dlq.retry_failure_function("1-99").await.unwrap_err();
    assert!(matches!(unknown, ClientError::Refused { status: 404, .. }), "{unknown}");
    assert_eq!(app.client.logs(LogQuery::default()).await.unwrap().runs.len(), 1);
    assert_eq!(dlq.list(Default::default()).await.unwrap().messages.len(), 1);
}

/// The engine is stopped where it is after the run has failed and before its failure was told.
#[tokio::test]
async fn a_failure_is_told_after_a_crash() {
    let mut app = TestApp::on_file_with(routes);
    let run = start(&app, &Plan { failures: 9, hold: true, ..Plan::default() }).await;
    app.probe.reached("function begins", 1).await;
    assert_eq!(app.log(&run).await.workflow_state, RunState::RunFailed);
    app.crash().await;
    app.probe.reached("function begins", 2).await;
    app.probe.open("function");
    assert_eq!(function(&app, &run).await.state, CallbackState::Success);
    assert_eq!(app.probe.count("charge"), 1);
    app.crash().await;
    assert_eq!(function(&app, &run).await.state, CallbackState::Success);
    fail(&app, &Plan { failures: 9, ..Plan::default() }).await;
    assert_eq!(app.probe.count("function begins"), 3, "what was told is not told again");
}

/// A failure that nobody could be told while there was no app is told once there is one.
#[tokio::test]
async fn a_failure_waits_for_the_app() {
    let mut app = TestApp::on_file_with(routes);
    let run = start(&app, &Plan { failures: 9, hold: true, ..Plan::default() }).await;
    app.probe.reached("function begins", 1).await;
    app.crash_unattached().await;
    app.probe.open("function");
    assert_eq!(app.log(&run).await.failure_function.unwrap().state, CallbackState::InProgress);
    app.attach();
    assert_eq!(function(&app, &run).await.state, CallbackState::Success);
}

#[tokio::test]
async fn a_failure_function_that_is_running_can_be_stopped() {
    let app = TestApp::in_memory_with(routes);
    let dlq = app.client.dlq();
    let run = start(&app, &Plan { failures: 9, hold: true, ..Plan::default() }).await;
    app.probe.reached("function begins", 1).await;
    let id = app.log(&run).await.dlq_id.unwrap();
    assert_eq!(dlq.cancel_failure_function(&id).await.unwrap().workflow_run_id, run);
    assert_eq!(app.log(&run).await.failure_function.unwrap().state, CallbackState::Canceled);
    let refused = dlq.cancel_failure_function(&id).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: 400, .. }), "{refused}");
    app.probe.left("function").await;
    app.probe.open("function");
    // Whatever would come of it comes before this.
    fail(&app, &Plan { failures: 9, ..Plan::default() }).await;
    assert_eq!(app.log(&run).await.failure_function.unwrap().state, CallbackState::Canceled);
}
