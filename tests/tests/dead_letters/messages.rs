//! What messages over HTTP say about who is told of a failure (protocol, section B.2).

use std::sync::{Arc, Mutex};

use axum::{Router, extract::Request, http::StatusCode};
use http::HeaderMap;
use serde_json::Value;
use workflow::client::{CallbackState, FailureFunctionLog, RunLog, http_client_builder};
use workflow_engine::Engine;
use workflow_server::Api;
use workflow_tests::{START, Served, TOKEN, eventually};

/// An engine, and somebody who answers `/wf` with an error and everything else with success.
struct Told {
    engine: Engine,
    api: Served,
    http: reqwest::Client,
    listener: Served,
    /// Paths, headers and bodies of what came for everything else.
    seen: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
}

impl Told {
    async fn start() -> Self {
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let router = Router::new().fallback(async move |request: Request| {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            // The workflow is told of its failure as well.
            if parts.uri.path() == "/wf" && !parts.headers.contains_key("upstash-workflow-is-failure") {
                return (StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"boom","stack":"at line 1"}"#);
            }
            let body = String::from_utf8(body.to_vec()).unwrap();
            noted.lock().unwrap().push((parts.uri.path().to_owned(), parts.headers, body));
            (StatusCode::OK, "heard")
        });
        let engine = Engine::builder().in_memory().unwrap();
        let api = Served::start(Api::new(engine.clone(), TOKEN).into_router()).await;
        let http = http_client_builder().unwrap().build().unwrap();
        Self { engine, api, http, listener: Served::start(router).await, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.listener.url())
    }

    /// Publishes a message that starts a run which fails at once, and waits until that was told.
    async fn fails(&self, headers: &[(&str, &str)]) -> Option<FailureFunctionLog> {
        let run = workflow::protocol::run_id::new_run_id(START);
        let mut request = self.post(&format!("/v2/publish/{}", self.url("/wf"))).body("{}");
        let once = [("upstash-workflow-runid", run.as_str()), ("upstash-retries", "0")];
        for (name, value) in once.iter().chain(headers) {
            request = request.header(*name, *value);
        }
        assert_eq!(request.send().await.unwrap().status(), 200);
        self.told(&run).await.failure_function
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.api.url())).bearer_auth(TOKEN)
    }

    async fn told(&self, run: &str) -> RunLog {
        eventually(format!("the failure of `{run}` is told"), async || {
            let log = self.engine.client().run(run).await.unwrap().filter(RunLog::is_ended)?;
            let state = log.failure_function.as_ref().map(|function| function.state);
            (state != Some(CallbackState::InProgress)).then_some(log)
        })
        .await
    }

    fn seen(&self) -> Vec<(String, HeaderMap, String)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

#[tokio::test]
async fn the_rest_of_the_family_alone_tells_nobody() {
    let told = Told::start().await;
    let family = [
        ("Upstash-Failure-Callback-Retries", "3"),
        ("Upstash-Failure-Callback-Forward-X-User", "ann"),
        ("Upstash-Failure-Callback-Workflow-Calltype", "failureCall"),
    ];
    assert_eq!(told.fails(&family).await, None);
    assert!(told.seen().is_empty());
}

#[tokio::test]
async fn somebody_else_gets_the_headers_that_were_meant_for_them_and_no_others() {
    let told = Told::start().await;
    let url = told.url("/failures");
    let headers = [
        ("Upstash-Failure-Callback", url.as_str()),
        ("Upstash-Failure-Callback-Forward-X-User", "ann"),
        ("Upstash-Failure-Callback-Forward-Host", "forged.test"),
        ("Upstash-Failure-Callback-Forward-Content-Length", "3"),
        ("Upstash-Failure-Callback-Forward-Upstash-Workflow-Sdk-Version", "1"),
        ("Upstash-Forward-Authorization", "Bearer of the app"),
        ("Upstash-Forward-Upstash-Workflow-Sdk-Version", "1"),
    ];
    let function = told.fails(&headers).await.unwrap();
    assert_eq!((function.url, function.fail_status), (url, 500));
    assert_eq!(function.fail_response, "boom");
    let seen = told.seen();
    let [(path, map, body)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(path, "/failures");
    assert_eq!(map["x-user"], "ann");
    assert_eq!(map["upstash-workflow-is-failure"], "true");
    assert_ne!(map["host"], "forged.test");
    for absent in ["authorization", "upstash-workflow-sdk-version"] {
        assert!(!map.contains_key(absent), "{absent}");
    }
    // As JavaScript would write it again.
    let value: Value = serde_json::from_str(body).unwrap();
    assert!(
        body.starts_with(r#"{"status":500,"header":{"#)
            && !body.contains("\n")
            && value["sourceBody"] == "e30="
    );
}

#[tokio::test]
async fn the_workflow_itself_gets_the_headers_of_its_run() {
    let told = Told::start().await;
    let url = told.url("/wf");
    let headers = [
        ("Upstash-Failure-Callback", url.as_str()),
        ("Upstash-Failure-Callback-Forward-X-User", "bob"),
        ("Upstash-Forward-X-User", "ann"),
        ("Upstash-Forward-Authorization", "Bearer of the app"),
        ("Upstash-Forward-Upstash-Workflow-Sdk-Version", "1"),
    ];
    told.fails(&headers).await.unwrap();
    let seen = told.seen();
    let [(_, map, _)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(map["authorization"], "Bearer of the app");
    assert_eq!(map.get_all("x-user").iter().collect::<Vec<_>>(), ["bob"], "what is meant for it comes first");
    assert!(!map.contains_key("upstash-workflow-sdk-version"));
}

#[tokio::test]
async fn retries_are_its_own_or_those_of_the_run() {
    let told = Told::start().await;
    let nobody = ("Upstash-Failure-Callback", "http://127.0.0.1:9/nobody");
    for (own, attempts) in [(None, 1), (Some("2"), 3)] {
        let retries = own.map(|retries| ("Upstash-Failure-Callback-Retries", retries));
        let at_once = ("Upstash-Failure-Callback-Retry-Delay", "0");
        let headers: Vec<_> = [nobody, at_once].into_iter().chain(retries).collect();
        let function = told.fails(&headers).await.unwrap();
        assert_eq!((function.state, function.errors.len()), (CallbackState::Failed, attempts));
        assert_eq!(function.max_retries, Some(attempts as u32 - 1));
    }
}

#[tokio::test]
async fn a_trigger_by_rest_tells_the_workflow_unless_it_says_otherwise() {
    let told = Told::start().await;
    let other = told.url("/failures");
    for (route, status, failure_url, path) in [
        ("trigger/", 200, None, "/wf"),
        ("trigger/", 200, Some(&other), "/failures"),
        ("batch/trigger", 201, None, "/wf"),
    ] {
        let batch = route == "batch/trigger";
        let url = told.url("/wf");
        let request = told.post(&format!("/v2/{route}{}", if batch { "" } else { &url }));
        let request = match (batch, failure_url) {
            (true, _) => request.body(
                serde_json::json!([{ "destination": url, "headers": { "upstash-retries": "0" } }])
                    .to_string(),
            ),
            (false, None) => request.header("upstash-retries", "0"),
            (false, Some(other)) => {
                request.header("upstash-retries", "0").header("upstash-failure-callback", other)
            }
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        let mut answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        if batch {
            answer = answer[0].take();
        }
        told.told(answer["workflowRunId"].as_str().unwrap()).await;
        let seen = told.seen();
        let paths: Vec<_> = seen.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(paths, [path], "{route}");
    }
}
