//! Who may use the HTTP API, and how much they may send.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use workflow_tests::{Answer, TOKEN, TestApi};

const RUN: (&str, &str) = ("upstash-workflow-runid", "wfr_1");

#[tokio::test]
async fn nobody_without_the_token_gets_anywhere() {
    let api = TestApi::with_a_waiting_run().await;
    let before = api.visible().await;
    let requests = [
        ("POST", "/v2/publish/http://app.test/wf"),
        ("POST", "/v2/batch"),
        ("POST", "/v2/trigger/http://app.test/wf"),
        ("POST", "/v2/batch/trigger"),
        ("POST", "/v2/wait/evt"),
        ("POST", "/v2/notify/evt"),
        ("POST", "/v2/notify/wfr_1/evt"),
        ("GET", "/v2/waiters/evt"),
        ("DELETE", "/v2/workflows/runs"),
        ("DELETE", "/v2/workflows/runs/wfr_1"),
        ("GET", "/v2/workflows/runs/wfr_1"),
        ("GET", "/v2/workflows/events?groupBy=workflowRunId"),
        ("GET", "/v2/workflows/logs"),
        ("GET", "/v2/keys"),
        ("POST", "/v2/keys/rotate"),
        ("GET", "/v2/flowControl"),
        ("GET", "/v2/flowControl/k"),
        ("POST", "/v2/flowControl/k/pause"),
        ("GET", "/v2/globalParallelism"),
        ("GET", "/v2/nothing"),
    ];
    let almost = format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]);
    let longer = format!("Bearer {TOKEN}x");
    let basic = format!("Basic {TOKEN}");
    for (method, path) in requests {
        for wrong in ["", "Bearer", "Bearer ", "Bearer wrong", &almost, &longer, &basic, TOKEN] {
            let answer = api.send_plain(method, path, &[("authorization", wrong)], "").await;
            unauthorized(&answer, &format!("{method} {path} with `{wrong}`"));
        }
        unauthorized(&api.send_plain(method, path, &[], "").await, path);
        let separator = if path.contains('?') { '&' } else { '?' };
        let answer = api.send_plain(method, &format!("{path}{separator}qstash_token=wrong"), &[], "").await;
        unauthorized(&answer, path);
    }
    assert_eq!(api.visible().await, before);
}

fn unauthorized(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {answer:?}");
    assert!(answer.error().contains("token"), "{what}: {answer:?}");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn an_api_without_a_token_is_closed() {
    let engine = workflow_engine::Engine::in_memory().unwrap();
    let served = workflow_tests::Served::start(workflow_server::api(engine, "")).await;
    let client = workflow::client::http_client_builder().unwrap().build().unwrap();
    for authorization in ["Bearer ", "Bearer"] {
        let request = client.get(format!("{}/v2/keys", served.url())).header("authorization", authorization);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn the_token_may_be_in_the_query() {
    let api = TestApi::with_a_waiting_run().await;
    let token = TOKEN.replace('=', "%3D");
    let answer = api.send_plain("GET", &format!("/v2/waiters/evt?qstash_token={token}"), &[], "").await;
    assert_eq!(answer.status, 200);

    let path = format!("/v2/trigger/http://app.test/q?a=1&qstash_token={token}&b=2");
    let run: Value = api.send_plain("POST", &path, &[], "").await.json();
    let path = format!("/v2/workflows/logs?workflowRunId={}", run["workflowRunId"].as_str().unwrap());
    let logs = api.send("GET", &path, &[], "").await.json();
    assert_eq!(logs["runs"][0]["workflowUrl"], "http://app.test/q?a=1&b=2");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whole() {
    let api = TestApi::start_with(|api| api.body_limit(1000)).await;
    api.trigger("wfr_1").await;
    let before = api.visible().await;
    for path in ["/v2/publish/http://app.test/wf", "/v2/batch", "/v2/notify/wfr_1/evt", "/v2/wait/evt"] {
        let answer = api.send("POST", path, &[RUN], "x".repeat(1001)).await;
        assert_eq!(answer.status, 413, "{path}");
        assert!(answer.error().contains("1000 bytes"), "{path}");
    }
    assert_eq!(api.visible().await, before);
    let answer = api.send("POST", "/v2/notify/wfr_1/evt", &[], "x".repeat(1000)).await;
    assert_eq!(answer.status, 201);
}

/// Sends bytes, and gives the answer as text.
async fn raw(api: &TestApi, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(api.url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_without_a_length_is_limited_too() {
    let api = TestApi::start_with(|api| api.body_limit(1000)).await;
    api.trigger("wfr_1").await;
    let before = api.visible().await;
    let chunk = format!("258\r\n{}\r\n", "x".repeat(0x258));
    let request = format!(
        "POST /v2/notify/wfr_1/evt HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         transfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let answer = raw(&api, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains(r#"{"error":"the body has more than 1000 bytes"}"#), "{answer}");
    assert_eq!(api.visible().await, before);
}

#[tokio::test]
async fn a_header_that_is_no_text_is_refused() {
    let api = TestApi::with_a_waiting_run().await;
    let before = api.visible().await;
    for (path, header) in
        [("/v2/publish/http://app.test/wf", "upstash-label"), ("/v2/notify/evt", "upstash-deduplication-id")]
    {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n{header}: "
        );
        let request = [head.as_bytes(), b"\xff\xfe\r\ncontent-length: 0\r\n\r\n"].concat();
        let answer = raw(&api, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("not UTF-8") && answer.contains(header), "{answer}");
    }
    assert_eq!(api.visible().await, before);
}
