//! What an endpoint makes of the answers of an engine that does not take its messages, and under which address it names itself.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use workflow::{EngineHandle, WorkflowContext, client::http_client_builder, engine::HttpEngine, workflow};
use workflow_axum::{attach, serve};
use workflow_tests::{Served, TOKEN};

#[workflow]
async fn one_step(ctx: WorkflowContext<Value>) -> workflow::Result<()> {
    ctx.run("only", async || Ok(())).await
}

/// An engine that answers everything with one status, and remembers what it was sent.
#[derive(Clone)]
struct Refusing {
    status: StatusCode,
    sent: Arc<Mutex<Vec<Value>>>,
}

async fn refuse(State(engine): State<Refusing>, body: String) -> impl IntoResponse {
    engine.sent.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    (engine.status, r#"{"error":"not today"}"#)
}

/// Delivers the beginning of a run to an endpoint; gives the answer and what the endpoint has sent to its engine.
async fn deliver(
    status: u16,
    settings: impl FnOnce(HttpEngine) -> HttpEngine,
    headers: &[(&str, &str)],
) -> (u16, http::HeaderMap, Value, Vec<Value>) {
    let engine = Refusing { status: StatusCode::from_u16(status).unwrap(), sent: Arc::default() };
    let api = Served::start(Router::new().fallback(refuse).with_state(engine.clone())).await;
    let http = settings(HttpEngine::new(api.url(), TOKEN).unwrap());
    let app = Router::new().route("/api/one-step", post(serve::<one_step>()));
    let app = Served::start(attach(app, &EngineHandle::from(http))).await;
    let payload = json!([{ "messageId": "msg_0", "body": STANDARD.encode("{}"), "callType": "step" }]);
    let mut request = http_client_builder()
        .unwrap()
        .build()
        .unwrap()
        .post(format!("{}/api/one-step?a=b", app.url()))
        .header("upstash-workflow-sdk-version", "1")
        .header("upstash-workflow-runid", "wfr_refused")
        .header("upstash-message-id", "msg_0")
        .body(payload.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let sent = std::mem::take(&mut *engine.sent.lock().unwrap());
    (status, headers, body, sent)
}

#[tokio::test]
async fn a_refused_submission_ends_the_delivery_as_the_protocol_says() {
    for (refused, answered, never_again) in
        [(400, 200, false), (412, 489, true), (429, 500, false), (500, 500, false), (503, 500, false)]
    {
        let (status, headers, body, sent) = deliver(refused, |engine| engine, &[]).await;
        assert_eq!(status, answered, "{refused}: {body}");
        assert_eq!(headers.contains_key("upstash-nonretryable-error"), never_again, "{refused}: {headers:?}");
        assert_eq!(headers["upstash-workflow-sdk-version"], "1");
        assert_eq!(sent.len(), 1, "an answer is never asked for again: {sent:?}");
        if answered == 200 {
            assert_eq!(body["finishCondition"], "success", "the run has ended elsewhere");
        } else {
            assert!(body["message"].as_str().unwrap().contains("not today"), "{body}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_behind_a_proxy_names_the_address_that_it_is_reached_at() {
    let destination = |sent: &[Value]| sent[0][0]["destination"].as_str().unwrap().to_owned();
    let proxied = [("x-forwarded-proto", "https"), ("host", "shop.example")];
    let (_, _, _, sent) = deliver(200, |engine| engine, &proxied).await;
    assert_eq!(destination(&sent), "https://shop.example/api/one-step?a=b");

    let internal = [("host", "10.0.0.7:3000")];
    let base = |engine: HttpEngine| engine.base_url("https://public.example/shop").unwrap();
    let (_, _, _, sent) = deliver(200, base, &internal).await;
    assert_eq!(destination(&sent), "https://public.example/shop/api/one-step?a=b");
}
