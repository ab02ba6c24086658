//! Rust, TypeScript and Python behind one engine, `workflow dev`: workflows in Rust are driven by the published TypeScript client,
//! invoke workflows in the other languages and are invoked by them. Everything is signed, and the signatures are verified.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod python;
#[path = "../typescript/mod.rs"]
mod typescript;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{
    Client, EngineHandle, InvokeResult, WaitResult, WorkflowContext,
    client::{CallbackState, RunState, http_client_builder},
    workflow,
};
use workflow_axum::{attach, serve};
use workflow_tests::{DevServer, Runs, Served, eventually};

use self::{
    python::PythonEndpoint,
    typescript::{Script, TypeScriptClient},
};

#[derive(Serialize, Deserialize)]
struct Word {
    word: String,
}

#[workflow]
async fn wait(ctx: WorkflowContext<Word>) -> workflow::Result<String> {
    let word = &ctx.request_payload().word;
    let user = ctx.headers().get("x-user").and_then(|user| user.to_str().ok()).unwrap_or("nobody").to_owned();
    let greeting = ctx.run("greet", async || Ok(format!("{word} {user}"))).await?;
    match ctx.wait_for_event::<Value>("wait", format!("go-{word}"), Duration::from_secs(3600)).await? {
        WaitResult::Received(data) => Ok(format!("{greeting} {data}")),
        WaitResult::TimedOut => Ok("nobody came".to_owned()),
    }
}

#[workflow]
async fn rust_child(ctx: WorkflowContext<Word>) -> workflow::Result<String> {
    let word = &ctx.request_payload().word;
    if word == "bad" {
        return Err(workflow::Error::non_retryable("a bad word"));
    }
    ctx.run("reverse", async || Ok(word.chars().rev().collect())).await
}

#[workflow]
async fn rust_parent(ctx: WorkflowContext<Word>) -> workflow::Result<Value> {
    let word = ctx.request_payload();
    let (child, failing, own) = tokio::join!(
        ctx.invoke_url::<String>("ask", "/many/ts-child", word),
        ctx.invoke_url::<()>("ask for trouble", "/many/ts-failing", word).retries(0),
        ctx.invoke::<rust_child>("ask in Rust", word),
    );
    let failing = match failing? {
        InvokeResult::Failed => "failed",
        InvokeResult::Canceled => "canceled",
        InvokeResult::Completed(()) => "completed",
    };
    Ok(json!([child?.completed(), failing, own?.completed()]))
}

#[workflow]
async fn asks_python(ctx: WorkflowContext<String>) -> workflow::Result<Value> {
    let python = ctx.request_payload();
    let payload = json!({ "number": 21 });
    let ended =
        ctx.invoke_url::<()>("invoke", format!("{python}/steps"), &payload).header("X-User", "rust").await?;
    let failed = ctx.invoke_url::<()>("fail", format!("{python}/fail"), &payload).retries(0).await?;
    let started = ctx.call("call", format!("{python}/steps")).json(&payload).await?;
    Ok(json!([ended.completed().is_some(), failed == InvokeResult::Failed, started.status()]))
}

/// An engine, and an app with the workflows of this file. What it does not know it passes on to the one in TypeScript.
struct Interop {
    dev: DevServer,
    client: Client,
    app: Served,
    _typescript: Option<Script>,
}

impl Interop {
    async fn start(with_typescript: bool) -> Self {
        let dev = DevServer::start().await;
        let listening = Served::listen().await;
        let url = listening.url();
        let (typescript, upstream) = if with_typescript {
            let mut environment = dev.environment();
            environment.push(("UPSTASH_WORKFLOW_URL", &url));
            let script = Script::start("siblings.mjs", &environment);
            let upstream = script.line().await;
            (Some(script), upstream)
        } else {
            (None, String::new())
        };
        let router = Router::new()
            .route("/wait", post(serve::<wait>()))
            .route("/asks-python", post(serve::<asks_python>()))
            .route("/many/rust-child", post(serve::<rust_child>()))
            .route("/many/rust-parent", post(serve::<rust_parent>()))
            .route("/ask", post(async |question: String| format!("{{\"asked\":{question}}}")))
            .fallback(pass_on)
            .with_state(Upstream(upstream));
        let engine = dev.engine(&url);
        let client = engine.client();
        let app = listening.serve(attach(router, &EngineHandle::from(engine)));
        Self { dev, client, app, _typescript: typescript }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.app.url())
    }
}

impl Runs for Interop {
    fn client(&self) -> &Client {
        &self.client
    }
}

#[derive(Clone)]
struct Upstream(String);

async fn pass_on(State(Upstream(upstream)): State<Upstream>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = body.collect().await.unwrap().to_bytes();
    let client = http_client_builder().unwrap().build().unwrap();
    let request = client.request(parts.method, format!("{upstream}{path}")).headers(parts.headers).body(body);
    let answer: http::Response<reqwest::Body> = request.send().await.unwrap().into();
    answer.map(Body::new).into_response()
}

