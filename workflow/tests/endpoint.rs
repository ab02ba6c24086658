//! What an endpoint answers to requests that come over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use workflow::{
    EngineHandle, Error, WorkflowContext,
    endpoint::{Request, handle, rejected},
    engine::HttpEngine,
    protocol::signature::sign,
    workflow,
};

#[derive(Debug, Deserialize)]
struct Order {
    id: u32,
}

/// Never reaches its engine: a failure is told by the answer, and a delivery that does nothing reports nothing.
#[workflow]
async fn failing(ctx: WorkflowContext<Order>) -> workflow::Result<()> {
    let attempt = || ctx.attempt();
    ctx.run("charge\nörder", async || match ctx.request_payload().id {
        1 => Err(Error::non_retryable("declined")),
        2 => Err(Error::retry_after("busy", Duration::from_millis(1500))),
        3 => panic!("oh no"),
        _ => Err(Error::msg(format!("attempt {} of {:?}", attempt(), ctx.labels()))),
    })
    .await
}

fn engine() -> HttpEngine {
    HttpEngine::new("http://127.0.0.1:9", "token").unwrap()
}

fn delivery(payload: &str, steps: &[Value]) -> String {
    let entry = |body: String| json!({ "messageId": "m", "body": STANDARD.encode(body), "callType": "step" });
    let entries = steps.iter().map(|step| entry(step.to_string()));
    Value::Array(std::iter::once(entry(payload.to_owned())).chain(entries).collect()).to_string()
}

const STEP: [(&str, &str); 2] = [("upstash-workflow-sdk-version", "1"), ("upstash-workflow-runid", "wfr_1")];

async fn post(engine: Option<EngineHandle>, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let url = "http://app.test/failing".to_owned();
    let body = Bytes::copy_from_slice(body.as_bytes());
    handle::<failing>(Request { url, headers, body, engine, delivery: None }, ()).await
}

async fn deliver(headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
    post(Some(EngineHandle::from(engine())), headers, body).await
}

