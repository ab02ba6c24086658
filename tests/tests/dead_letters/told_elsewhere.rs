//! Failures that are told somebody else than the workflow: a URL, or another path of the app.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use workflow::{
    client::CallbackState,
    protocol::{headers, signature},
};
use workflow_engine::Clock as _;
use workflow_tests::{Probe, START, Served, TestApp};

use crate::guarded::{Plan, letter, routes};

type Seen = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// An app of somebody else, which notes what it is told and answers with these statuses, one after the other.
async fn listener(answers: &'static [u16]) -> (Served, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let router = Router::new().fallback(async move |request: Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let mut noted = noted.lock().unwrap();
        noted.push((parts.headers, String::from_utf8(body.to_vec()).unwrap()));
        let answer = answers.get(noted.len() - 1).copied().unwrap_or(200);
        (StatusCode::from_u16(answer).unwrap(), "heard")
    });
    (Served::start(router).await, seen)
}

fn failing() -> Plan {
    Plan { failures: 9, for_good: true, ..Plan::default() }
}

#[tokio::test]
async fn a_url_is_told_with_all_that_the_protocol_names() {
    let app = TestApp::in_memory_with(routes);
    let (other, seen) = listener(&[]).await;
    let url = format!("{}/failures", other.url());
    let trigger = app.client.trigger_url("/guarded", &failing()).failure_url(&url).label("retail");
    let run = trigger.header("X-User", "ann").await.unwrap().workflow_run_id;
    let told = app.failed_and_told(&run).await.failure_function.unwrap();
    assert_eq!((told.state, told.url.as_str()), (CallbackState::Success, url.as_str()));
    assert_eq!(told.response_body.as_deref(), Some("heard"));
    assert_eq!(app.probe.count("function begins"), 0, "the workflow itself is not told");

    let seen = seen.lock().unwrap();
    let [(map, body)] = seen.as_slice() else { panic!("{seen:#?}") };
    for (name, value) in [
        ("content-type", "application/json"),
        (headers::WORKFLOW_RUN_ID, run.as_str()),
        (headers::WORKFLOW_CALL_TYPE, "failureCall"),
        (headers::WORKFLOW_IS_FAILURE, "true"),
        (headers::WORKFLOW_FAILURE_CALLBACK, "true"),
        (headers::WORKFLOW_CREATED_AT, &START.to_string()),
        (headers::RETRIED, "0"),
        (headers::LABEL, "retail"),
        ("x-user", "ann"),
    ] {
        assert_eq!(map.get(name).map(|value| value.to_str().unwrap()), Some(value), "{name}");
    }
    assert!(!map.contains_key(headers::WORKFLOW_SDK_VERSION));
    let keys = app.engine.keys();
    let signature = map[headers::SIGNATURE].to_str().unwrap();
    signature::verify(&keys.current, &keys.next, signature, body.as_bytes(), app.clock.now()).unwrap();

    let body: Value = serde_json::from_str(body).unwrap();
    let answer =
        json!({ "error": "WorkflowNonRetryableError", "message": "the card was declined", "stack": "" });
    let decoded = |name: &str| {
        let text = BASE64_STANDARD.decode(body[name].as_str().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    assert_eq!(decoded("body"), answer);
    assert_eq!(decoded("sourceBody"), serde_json::to_value(failing()).unwrap());
    for (name, value) in [
        ("status", json!(489)),
        ("retried", json!(0)),
        ("maxRetries", json!(3)),
        ("dlqId", json!(told.dlq_id)),
        ("url", json!("/guarded")),
        ("method", json!("POST")),
        ("workflowRunId", json!(run)),
        ("workflowUrl", json!("/guarded")),
        ("workflowCreatedAt", json!(START)),
        ("createdAt", json!(START)),
        ("notBefore", json!(START)),
        ("callerIP", json!("")),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
    assert_eq!(body["header"]["upstash-error-step-name"], json!(["charge"]));
    assert!(body["sourceMessageId"].is_string() && body["sourceHeader"].is_object());
}

#[tokio::test]
async fn a_url_that_does_not_take_it_is_told_again_with_the_same_bytes() {
    let app = TestApp::in_memory_with(routes);
    let (other, seen) = listener(&[503, 500]).await;
    let trigger = app.client.trigger_url("/guarded", &failing()).failure_url(other.url());
    let run = trigger.retries(2).retry_delay("0").await.unwrap().workflow_run_id;
    let told = app.failed_and_told(&run).await.failure_function.unwrap();
    assert_eq!(told.state, CallbackState::Success);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(_, body)| *body == seen[0].1));
    let retried: Vec<_> = seen.iter().map(|(map, _)| map[headers::RETRIED].to_str().unwrap()).collect();
    assert_eq!(retried, ["0", "1", "2"]);
}

#[tokio::test]
async fn where_nobody_listens_telling_it_fails() {
    let app = TestApp::in_memory_with(routes);
    let trigger = app.client.trigger_url("/guarded", &failing()).failure_url("http://127.0.0.1:9/nobody");
    let run = trigger.retries(0).await.unwrap().workflow_run_id;
    let told = app.failed_and_told(&run).await.failure_function.unwrap();
    assert_eq!((told.state, told.response_status), (CallbackState::Failed, Some(0)));
    assert!(told.errors[0].error.contains("no answer"), "{told:?}");
    let info = letter(&app, &run).await.failure_callback_info.unwrap();
    assert_eq!((info.state, info.response_status), (CallbackState::Failed, Some(0)));
}

/// A route of the app that is no workflow gets the body of the protocol.
#[tokio::test]
async fn another_path_of_the_app_is_told_like_a_url() {
    fn with_listener(router: Router<Probe>) -> Router<Probe> {
        let told = async |State(probe): State<Probe>, body: String| {
            let body: Value = serde_json::from_str(&body).unwrap();
            probe.pass(body["workflowRunId"].as_str().unwrap());
            "noted"
        };
        routes(router).route("/failures", post(told))
    }
    let app = TestApp::in_memory_with(with_listener);
    let trigger = app.client.trigger_url("/guarded", &failing()).failure_url("/failures");
    let run = trigger.await.unwrap().workflow_run_id;
    let told = app.failed_and_told(&run).await.failure_function.unwrap();
    assert_eq!((told.url.as_str(), told.response_body.as_deref()), ("/failures", Some("noted")));
    assert_eq!(app.probe.count(&run), 1);
    assert_eq!(app.probe.count("function begins"), 0);
}
