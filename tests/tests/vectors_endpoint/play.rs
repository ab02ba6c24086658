//! Plays a recording: its deliveries go to the Rust workflows over HTTP, and an engine of the test's own answers as recorded.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::{Router, response::IntoResponse};
use http::{Method, StatusCode};
use workflow::{EngineHandle, engine::HttpEngine};
use workflow_axum::attach;
use workflow_tests::Served;

use crate::{
    recording::{Delivery, Recording, Request, Response},
    workflows,
};

/// Base64 of `{"UserID":"testUser","Password":"testPassword"}`.
const TOKEN: &str = "eyJVc2VySUQiOiJ0ZXN0VXNlciIsIlBhc3N3b3JkIjoidGVzdFBhc3N3b3JkIn0=";
/// Where the engine of the recordings was.
const RECORDED_ENGINE: &str = "http://127.0.0.1:18080";
/// Headers that the recorder left out.
const UNRECORDED: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "date",
    "host",
    "keep-alive",
    "transfer-encoding",
    "user-agent",
];

/// What came of a delivery.
#[derive(Debug)]
pub struct Played {
    pub sent: Vec<Request>,
    pub answer: Response,
}

/// The answers to come, and the requests that came.
#[derive(Default)]
struct Engine {
    answers: VecDeque<Response>,
    sent: Vec<Request>,
}

/// Plays all deliveries of a recording, one after the other.
pub async fn play(recording: &Recording) -> Vec<(Delivery, Played)> {
    let engine: Arc<Mutex<Engine>> = Arc::default();
    let served_engine = serve_engine(&engine).await;
    let now = Arc::new(AtomicI64::new(0));
    let clock = Arc::clone(&now);
    let mut http = HttpEngine::new(served_engine.url(), TOKEN)
        .unwrap()
        .signing_keys("sig_test_current_key", "sig_test_next_key")
        .clock(move || clock.load(Ordering::SeqCst));
    if recording.scenario == "no-telemetry" {
        http = http.disable_telemetry();
    }
    let app = Served::start(attach(workflows::router(), &EngineHandle::from(http))).await;

    let client = workflow::client::http_client_builder().unwrap().build().unwrap();
    let mut played = Vec::new();
    for delivery in recording.deliveries() {
        let request = &delivery.delivered.request;
        now.store(request.signed_at().unwrap_or_default(), Ordering::SeqCst);
        engine.lock().unwrap().answers =
            delivery.nested.iter().map(|nested| nested.response.clone()).collect();
        let mut asked = client
            .request(request.method.parse::<Method>().unwrap(), format!("{}{}", app.url(), request.path()))
            .header("host", "app.test")
            .body(request.body.clone());
        for (name, value) in &request.headers {
            asked = asked.header(name, value);
        }
        let answer = asked.send().await.unwrap();
        let answer = Response {
            status: answer.status().as_u16(),
            headers: recorded_headers(answer.headers()),
            body: answer.text().await.unwrap(),
        };
        let mut sent = std::mem::take(&mut engine.lock().unwrap().sent);
        for request in &mut sent {
            request.body = request.body.replace(served_engine.url(), RECORDED_ENGINE);
        }
        played.push((delivery, Played { sent, answer }));
    }
    played
}

/// Answers as recorded.
async fn serve_engine(engine: &Arc<Mutex<Engine>>) -> Served {
    let engine = Arc::clone(engine);
    let router = Router::new().fallback(async move |request: axum::extract::Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let mut engine = engine.lock().unwrap();
        engine.sent.push(Request {
            method: parts.method.to_string(),
            url: parts.uri.to_string(),
            headers: recorded_headers(&parts.headers),
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        match engine.answers.pop_front() {
            Some(Response { status, body, .. }) => {
                (StatusCode::from_u16(status).unwrap(), body).into_response()
            }
            None => "[{\"messageId\":\"unrecorded\"}]".into_response(),
        }
    });
    Served::start(router).await
}

fn recorded_headers(headers: &http::HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| !UNRECORDED.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
