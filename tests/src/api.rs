//! The HTTP API over an engine in memory.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use workflow_engine::Engine;
use workflow_server::Api;

use crate::Served;

/// The token of test servers, the one of the recorded requests: base64 of `{"UserID":"testUser","Password":"testPassword"}`.
pub const TOKEN: &str = "eyJVc2VySUQiOiJ0ZXN0VXNlciIsIlBhc3N3b3JkIjoidGVzdFBhc3N3b3JkIn0=";

/// A workflow in another process, where in truth nobody answers.
pub const ELSEWHERE: &str = "http://127.0.0.1:9/wf";

/// The HTTP API of an engine in memory, on loopback.
///
/// Workflows at `http://app.test` count as those of an app in the same process. There is none, so that their runs stay where
/// they are.
pub struct TestApi {
    /// The engine behind it.
    pub engine: Engine,
    served: Served,
    http: reqwest::Client,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The text of `{"error": text}`.
    ///
    /// # Panics
    /// If the answer is no such JSON, or says that it is something else.
    pub fn error(&self) -> String {
        assert_eq!(
            self.headers.get("content-type").map(HeaderValue::as_bytes),
            Some(&b"application/json"[..])
        );
        let body = self.json();
        let fields = body.as_object().expect("an error is an object");
        assert_eq!(fields.len(), 1, "{body}");
        fields["error"].as_str().expect("an error is text").to_owned()
    }
}

impl TestApi {
    /// Serves the API with its default settings.
    ///
    /// # Panics
    /// If the engine does not open.
    pub async fn start() -> Self {
        Self::start_with(|api| api).await
    }

    /// Serves the API with other settings.
    ///
    /// # Panics
    /// If the engine does not open.
    pub async fn start_with(settings: impl FnOnce(Api) -> Api) -> Self {
        let engine =
            Engine::builder().base_url("http://app.test").in_memory().expect("an engine in memory opens");
        let api = settings(Api::new(engine.clone(), TOKEN)).into_router();
        Self { engine, served: Served::start(api).await, http: reqwest_client() }
    }

    /// Serves the API of an engine with the active run `wfr_1`, which waits for `evt`.
    ///
    /// # Panics
    /// If the engine does not open.
    pub async fn with_a_waiting_run() -> Self {
        let api = Self::start().await;
        api.trigger("wfr_1").await;
        api.wait("wfr_1", "evt").await;
        api
    }

    /// Everything that a client can see of such an engine: a refused request must not change it.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn visible(&self) -> Value {
        let runs = self.send("GET", "/v2/workflows/logs", &[], "").await.json();
        let waiters = self.send("GET", "/v2/waiters/evt", &[], "").await.json();
        let history = self.send("GET", "/v2/workflows/runs/wfr_1", &[], "").await.json();
        let keys = self.send("GET", "/v2/keys", &[], "").await.json();
        let limits = self.send("GET", "/v2/flowControl", &[], "").await.json();
        serde_json::json!({ "runs": runs, "waiters": waiters, "history": history, "keys": keys, "limits": limits })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.served.url()
    }

    /// Sends a request with the token.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        let headers: Vec<_> =
            headers.iter().copied().chain([("authorization", authorization.as_str())]).collect();
        self.send_plain(method, path, &headers, body).await
    }

    /// Sends a request as it is.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send_plain(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let method: Method = method.parse().expect("a method");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header name");
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        }
        let url = format!("{}{path}", self.url());
        let answer =
            self.http.request(method, url).headers(map).body(body.into()).send().await.expect("an answer");
        Answer {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.expect("the body of the answer"),
        }
    }

    /// Triggers a run with this id of the workflow at [`ELSEWHERE`], a day from now: nobody is called meanwhile.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn trigger(&self, run_id: &str) {
        let headers = [("upstash-workflow-runid", run_id), ("upstash-delay", "1d")];
        let answer = self.send("POST", &format!("/v2/trigger/{ELSEWHERE}"), &headers, "{}").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Lets this run wait for an event, as the TypeScript SDK asks for it.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn wait(&self, run_id: &str, event: &str) {
        let run = [("upstash-workflow-runid", run_id), ("content-type", "application/json")];
        let body = serde_json::json!({
            "url": ELSEWHERE,
            "timeout": "600s",
            "timeoutUrl": ELSEWHERE,
            "timeoutHeaders": { "Upstash-Workflow-Runid": [run_id] },
            "step": { "stepId": 1, "stepName": "wait", "stepType": "Wait", "concurrent": 1 },
        });
        let answer = self.send("POST", &format!("/v2/wait/{event}"), &run, body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// An HTTP client that needs no TLS settings of the process.
fn reqwest_client() -> reqwest::Client {
    workflow::client::http_client_builder()
        .and_then(|builder| {
            builder.build().map_err(|error| workflow::ClientError::Configuration(error.to_string()))
        })
        .expect("an HTTP client")
}
