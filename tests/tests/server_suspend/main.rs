//! Workflows in Rust on an engine over HTTP: the endpoint suspends after each step, and the engine calls it again, signed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod dead_letters;
mod events;
mod failures;
mod options;
mod payloads;
mod refusals;
mod steps;

use axum::Router;
use serde::Serialize;
use workflow::{
    Client, EngineHandle,
    client::{RunState, StepState},
    engine::HttpEngine,
};
use workflow_engine::Engine;
use workflow_server::Api;
use workflow_tests::{Probe, Runs, Served, TOKEN};

const KEYS: (&str, &str) = ("sig_current", "sig_next");

/// An engine behind the API, and an app that knows it by its URL only.
struct Remote {
    engine: Engine,
    client: Client,
    probe: Probe,
    app: Served,
    api: Served,
}

impl Remote {
    async fn start() -> Self {
        Self::start_with(|engine| engine.signing_keys(KEYS.0, KEYS.1)).await
    }

    async fn start_with(settings: impl FnOnce(HttpEngine) -> HttpEngine) -> Self {
        let engine = Engine::builder().signing_keys(KEYS.0, KEYS.1).in_memory().unwrap();
        let api = Served::start(Api::new(engine.clone(), TOKEN).without_app().into_router()).await;
        let listening = Served::listen().await;
        let http = HttpEngine::new(api.url(), TOKEN).unwrap().base_url(&listening.url()).unwrap();
        let http = settings(http);
        let client = http.client();
        let probe = Probe::default();
        let app = listening.serve(workflow_axum::attach(routes(probe.clone()), &EngineHandle::from(http)));
        Self { engine, client, probe, app, api }
    }

    async fn trigger(&self, path: &str, payload: &impl Serialize) -> String {
        self.client.trigger_url(path, payload).retry_delay("0").await.unwrap().workflow_run_id
    }

    /// A run that has failed, with what was told of the failed attempts.
    async fn failure(&self, run: &str) -> Vec<String> {
        let log = self.ended(run).await;
        assert_eq!(log.workflow_state, RunState::RunFailed, "{log:#?}");
        let last = log.steps.last().and_then(|group| group.steps.last()).expect("a step that failed");
        assert_eq!(last.state, Some(StepState::StepFailed), "{log:#?}");
        last.errors.iter().map(|error| format!("{} {}", error.error, error.body)).collect()
    }
}

impl Runs for Remote {
    fn client(&self) -> &Client {
        &self.client
    }
}

fn routes(probe: Probe) -> Router {
    let routes = steps::routes()
        .merge(events::routes())
        .merge(dead_letters::routes())
        .merge(failures::routes())
        .merge(options::routes())
        .merge(payloads::routes());
    routes.with_state(probe)
}