fn json_of(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn an_ordinary_failure_is_a_500_that_names_step_and_message() {
    let headers = [&STEP[..], &[("upstash-retried", "1"), ("upstash-label", "a, b")]].concat();
    let answer = deliver(&headers, &delivery(r#"{"id":0}"#, &[])).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.headers()["upstash-workflow-sdk-version"], "1");
    assert_eq!(answer.headers()["upstash-error-step-name"].as_bytes(), "charge örder".as_bytes());
    assert_eq!(json_of(&answer)["message"], r#"attempt 2 of ["a", "b"]"#);
}

#[tokio::test]
async fn a_panic_is_an_ordinary_failure() {
    let answer = deliver(&STEP, &delivery(r#"{"id":3}"#, &[])).await;
    assert_eq!(answer.status(), 500);
    assert_eq!(json_of(&answer)["message"], "the code panicked: oh no");
}

#[tokio::test]
async fn a_failure_for_good_is_a_489() {
    let answer = deliver(&STEP, &delivery(r#"{"id":1}"#, &[])).await;
    assert_eq!(answer.status().as_u16(), 489);
    assert_eq!(answer.headers()["upstash-nonretryable-error"], "true");
    assert_eq!(json_of(&answer)["message"], "declined");
}

#[tokio::test]
async fn a_failure_with_a_delay_is_a_429() {
    let answer = deliver(&STEP, &delivery(r#"{"id":2}"#, &[])).await;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "2");
}

#[tokio::test]
async fn code_that_does_not_fit_the_history_is_a_500_however_it_fails() {
    let step = json!({"stepId": 1, "stepName": "reserve", "stepType": "Run", "out": "1"});
    for (payload, part) in [
        (r#"{"id":1}"#, "recorded is step 1 `reserve` (Run), but the code asks for step 1 `charge"),
        (r#"{"id":"x"}"#, "the payload that the run has begun with does not fit"),
    ] {
        let answer = deliver(&STEP, &delivery(payload, std::slice::from_ref(&step))).await;
        assert_eq!(answer.status(), 500);
        assert!(!answer.headers().contains_key("upstash-nonretryable-error"));
        let message = json_of(&answer)["message"].to_string();
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[tokio::test]
async fn a_triggered_payload_that_does_not_fit_fails_for_good() {
    let answer = deliver(&STEP, &delivery(r#"{"id":"x"}"#, &[])).await;
    assert_eq!(answer.status().as_u16(), 489);
    let message = json_of(&answer)["message"].to_string();
    assert!(message.contains("Order`") && message.contains("`id`"), "{message}");
}

#[tokio::test]
async fn a_delivery_that_is_not_the_last_of_its_group_is_answered_with_success() {
    let step = |id: u32, target: Option<u32>| {
        json!({"stepId": id, "stepName": format!("s{}", target.unwrap_or(id)), "stepType": "Run", "concurrent": 2,
               "targetStep": target, "out": "null"})
    };
    #[workflow]
    async fn pair(ctx: WorkflowContext<()>) -> workflow::Result<()> {
        let (one, other) = tokio::join!(ctx.run("s1", async || Ok(())), ctx.run("s2", async || Ok(())));
        one.and(other)
    }
    let body = delivery("", &[step(0, Some(1)), step(0, Some(2)), step(2, None)]);
    let request = Request {
        url: "http://app.test/pair".to_owned(),
        headers: STEP.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect(),
        body: body.into(),
        engine: Some(EngineHandle::from(engine())),
        delivery: None,
    };
    let answer = handle::<pair>(request, ()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(json_of(&answer), json!({ "workflowRunId": "wfr_1", "finishCondition": "success" }));
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_500_that_says_why() {
    let body = delivery(r#"{"id":0}"#, &[]);
    let version = ("upstash-workflow-sdk-version", "1");
    let run = ("upstash-workflow-runid", "wfr_1");
    for (headers, body, reason) in [
        (vec![version], body.as_str(), "Upstash-Workflow-RunId"),
        (vec![("upstash-workflow-sdk-version", "2"), run], &body, "version `2`"),
        (vec![version, run], "x", "not a JSON array"),
        (vec![version, run], "[]", "no entries"),
        (
            vec![version, run],
            r#"[{"body":"e30=","callType":"step"},{"body":"e30=","callType":"step"}]"#,
            "entry 1",
        ),
        (vec![run, ("upstash-workflow-callback", "true")], "{}", "upstash-workflow-steptype"),
        (vec![run, ("upstash-workflow-unknown-sdk", "true")], "{}", "not a JSON array"),
    ] {
        let answer = deliver(&headers, body).await;
        assert_eq!(answer.status(), 500, "{headers:?}");
        let message = json_of(&answer)["message"].to_string();
        assert!(message.contains(reason), "{reason} in {message}");
        assert!(!answer.headers().contains_key("upstash-error-step-name"));
    }
}

#[tokio::test]
async fn there_is_no_failure_function() {
    let run = ("upstash-workflow-runid", "wfr_1");
    for kind in [("upstash-workflow-failure-callback", "true"), ("upstash-workflow-is-failure", "true")] {
        let answer = deliver(&[run, kind], "{}").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["upstash-workflow-failure-callback-notfound"], "true");
        assert_eq!(json_of(&answer)["finishCondition"], "failure-callback-undefined");
    }
}

#[tokio::test]
async fn deliveries_are_verified_where_keys_are_set() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let body = delivery(r#"{"id":1}"#, &[]);
    let sign =
        |key| sign(key, "http://app.test/failing", body.as_bytes(), i64::try_from(now).unwrap()).unwrap();
    let engine = EngineHandle::from(engine().signing_keys("sig_current", "sig_next"));
    for (key, status) in [("sig_current", 489), ("sig_next", 489), ("sig_other", 500)] {
        let signature = sign(key);
        let headers = [&STEP[..], &[("upstash-signature", signature.as_str())]].concat();
        let answer = post(Some(engine.clone()), &headers, &body).await;
        assert_eq!(answer.status().as_u16(), status, "{key}: {answer:?}");
    }
    assert_eq!(post(Some(engine.clone()), &STEP, &body).await.status(), 500, "without a signature");
    assert_eq!(post(Some(engine), &[], r#"{"id":1}"#).await.status(), 401, "nobody else starts runs");
}

#[tokio::test]
async fn a_direct_request_with_a_payload_that_does_not_fit_starts_no_run() {
    for (body, status, reason) in [
        (r#"{"id":"x"}"#, 422, "`id`"),
        ("{}", 422, "missing field `id`"),
        ("{", 400, "EOF"),
        ("", 422, "null"),
    ] {
        let answer = deliver(&[], body).await;
        assert_eq!(answer.status().as_u16(), status, "{body}");
        let error = json_of(&answer)["error"].to_string();
        assert!(error.contains(reason) && error.contains("`failing`"), "{error}");
    }
}

#[tokio::test]
async fn an_app_without_an_engine_says_how_to_get_one() {
    let answer = post(None, &[], r#"{"id":1}"#).await;
    assert_eq!(answer.status(), 500);
    assert!(json_of(&answer)["error"].as_str().unwrap().contains("workflow_axum::attach"));
}

#[test]
fn adapters_reject_in_the_same_form() {
    let answer = rejected(StatusCode::PAYLOAD_TOO_LARGE, "too \"large\"");
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(json_of(&answer), json!({ "error": "too \"large\"" }));
}
