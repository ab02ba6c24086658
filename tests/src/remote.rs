//! An endpoint of another process, as far as the engine can tell: it speaks just enough of the protocol to wait for one event
//! and then to end its run.

use std::{future::pending, net::SocketAddr};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use workflow::{
    client::HeaderLists,
    protocol::{Step, StepType, headers},
};
use workflow_engine::{Engine, EngineError, WaitBody, WaitRequest};

use crate::Probe;

/// Where the endpoint listens. Below it are the paths `/good`, `/slow` (never answers the delivery of its event) and `/failing`
/// (answers it with 500).
pub struct Remote {
    address: SocketAddr,
    /// Passes the name of the path at every delivery of an event.
    pub probe: Probe,
}

impl Remote {
    /// Begins to listen for deliveries of `engine`. Every run waits for `event`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(engine: &Engine, event: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let probe = Probe::default();
        let state = RemoteState { engine: engine.clone(), event, probe: probe.clone() };
        let app = Router::new().route("/{manner}", post(delivery)).with_state(state);
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { address, probe }
    }

    /// The URL of the workflow that behaves in this manner.
    pub fn url(&self, manner: &str) -> String {
        format!("http://{}/{manner}", self.address)
    }
}

#[derive(Clone)]
struct RemoteState {
    engine: Engine,
    event: &'static str,
    probe: Probe,
}

async fn delivery(
    State(state): State<RemoteState>,
    Path(manner): Path<String>,
    map: HeaderMap,
    body: Bytes,
) -> Response {
    let run = map[headers::WORKFLOW_RUN_ID].to_str().unwrap().to_owned();
    let history: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
    let done = if history.len() == 1 {
        wait(&state.engine, &run, state.event, 1, "1000d").await
    } else {
        state.probe.pass(&manner);
        match manner.as_str() {
            "slow" => pending().await,
            "failing" => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            _ => state.engine.end_run(&run, None, false, Bytes::from_static(b"\"done\"")).await,
        }
    };
    match done {
        Ok(()) => [(headers::WORKFLOW_SDK_VERSION, headers::PROTOCOL_VERSION)].into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Registers a wait of a run whose endpoint is another process.
///
/// # Errors
/// Those of [`Engine::wait`].
pub async fn wait(
    engine: &Engine,
    run: &str,
    event: &str,
    step_id: u32,
    timeout: &str,
) -> Result<(), EngineError> {
    let step = Step::new(step_id, format!("wait {step_id}"), StepType::Wait);
    let body = WaitBody { timeout: Some(timeout.to_owned()), timeout_headers: HeaderLists::new(), step };
    engine.wait(event, WaitRequest { run_id: run.to_owned(), headers: HeaderLists::new(), body }).await
}
