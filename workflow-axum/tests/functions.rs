//! The functions that the attribute names: those that read and check payloads, and that of runs that have failed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, routing::post};
use bytes::Bytes;
use common::{Answer, Deeds, Test, Told, deeds};
use garde::Validate;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use workflow::{
    Error, FailedRun, Workflow, WorkflowContext,
    client::RunState,
    engine::{Delivery, RunFailure, RunInfo, Task},
    workflow,
};
use workflow_axum::serve;

#[derive(Debug, Deserialize, Serialize, Validate)]
struct Order {
    #[garde(length(min = 3))]
    customer: String,
    #[garde(range(min = 1, max = 9))]
    count: u32,
}

/// It cannot be read from JSON.
#[derive(Debug, PartialEq, Serialize)]
struct Line(u32);

impl Line {
    fn from_text(body: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(body).map_err(|error| error.to_string())?;
        let number = text.strip_prefix("line ").ok_or("a line begins with `line `")?;
        number.trim().parse().map(Self).map_err(|_| format!("`{number}` is no number"))
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.0 == 0 { Err("lines are counted from 1") } else { Ok(()) }
    }
}

#[workflow(validate = garde::Validate::validate)]
async fn checked(ctx: WorkflowContext<Order>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    deeds.tell(format!("{:?}", ctx.request_payload()));
    Ok(())
}

#[workflow(parse = Line::from_text, validate = Line::check)]
async fn read(ctx: WorkflowContext<Line>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    deeds.tell(format!("{:?}", ctx.request_payload()));
    Ok(())
}

#[workflow(on_failure = support::tell)]
async fn sell(_ctx: WorkflowContext<Order>, State(_): State<Deeds>) -> workflow::Result<()> {
    Err(Error::non_retryable("sold out"))
}

#[workflow]
async fn plain(_ctx: WorkflowContext<Order>) -> workflow::Result<()> {
    Ok(())
}

mod support {
    use super::*;

    #[derive(Serialize)]
    pub struct Ticket {
        customer: String,
        because: String,
    }

    pub async fn tell(failed: FailedRun<Order>, State(deeds): State<Deeds>) -> workflow::Result<Ticket> {
        let Order { customer, count } = failed.request_payload();
        deeds.tell(format!("{} of {}: {}", failed.workflow_run_id(), failed.dlq_id(), failed.status()));
        if *count == 9 {
            return Err(Error::msg("nobody is at the desk"));
        }
        assert!(*count < 8, "no such order");
        Ok(Ticket { customer: customer.clone(), because: failed.message().to_owned() })
    }
}

fn test() -> (Test, Told) {
    let (tell, told) = deeds();
    let app = Router::new()
        .route("/checked", post(serve::<checked>()))
        .route("/read", post(serve::<read>()))
        .route("/sell", post(serve::<sell>()))
        .route("/plain", post(serve::<plain>()))
        .with_state(tell);
    (Test::new(app), told)
}

#[tokio::test]
async fn a_payload_that_is_not_valid_is_refused_with_its_field_and_starts_no_run() {
    let (test, mut told) = test();
    let answer = test.post("/checked", r#"{"customer": "ada", "count": 10}"#).await;
    answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
    for part in ["`checked`", "the payload is not valid", "count", "9"] {
        assert!(answer.error().contains(part), "{part} in {}", answer.error());
    }
    assert!(!answer.error().contains("customer"), "{}", answer.error());
    assert!(test.runs().await.is_empty());

    test.post("/checked", r#"{"customer": "ada", "count": 9}"#).await.expect(StatusCode::OK);
    assert_eq!(told.next().await, r#"Order { customer: "ada", count: 9 }"#);
}

#[tokio::test]
async fn a_payload_is_read_by_the_function_that_is_named() {
    let (test, mut told) = test();
    test.post("/read", "line 7").await.expect(StatusCode::OK);
    assert_eq!(told.next().await, "Line(7)");
    for (body, why) in [
        ("7", "the payload cannot be read: a line begins with `line `"),
        ("line x", "the payload cannot be read: `x` is no number"),
        ("line 0", "the payload is not valid: lines are counted from 1"),
    ] {
        let answer = test.post("/read", body).await;
        answer.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.error().contains(why), "{}", answer.error());
    }
    assert_eq!(test.runs().await.len(), 1);
}

#[tokio::test]
async fn a_run_that_is_triggered_with_such_a_payload_fails_for_good() {
    let (test, _told) = test();
    let client = test.client.clone().workflows_at("/");
    client.trigger::<checked>(&Order { customer: "ada".to_owned(), count: 0 }).await.unwrap();
    let run = test.ended().await;
    assert_eq!(run.workflow_state, RunState::RunFailed);
    let reason = run.failure().unwrap();
    assert!(reason.contains("the payload is not valid: count"), "{reason}");

    client.trigger::<read>(&Line(7)).await.unwrap();
    let run = test.ended().await;
    assert_eq!(run.workflow_state, RunState::RunFailed);
    let reason = run.failure().unwrap();
    assert!(reason.contains("the payload cannot be read: a line begins with"), "{reason}");
}

/// Tells the app that a run has failed, as an engine in its process does.
async fn fail(test: &Test, path: &str, payload: &'static str) -> Answer {
    let run = RunInfo { id: "wfr_1".to_owned(), url: path.to_owned(), ..RunInfo::default() };
    let failure = RunFailure {
        status: 489,
        message: "sold out".to_owned(),
        dlq_id: "7-0".to_owned(),
        ..RunFailure::default()
    };
    let delivery = Delivery { run, payload: Bytes::from(payload), task: Task::Failed(failure) };
    let mut request = Request::post(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(Arc::new(delivery));
    let (parts, body) = test.app.clone().oneshot(request).await.unwrap().into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

#[tokio::test]
async fn a_failure_function_gets_the_run_and_the_parameters_of_its_workflow() {
    let options = sell::OPTIONS;
    assert!(options.handles_failure);
    let (test, mut told) = test();
    let answer = fail(&test, "/sell", r#"{"customer": "ada", "count": 3}"#).await;
    answer.expect(StatusCode::OK);
    assert_eq!(answer.json(), serde_json::json!({ "result": { "customer": "ada", "because": "sold out" } }));
    assert_eq!(told.next().await, "wfr_1 of 7-0: 489");
}

#[tokio::test]
async fn a_failure_function_that_fails_or_panics_is_told_and_called_again() {
    let (test, mut told) = test();
    for (payload, why) in [
        (r#"{"customer": "ada", "count": 9}"#, "nobody is at the desk"),
        (r#"{"customer": "ada", "count": 8}"#, "no such order"),
    ] {
        let answer = fail(&test, "/sell", payload).await;
        answer.expect(StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.text().contains(why), "{}", answer.text());
        assert_eq!(told.next().await, "wfr_1 of 7-0: 489");
    }
}

#[tokio::test]
async fn a_workflow_without_a_failure_function_says_so() {
    let options = plain::OPTIONS;
    assert!(!options.handles_failure);
    let (test, _told) = test();
    let answer = fail(&test, "/plain", r#"{"customer": "ada", "count": 3}"#).await;
    answer.expect(StatusCode::OK);
    assert_eq!(answer.headers["upstash-workflow-failure-callback-notfound"], "true");
}
