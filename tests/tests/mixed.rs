//! Runs of this process and runs of endpoints elsewhere invoke each other on one engine, and what endpoints submit counts once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use workflow::{InvokeResult, WorkflowContext, client::RunState, protocol::headers, workflow};
use workflow_engine::{Engine, EngineError, Message, Published};
use workflow_tests::{Served, TestApp, ThirdParty};

/// Invokes the workflow at the URL that it is given, with `"of the parent"`.
#[workflow]
async fn parent(ctx: WorkflowContext<String>) -> workflow::Result<Value> {
    match ctx.invoke_url::<Value>("invoke", ctx.request_payload(), "of the parent").await? {
        InvokeResult::Completed(output) => Ok(output),
        InvokeResult::Failed | InvokeResult::Canceled => Err(workflow::Error::non_retryable("not completed")),
    }
}

/// Returns how deep it is and what it was given.
#[workflow]
async fn child(ctx: WorkflowContext<String>) -> workflow::Result<Value> {
    ctx.run("step", async || Ok(())).await?;
    Ok(json!(["here", ctx.request_payload()]))
}

/// An endpoint elsewhere, as far as the engine can tell. At `/child` it returns at once; at `/parent` it invokes what its payload
/// says and returns the result; at `/caller` it calls what its payload says; at `/deaf`, too, but
/// does not record what it is told of the answer.
async fn elsewhere(engine: &Engine) -> Served {
    let listening = Served::listen().await;
    let base = listening.url();
    let router = Router::new()
        .route("/child", post(remote_child))
        .route("/parent", post(remote_parent))
        .route("/caller", post(remote_caller))
        .route("/deaf", post(remote_deaf))
        .with_state((engine.clone(), base));
    listening.serve(router)
}

type Remote = State<(Engine, String)>;
type Answered = Result<[(&'static str, &'static str); 1], (StatusCode, String)>;

