//! Payloads reach the workflow as they were sent, and those that do not fit start no run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use axum::{Router, body::Body, extract::State, routing::post};
use bytes::Bytes;
use common::{Deeds, Test, deeds};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use serde::Deserialize;
use workflow::{WorkflowContext, endpoint::MAX_BODY_BYTES, workflow};
use workflow_axum::serve;

#[derive(Deserialize)]
struct Order {
    id: u64,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    count: u32,
}

#[workflow]
async fn typed(ctx: WorkflowContext<Order>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    let order = ctx.request_payload();
    deeds.tell(format!("{}: {}", order.id, order.lines.iter().map(|line| line.count).sum::<u32>()));
    Ok(())
}

#[workflow]
async fn raw(ctx: WorkflowContext<Bytes>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    deeds.tell(format!("{:?}", ctx.request_payload()));
    Ok(())
}

#[workflow]
async fn text(ctx: WorkflowContext<String>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    deeds.tell(ctx.request_payload().clone());
    Ok(())
}

#[workflow]
async fn nothing(_ctx: WorkflowContext<()>, State(deeds): State<Deeds>) -> workflow::Result<()> {
    deeds.tell("ran".to_owned());
    Ok(())
}

fn test() -> (Test, common::Told) {
    let (tell, told) = deeds();
    let app = Router::new()
        .route("/typed", post(serve::<typed>()))
        .route("/raw", post(serve::<raw>()))
        .route("/text", post(serve::<text>()))
        .route("/nothing", post(serve::<nothing>()))
        .with_state(tell);
    (Test::new(app), told)
}

#[tokio::test]
async fn a_post_starts_a_run_and_names_it() {
    let (test, mut told) = test();
    let answer = test.post("/typed", r#"{"id": 7, "lines": [{"count": 2}, {"count": 3}]}"#).await;
    answer.expect(StatusCode::OK);
    assert_eq!(told.next().await, "7: 5");

    let run_id = answer.json()["workflowRunId"].as_str().unwrap().to_owned();
    assert!(run_id.starts_with("wfr_"), "{run_id}");
    assert_eq!(answer.json()["finishCondition"], "success");
    assert!(answer.headers.contains_key("upstash-workflow-sdk-version"));
    let runs = test.runs().await;
    assert_eq!(runs.iter().map(|run| &run.workflow_run_id).collect::<Vec<_>>(), [&run_id]);
}

#[tokio::test]
async fn bytes_and_text_arrive_as_they_were_sent() {
    let (test, mut told) = test();
    test.post("/raw", &b"\xff\x00{"[..]).await.expect(StatusCode::OK);
    assert_eq!(told.next().await, format!("{:?}", Bytes::from_static(b"\xff\x00{")));
    test.post("/text", "no \"JSON\"").await.expect(StatusCode::OK);
    assert_eq!(told.next().await, "no \"JSON\"");
    test.post("/text", r#""JSON \"text\"""#).await.expect(StatusCode::OK);
    assert_eq!(told.next().await, "JSON \"text\"");
    test.post("/nothing", "").await.expect(StatusCode::OK);
    assert_eq!(told.next().await, "ran");
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_told_with_field_and_type_and_starts_no_run() {
    let (test, _told) = test();
    for (body, parts) in [
        (r#"{"id": 7, "lines": [{"count": "many"}]}"#, ["lines[0].count", "expected u32"]),
        (r#"{"id": 7}"#, ["missing field `lines`", "Order"]),
        (r#"{"id": 7,"#, ["EOF", "Order"]),
        ("", ["Order", "null"]),
    ] {
        let answer = test.post("/typed", body).await;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
        for part in parts {
            assert!(answer.error().contains(part), "{part} in {}", answer.error());
        }
    }
    assert!(test.runs().await.is_empty());
}

#[tokio::test]
async fn a_payload_may_be_larger_than_axum_takes_by_default() {
    let (test, mut told) = test();
    let text = "x".repeat(3 * 1024 * 1024);
    test.post("/text", text.clone()).await.expect(StatusCode::OK);
    assert_eq!(told.next().await.len(), text.len());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let (test, _told) = test();
    for declared in [true, false] {
        let answer = test.post("/raw", Body::new(TooLarge { left: MAX_BODY_BYTES + 1, declared })).await;
        answer.expect(StatusCode::PAYLOAD_TOO_LARGE);
        assert!(answer.error().contains(&MAX_BODY_BYTES.to_string()), "{}", answer.error());
    }
    assert!(test.runs().await.is_empty());
}

/// A body that says how large it is, and then must not be read, or does not say so.
struct TooLarge {
    left: usize,
    declared: bool,
}

static CHUNK: [u8; 1024 * 1024] = [b' '; 1024 * 1024];

impl http_body::Body for TooLarge {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        assert!(!self.declared, "a body that is known to be too large is not read");
        let chunk = CHUNK.get(..self.left).unwrap_or(&CHUNK);
        self.left -= chunk.len();
        std::task::Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(Bytes::from_static(chunk)))))
    }

    fn size_hint(&self) -> SizeHint {
        if self.declared { SizeHint::with_exact(self.left as u64) } else { SizeHint::default() }
    }
}
