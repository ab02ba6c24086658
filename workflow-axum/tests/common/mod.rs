//! An app with an engine in memory, and requests to it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tower::ServiceExt;
use workflow::{
    Client,
    client::{LogQuery, RunLog},
};
use workflow_engine::Engine;

/// An app that is attached to an engine of its own.
pub struct Test {
    pub app: Router,
    pub client: Client,
    _engine: Engine,
}

impl Test {
    pub fn new(app: Router) -> Self {
        let engine = Engine::in_memory().unwrap();
        let app = workflow_axum::attach(app, &engine.handle());
        Self { app, client: engine.client(), _engine: engine }
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Answer {
        self.request(method, path, &[], body).await
    }

    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        send(&self.app, method, path, headers, body).await
    }

    /// All runs that the engine knows.
    pub async fn runs(&self) -> Vec<RunLog> {
        self.client.logs(LogQuery::default()).await.unwrap().runs
    }

    /// The newest run, once it has ended; gives up after a while, so that a test that fails also ends.
    pub async fn ended(&self) -> RunLog {
        let ended = async {
            loop {
                match self.runs().await.into_iter().next() {
                    Some(run) if run.is_ended() => return run,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), ended)
            .await
            .expect("the run ends within 30 s")
    }
}

pub async fn send(
    app: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

/// What the app answered.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    #[track_caller]
    pub fn expect(&self, status: StatusCode) -> &Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The text of a JSON error.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

/// Where workflows tell what they do, and where a test hears of it.
pub fn deeds() -> (Deeds, Told) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Deeds(sender), Told(receiver))
}

#[derive(Clone)]
pub struct Deeds(mpsc::UnboundedSender<String>);

impl Deeds {
    pub fn tell(&self, deed: String) {
        // The test may have ended.
        let _ = self.0.send(deed);
    }
}

pub struct Told(mpsc::UnboundedReceiver<String>);

impl Told {
    /// The next deed; gives up after a while, so that a test that fails also ends.
    pub async fn next(&mut self) -> String {
        tokio::time::timeout(std::time::Duration::from_secs(30), self.0.recv())
            .await
            .expect("a workflow does something within 30 s")
            .expect("the app is there")
    }
}