#[tokio::test]
async fn the_typescript_client_triggers_notifies_and_cancels_workflows_in_rust() {
    if !typescript::is_available() {
        return;
    }
    let interop = Interop::start(false).await;
    let typescript =
        TypeScriptClient::new(interop.dev.variable("QSTASH_URL"), interop.dev.variable("QSTASH_TOKEN"));
    let trigger = |word: &str| {
        let headers = json!({ "X-User": "ann" });
        json!({ "url": interop.url("/wait"), "body": { "word": word }, "headers": headers, "label": "interop" })
    };
    let told = typescript.call("trigger", trigger("one")).await["workflowRunId"].as_str().unwrap().to_owned();
    interop.waiting("go-one").await;
    let waiters = typescript.call("getWaiters", json!({ "eventId": "go-one" })).await;
    assert_eq!(waiters[0]["url"], interop.url("/wait"));
    let notified =
        typescript.call("notify", json!({ "eventId": "go-one", "eventData": { "paid": true } })).await;
    assert_eq!(notified[0]["workflowRunId"], told.as_str());
    assert_eq!(interop.output(&told).await, r#"one ann {"paid":true}"#);

    let cancelled =
        typescript.call("trigger", trigger("two")).await["workflowRunId"].as_str().unwrap().to_owned();
    interop.waiting("go-two").await;
    let answer = typescript.call("cancel", json!({ "ids": [cancelled.as_str()] })).await;
    assert_eq!(answer["cancelled"], 1);
    assert_eq!(interop.ended(&cancelled).await.workflow_state, RunState::RunCanceled);
    let logs = typescript.call("logs", json!({ "workflowRunId": told.as_str() })).await;
    assert_eq!(logs["runs"][0]["workflowState"], "RUN_SUCCESS");
}

#[tokio::test]
async fn a_workflow_in_rust_invokes_others_in_typescript_and_in_rust_side_by_side() {
    if !typescript::is_available() {
        return;
    }
    let interop = Interop::start(true).await;
    let word = Word { word: "hello".to_owned() };
    let run = interop.client.trigger_url("/many/rust-parent", &word).retry_delay("0").await.unwrap();
    assert_eq!(interop.output(&run.workflow_run_id).await, json!(["HELLO", "failed", "olleh"]));
}

#[tokio::test]
async fn a_workflow_in_typescript_invokes_another_in_rust() {
    if !typescript::is_available() {
        return;
    }
    let interop = Interop::start(true).await;
    let expected = [
        ("hello", json!({ "body": "olleh", "isFailed": false, "isCanceled": false })),
        ("bad", json!({ "isFailed": true, "isCanceled": false })),
    ];
    for (word, expected) in expected {
        let word = Word { word: word.to_owned() };
        let run = interop.client.trigger_url("/many/ts-parent", &word).retry_delay("0").await.unwrap();
        assert_eq!(interop.output(&run.workflow_run_id).await, expected);
    }
}

#[tokio::test]
async fn a_workflow_in_python_is_triggered_and_called_and_invoked_from_rust() {
    if !python::is_available() {
        return;
    }
    let interop = Interop::start(false).await;
    let python = PythonEndpoint::start(&interop.dev.environment());
    let url = python.line().await;

    let triggered =
        interop.client.trigger_url(format!("{url}/steps"), &json!({ "number": 4 })).header("X-User", "ann");
    interop.ended(&triggered.await.unwrap().workflow_run_id).await;
    assert_eq!([python.line().await, python.line().await], ["double", "told 8 to ann"]);

    let run = interop.client.trigger_url("/asks-python", &url).retry_delay("0").await.unwrap();
    let run = interop.ended(&run.workflow_run_id).await;
    assert_eq!(run.response::<Value>().unwrap(), Some(json!([true, true, 200])), "{run:#?}");
    // The invoked run, the failing one with its failure function, and the run that the call has started.
    let mut said = Vec::new();
    while said.len() < 6 {
        said.push(python.line().await);
    }
    said.sort();
    let expected = [
        "double",
        "double",
        "fail",
        "failure 500 out of stock of {'number': 21}",
        "told 42 to None",
        "told 42 to rust",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_workflow_in_python_calls_an_app_in_rust() {
    if !python::is_available() {
        return;
    }
    let interop = Interop::start(false).await;
    let python = PythonEndpoint::start(&interop.dev.environment());
    let url = python.line().await;
    let payload = json!({ "url": interop.url("/ask") });
    let run = interop.client.trigger_url(format!("{url}/call"), &payload).await.unwrap();
    let state = interop.ended(&run.workflow_run_id).await.workflow_state;
    assert_eq!(state, RunState::RunSuccess);
    assert!(python.line().await.starts_with("answered 200 "));
}

#[tokio::test]
async fn a_failure_function_in_python_is_called() {
    if !python::is_available() {
        return;
    }
    let interop = Interop::start(false).await;
    let python = PythonEndpoint::start(&interop.dev.environment());
    let url = python.line().await;
    let http = http_client_builder().unwrap().build().unwrap();
    // It says where it is before it listens there, and the run is not to be tried again.
    eventually("the endpoint listens", async || http.get(&url).send().await.ok()).await;
    let run = interop.client.trigger_url(format!("{url}/fail"), &json!({ "id": 7 })).retries(0);
    let run = run.await.unwrap().workflow_run_id;
    assert_eq!(interop.ended(&run).await.workflow_state, RunState::RunFailed);
    assert_eq!([python.line().await, python.line().await], ["fail", "failure 500 out of stock of {'id': 7}"]);
    eventually("the failure is told", async || {
        let function = interop.ended(&run).await.failure_function?;
        (function.state == CallbackState::Success).then_some(())
    })
    .await;
}
