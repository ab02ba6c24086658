//! A server that workflows call, and that knows nothing of them.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;

use crate::{Probe, Served};

/// A request that the third party got.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Paths: `/echo` answers 201 with the body of the request, `/status/{n}` with that status, `/flaky/{n}` with 503 n times and then
/// with 200, `/hold` after its place of the probe has been opened, `/bytes/{n}` with so many bytes. The answer names the path,
/// and each request passes the place of its path without the slash: `echo`, `status/404`.
pub struct ThirdParty {
    served: Served,
    /// See the paths.
    pub probe: Probe,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone)]
struct Shared {
    probe: Probe,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl ThirdParty {
    /// Begins to listen.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let shared = Shared { probe: Probe::default(), requests: Arc::default() };
        let (probe, requests) = (shared.probe.clone(), Arc::clone(&shared.requests));
        let router = Router::new().route("/{*path}", any(answer)).with_state(shared);
        Self { served: Served::start(router).await, probe, requests }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.served.url())
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    State(shared): State<Shared>,
    Path(path): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let echoed = body.clone();
    let request = Request { method, uri, headers, body };
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if path == "hold" {
        shared.probe.hold(&path).await;
        return "held".into_response();
    }
    let times = shared.probe.pass(&path);
    match path.split_once('/') {
        Some(("status", status)) => {
            (StatusCode::from_bytes(status.as_bytes()).unwrap(), path).into_response()
        }
        Some(("flaky", failures)) if times <= failures.parse().unwrap() => {
            (StatusCode::SERVICE_UNAVAILABLE, path).into_response()
        }
        Some(("bytes", count)) => {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(count.parse().unwrap()).collect();
            bytes.into_response()
        }
        Some(_) => path.into_response(),
        None => (StatusCode::CREATED, [("content-type", "application/json")], echoed).into_response(),
    }
}
