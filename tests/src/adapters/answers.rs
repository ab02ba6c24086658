//! What deliveries over HTTP are answered, for each thing that can become of them.

use serde_json::Value;

use super::{Act, Harness, Site};
use crate::Answer;

const ADA: (&str, &str) = ("x-caller", "ada");

/// The body of the first delivery of a run.
fn first(act: Act) -> String {
    let payload = base64(&serde_json::to_string(&act).expect("an act is JSON"));
    format!(r#"[{{"messageId":"msg","body":"{payload}","callType":"step"}}]"#)
}

/// Base64, as any engine writes it.
fn base64(text: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(text)
}

/// The class and the message of a failure; what all answers share is checked here.
fn failure(answer: &Answer, status: u16) -> (String, String) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["upstash-workflow-sdk-version"], "1");
    let body = answer.json();
    assert_eq!(body["stack"], "", "{body}");
    let text =
        |field: &str| body[field].as_str().unwrap_or_else(|| panic!("no `{field}` in {body}")).to_owned();
    (text("error"), text("message"))
}

/// The step has run; that its run has ended meanwhile is no failure.
pub async fn a_delivery_that_was_handled<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let answer = site.deliver("/play", &[ADA], first(Act::Greet)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["upstash-workflow-sdk-version"], "1");
    let expected = serde_json::json!({ "workflowRunId": "wfr_suite", "finishCondition": "success" });
    assert_eq!(answer.json(), expected);
}

/// It names the step.
pub async fn a_failed_step<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let answer = site.deliver("/play", &[ADA], first(Act::Fail)).await;
    let (_, message) = failure(&answer, 500);
    assert_eq!(message, "the card is declined");
    assert_eq!(answer.headers["upstash-error-step-name"], "charge");
    assert!(!answer.headers.contains_key("upstash-nonretryable-error"));
}

/// A status of its own, and a header.
pub async fn a_failure_that_is_never_retried<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let answer = site.deliver("/play", &[ADA], first(Act::FailForGood)).await;
    let told = failure(&answer, 489);
    assert_eq!(told, ("WorkflowNonRetryableError".to_owned(), "there is no such card".to_owned()));
    assert_eq!(answer.headers["upstash-nonretryable-error"], "true");
}

/// In whole seconds.
pub async fn a_failure_that_says_when_to_retry<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let answer = site.deliver("/play", &[ADA], first(Act::FailForNow)).await;
    let told = failure(&answer, 429);
    assert_eq!(told, ("WorkflowRetryAfterError".to_owned(), "too many cards".to_owned()));
    assert_eq!(answer.headers["retry-after"], "7");
}

/// It says what is wrong with it.
pub async fn what_the_endpoint_cannot_do_anything_with<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let version = ("upstash-workflow-sdk-version", "99");
    let (_, message) = failure(&site.deliver("/play", &[ADA, version], first(Act::Greet)).await, 500);
    assert!(message.contains("99"), "{message}");
    let nameless = ("upstash-workflow-runid", "");
    let (_, message) = failure(&site.deliver("/play", &[ADA, nameless], first(Act::Greet)).await, 500);
    assert!(message.contains("Upstash-Workflow-RunId"), "{message}");
    assert_eq!(site.probe.count("play"), 0);
}

/// The engine learns that there is none.
pub async fn a_failure_without_a_failure_function<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let answer = site.deliver("/play", &[ADA, ("upstash-workflow-failure-callback", "true")], "{}").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["finishCondition"], Value::from("failure-callback-undefined"));
    assert_eq!(answer.headers["upstash-workflow-failure-callback-notfound"], "true");
}
