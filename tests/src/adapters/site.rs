//! An adapter's app, its engine, and requests to it.

use std::{
    net::TcpListener,
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use workflow::{
    Client, EngineHandle,
    client::{LogQuery, RunFilter, RunLog, RunState, StepError, http_client_builder},
    engine::HttpEngine,
    protocol::signature,
};
use workflow_engine::Engine;
use workflow_server::Api;

use super::Harness;
use crate::{Answer, Probe, Served, TOKEN, eventually};

/// The keys that engines over HTTP sign with.
pub(super) const KEYS: (&str, &str) = ("sig_current", "sig_next");

/// An adapter's app with an engine.
pub struct Site<H> {
    /// Where the app is served.
    pub url: String,
    /// The engine.
    pub engine: Engine,
    /// Its client.
    pub client: Client,
    /// The app's probe.
    pub probe: Probe,
    harness: H,
    http: reqwest::Client,
    _api: Option<Served>,
}

impl<H: Harness> Site<H> {
    /// An app attached to an embedded engine without a file.
    pub async fn embedded() -> Self {
        let (listener, url) = listen();
        let engine =
            Engine::builder().base_url(&url).webhooks_at(format!("{url}/hooks")).in_memory().unwrap();
        Self::on(engine, listener, url, Probe::default()).await
    }

    /// An app attached to an embedded engine with a file.
    pub async fn on_file(file: &Path, probe: Probe) -> Self {
        let (listener, url) = listen();
        let engine = Engine::builder().base_url(&url).open(file).unwrap();
        Self::on(engine, listener, url, probe).await
    }

    async fn on(engine: Engine, listener: TcpListener, url: String, probe: Probe) -> Self {
        let harness = H::serve(listener, Some(engine.handle()), probe.clone()).await;
        Self { url, client: engine.client(), engine, probe, harness, http: http(), _api: None }
    }

    /// An app attached to an engine over HTTP, which signs its deliveries.
    pub async fn over_http() -> Self {
        let engine = Engine::builder().signing_keys(KEYS.0, KEYS.1).in_memory().unwrap();
        let api = Served::start(Api::new(engine.clone(), TOKEN).without_app().into_router()).await;
        let (listener, url) = listen();
        let remote = HttpEngine::new(api.url(), TOKEN).unwrap().base_url(&url).unwrap();
        Self::with_remote(engine, api, listener, url, remote.signing_keys(KEYS.0, KEYS.1)).await
    }

    /// An app attached to an engine over HTTP, which accepts requests without a signature.
    pub async fn over_plain_http() -> Self {
        let engine = Engine::in_memory().unwrap();
        let api = Served::start(Api::new(engine.clone(), TOKEN).without_app().into_router()).await;
        let (listener, url) = listen();
        let remote = HttpEngine::new(api.url(), TOKEN).unwrap();
        Self::with_remote(engine, api, listener, url, remote).await
    }

    async fn with_remote(
        engine: Engine,
        api: Served,
        listener: TcpListener,
        url: String,
        remote: HttpEngine,
    ) -> Self {
        let (client, probe) = (remote.client(), Probe::default());
        let harness = H::serve(listener, Some(EngineHandle::from(remote)), probe.clone()).await;
        Self { url, engine, client, probe, harness, http: http(), _api: Some(api) }
    }

    /// An app that is attached to no engine. The engine of this site does not know of it.
    pub async fn alone() -> Self {
        let (listener, url) = listen();
        let (engine, probe) = (Engine::in_memory().unwrap(), Probe::default());
        let harness = H::serve(listener, None, probe.clone()).await;
        Self { url, client: engine.client(), engine, probe, harness, http: http(), _api: None }
    }

    /// Ends the app's server.
    pub async fn stop(self) {
        self.harness.stop().await;
    }

    /// Sends a request to the app.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.expect("an answer")
    }

    /// Sends a request that may not be answered.
    ///
    /// # Errors
    /// If it is not.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> reqwest::Result<Answer> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let url = format!("{}{path}", self.url);
        let request = self.http.request(method.parse().unwrap(), url).headers(map).body(body.into());
        let answer = request.send().await?;
        Ok(Answer { status: answer.status(), headers: answer.headers().clone(), body: answer.bytes().await? })
    }

    /// Delivers to the app as an engine over HTTP would, signed with its current key: the first delivery of a run that the engine
    /// does not know.
    pub async fn deliver(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let body = body.into();
        let signature = sign(KEYS.0, &body);
        let all = [
            ("upstash-signature", signature.as_str()),
            ("upstash-workflow-sdk-version", "1"),
            ("upstash-workflow-runid", "wfr_suite"),
        ];
        // What the caller names replaces what is usual.
        let usual = all.into_iter().filter(|(name, _)| headers.iter().all(|(named, _)| named != name));
        let headers: Vec<_> =
            usual.chain(headers.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        self.send("POST", path, &headers, body).await
    }

    /// Waits until a run waits for the event, and notifies it.
    pub async fn tell(&self, event: &str) {
        eventually(format!("somebody waits for `{event}`"), async || {
            let waiters = self.client.get_waiters(event).await.unwrap();
            (!waiters.is_empty()).then_some(())
        })
        .await;
        self.client.notify(event, &()).await.unwrap();
    }

    /// All runs that the engine knows.
    pub async fn runs(&self) -> Vec<RunLog> {
        self.engine.client().logs(LogQuery::default()).await.unwrap().runs
    }

    /// A run as the engine knows it.
    pub async fn log(&self, run: &str) -> RunLog {
        let filter = RunFilter { run_ids: vec![run.to_owned()], ..RunFilter::default() };
        let page = self.engine.client().logs(LogQuery { filter, ..LogQuery::default() }).await.unwrap();
        page.runs.into_iter().next().unwrap_or_else(|| panic!("there is no run `{run}`"))
    }

    /// Waits until a run has ended.
    pub async fn ended(&self, run: &str) -> RunLog {
        eventually(format!("the run `{run}` ends"), async || {
            Some(self.log(run).await).filter(|log| log.workflow_state != RunState::RunStarted)
        })
        .await
    }

    /// Waits until a run has succeeded, and gives what it returned.
    pub async fn output<T: DeserializeOwned>(&self, run: &str) -> T {
        let log = self.ended(run).await;
        assert_eq!(log.workflow_state, RunState::RunSuccess, "{log:#?}");
        serde_json::from_str(log.workflow_run_response.as_deref().unwrap_or("null")).unwrap()
    }

    /// Waits until a run has failed, and gives the failed attempts of what came next.
    pub async fn failure(&self, run: &str) -> Vec<StepError> {
        let log = self.ended(run).await;
        assert_eq!(log.workflow_state, RunState::RunFailed, "{log:#?}");
        errors(&log)
    }
}

/// The failed attempts of a run.
pub(super) fn errors(log: &RunLog) -> Vec<StepError> {
    log.steps.iter().flat_map(|group| &group.steps).flat_map(|step| step.errors.clone()).collect()
}

/// The id of the run that an answer names.
pub(super) fn run_id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["workflowRunId"].as_str().expect("a run id").to_owned()
}

/// A signature of a body, made now.
pub(super) fn sign(key: &str, body: &[u8]) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO).as_millis();
    signature::sign(key, "http://app.test", body, i64::try_from(now).unwrap()).unwrap()
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn http() -> reqwest::Client {
    http_client_builder().unwrap().build().unwrap()
}