fn answered(done: Result<(), EngineError>) -> Answered {
    match done {
        Ok(()) => Ok([(headers::WORKFLOW_SDK_VERSION, headers::PROTOCOL_VERSION)]),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

fn run_of(map: &HeaderMap) -> String {
    map[headers::WORKFLOW_RUN_ID].to_str().unwrap().to_owned()
}

/// The entries of a delivery, decoded.
fn history(body: &Bytes) -> Vec<Value> {
    let entries: Vec<Value> = serde_json::from_slice(body).unwrap();
    let decode = |entry: &Value| STANDARD.decode(entry["body"].as_str().unwrap()).unwrap();
    entries.iter().map(|entry| serde_json::from_slice(&decode(entry)).unwrap()).collect()
}

async fn remote_child(State((engine, _)): Remote, map: HeaderMap, body: Bytes) -> Answered {
    let depth = map.get("upstash-workflow-invoke-count").map(|count| count.to_str().unwrap().to_owned());
    let output = json!([depth, history(&body)[0]]).to_string();
    answered(engine.end_run(&run_of(&map), None, false, output.into()).await)
}

async fn remote_parent(State((engine, base)): Remote, map: HeaderMap, body: Bytes) -> Answered {
    let (run, history) = (run_of(&map), history(&body));
    if let Some(result) = history.get(1) {
        let out: Value = serde_json::from_str(result["out"].as_str().unwrap()).unwrap();
        assert_eq!((&out["isFailed"], &out["isCanceled"]), (&json!(false), &json!(false)));
        let output = out["body"].as_str().unwrap().to_owned();
        return answered(engine.end_run(&run, None, false, output.into()).await);
    }
    let invoke = |id: &str| Message {
        destination: history[0].as_str().unwrap().to_owned(),
        headers: [
            ("Upstash-Workflow-Invoke", "true"),
            ("Upstash-Workflow-Init", "true"),
            ("Upstash-Workflow-RunId", id),
            ("Upstash-Forward-Upstash-Workflow-Sdk-Version", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        body: json!({
            "body": "\"of the parent\"",
            "workflowRunId": run,
            "workflowUrl": format!("{base}/parent"),
            "step": { "stepId": 1, "stepName": "invoke", "stepType": "Invoke", "concurrent": 1 },
        })
        .to_string()
        .into(),
        ..Message::default()
    };
    // Sent again, as after a lost answer, it names another child; the first one counts.
    for (id, is_repeated) in [("first", false), ("second", true)] {
        match engine.publish(vec![invoke(&format!("{run}-{id}"))]).await {
            Ok(published) => assert_eq!(published[0].deduplicated, is_repeated),
            // The first child may have ended, and this run with it, in the delivery of its result.
            Err(EngineError::Ended(_)) if is_repeated => {}
            Err(error) => return answered(Err(error)),
        }
    }
    answered(Ok(()))
}

async fn remote_caller(State((engine, base)): Remote, map: HeaderMap, body: Bytes) -> Answered {
    let run = run_of(&map);
    if map.contains_key("upstash-workflow-callback") {
        assert!(!map.contains_key(headers::WORKFLOW_SDK_VERSION));
        assert_eq!(map["upstash-workflow-stepname"], "call");
        assert_eq!(map["x-user"], "of the run");
        let result: Value = serde_json::from_slice(&body).unwrap();
        let step = json!({
            "stepId": 1,
            "stepName": "call",
            "stepType": "Call",
            "out": json!({ "status": result["status"], "retried": result["retried"] }).to_string(),
            "concurrent": 1,
        });
        let message = Message {
            destination: format!("{base}/caller"),
            headers: [("Upstash-Workflow-Init", "false"), ("Upstash-Workflow-RunId", run.as_str())]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: step.to_string().into(),
            ..Message::default()
        };
        return answered(engine.publish(vec![message]).await.map(drop));
    }
    let history = history(&body);
    if let Some(result) = history.get(1) {
        let output = result["out"].as_str().unwrap().to_owned();
        return answered(engine.end_run(&run, None, false, output.into()).await);
    }
    let url = history[0].as_str().unwrap().to_owned();
    let first = call(&engine, &base, "caller", &run, &url).await.unwrap();
    assert!(!first.deduplicated);
    match call(&engine, &base, "caller", &run, &url).await {
        Ok(second) => assert_eq!((second.deduplicated, second.message_id), (true, first.message_id)),
        Err(error) => assert!(matches!(error, EngineError::Ended(_)), "{error}"),
    }
    answered(Ok(()))
}

async fn remote_deaf(State((engine, base)): Remote, map: HeaderMap, body: Bytes) -> Answered {
    if map.contains_key("upstash-workflow-callback") {
        return answered(Ok(()));
    }
    let url = history(&body)[0].as_str().unwrap().to_owned();
    answered(call(&engine, &base, "deaf", &run_of(&map), &url).await.map(drop))
}

async fn call(
    engine: &Engine,
    base: &str,
    path: &str,
    run: &str,
    url: &str,
) -> Result<Published, EngineError> {
    let callback = format!("{base}/{path}");
    let headers = [
        ("Upstash-Workflow-CallType", "toCallback"),
        ("Upstash-Workflow-Init", "false"),
        ("Upstash-Workflow-RunId", run),
        ("Upstash-Method", "GET"),
        ("Upstash-Callback", &callback),
        ("Upstash-Callback-Forward-Upstash-Workflow-Callback", "true"),
        ("Upstash-Callback-Forward-Upstash-Workflow-StepId", "1"),
        ("Upstash-Callback-Forward-Upstash-Workflow-StepName", "call"),
        ("Upstash-Callback-Forward-Upstash-Workflow-StepType", "Call"),
        ("Upstash-Callback-Forward-Upstash-Workflow-Concurrent", "1"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let message = Message { destination: url.to_owned(), headers, ..Message::default() };
    engine.publish(vec![message]).await.map(|mut published| published.remove(0))
}

fn routes(router: Router<workflow_tests::Probe>) -> Router<workflow_tests::Probe> {
    router
        .route("/parent", post(workflow_axum::serve::<parent>()))
        .route("/child", post(workflow_axum::serve::<child>()))
}

#[tokio::test]
async fn parents_and_children_may_be_here_or_elsewhere() {
    let app = TestApp::in_memory_with(routes);
    let remote = elsewhere(&app.engine).await;
    let here = |path: &str| path.to_owned();
    let there = |path: &str| format!("{}{path}", remote.url());
    for (parent, child) in [
        (here("/parent"), here("/child")),
        (here("/parent"), there("/child")),
        (there("/parent"), here("/child")),
        (there("/parent"), there("/child")),
    ] {
        let run = app.client.trigger_url(&parent, &child).await.unwrap().workflow_run_id;
        let first = if child.starts_with('/') { "here" } else { "1" };
        assert_eq!(
            app.output::<Value>(&run).await,
            json!([first, "of the parent"]),
            "{parent} invokes {child}"
        );
        if !parent.starts_with('/') {
            assert!(app.client.run(&format!("{run}-second")).await.unwrap().is_none(), "it was not started");
        }
    }
}

#[tokio::test]
async fn an_endpoint_elsewhere_is_told_once_what_its_call_was_answered() {
    let app = TestApp::in_memory_with(routes);
    let third = ThirdParty::start().await;
    let remote = elsewhere(&app.engine).await;
    let url = format!("{}/caller", remote.url());
    for status in [200, 404] {
        let called = third.url(&format!("/status/{status}"));
        let trigger = app.client.trigger_url(&url, &called).header("X-User", "of the run");
        let run = trigger.await.unwrap().workflow_run_id;
        assert_eq!(app.output::<Value>(&run).await, json!({ "status": status, "retried": 0 }));
        assert_eq!(third.probe.count(&format!("status/{status}")), 1);
        let request = third.requests().pop().unwrap();
        assert!(!request.headers.contains_key("x-user") && request.headers.contains_key("upstash-signature"));
    }
}

/// Nothing else would ever call it again.
#[tokio::test]
async fn an_endpoint_that_does_not_record_what_it_was_told_is_told_again_until_its_run_fails() {
    let app = TestApp::in_memory_with(routes);
    let third = ThirdParty::start().await;
    let remote = elsewhere(&app.engine).await;
    let trigger = app.client.trigger_url(format!("{}/deaf", remote.url()), &third.url("/echo"));
    let run = trigger.retries(2).retry_delay("0").await.unwrap().workflow_run_id;
    assert_eq!(app.ended(&run).await.workflow_state, RunState::RunFailed);
    let errors = app.errors(&run).await;
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().all(|error| error.error.contains("has not recorded it")), "{errors:?}");
    assert_eq!(third.probe.count("echo"), 1);
}
