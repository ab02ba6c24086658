//! The app that the benchmarks measure: an axum router with two workflows, attached to an engine on a file.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::post,
};
use tokio::sync::{mpsc, oneshot};
use workflow::{Client, WaitResult, WorkflowContext, workflow};
use workflow_axum::{attach, serve};
use workflow_engine::Engine;

/// About 100 bytes of JSON, what each step of the workloads returns.
const RESULT: &str =
    "a receipt of about one hundred bytes, as a step of an ordinary workflow would return it: 0123456789";

/// Runs as many steps as its payload says.
#[workflow]
async fn steps(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    for step in 0..*ctx.request_payload() {
        let _: String = ctx.run(format!("step-{step}"), async || Ok(RESULT.to_owned())).await?;
    }
    Ok(())
}

/// Waits for the event that its payload names.
#[workflow]
async fn wait(ctx: WorkflowContext<String>, State(bench): State<Bench>) -> workflow::Result<()> {
    let event = ctx.request_payload().clone();
    let ended = ctx.wait_for_event::<String>("wait", event, Duration::from_secs(7 * 86_400)).await?;
    match ended {
        WaitResult::Received(_) => bench.ended(ctx.workflow_run_id()),
        WaitResult::TimedOut => return Err(workflow::Error::non_retryable("nobody notified")),
    }
    Ok(())
}

/// What the benchmarks learn from the app.
#[derive(Clone)]
pub struct Bench {
    suspended: mpsc::UnboundedSender<()>,
    ended: Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>,
    waited: Arc<Mutex<std::collections::HashSet<String>>>,
}

impl Bench {
    /// Marks a run as past its wait.
    fn ended(&self, run: &str) {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner).insert(run.to_owned());
    }
}

/// The app, running.
pub struct App {
    /// Its engine.
    pub engine: Engine,
    /// A client of the engine.
    pub client: Client,
    bench: Bench,
    suspended: mpsc::UnboundedReceiver<()>,
}

impl App {
    /// Opens an engine on the file and attaches the app.
    pub fn open(path: &Path) -> Result<Self, workflow_engine::EngineError> {
        let engine = Engine::open(path)?;
        let (sender, suspended) = mpsc::unbounded_channel();
        let bench = Bench { suspended: sender, ended: Arc::default(), waited: Arc::default() };
        let router = Router::new()
            .route("/steps", post(serve::<steps>()))
            .route("/wait", post(serve::<wait>()))
            .layer(middleware::from_fn_with_state(bench.clone(), watch))
            .with_state(bench.clone());
        let _ = attach(router, &engine.handle());
        Ok(Self { client: engine.client(), engine, bench, suspended })
    }

    /// Runs a workflow of so many steps to its end.
    pub async fn run_steps(&self, id: String, count: u32) -> Result<(), workflow::ClientError> {
        let ended = self.expect_end(&id);
        self.client.trigger_url("/steps", &count).run_id(id).await?;
        // The sender is dropped only if the app is.
        let _ = ended.await;
        Ok(())
    }

    /// Resolves when the run of that id (with its prefix `wfr_`) has ended.
    pub fn expect_end(&self, id: &str) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.bench.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("wfr_{id}"), sender);
        receiver
    }

    /// Triggers runs that wait for the events, and returns once all of them wait.
    pub async fn start_waiting(
        &mut self,
        waits: impl Iterator<Item = (String, String)>,
    ) -> Result<(), workflow::ClientError> {
        let requests: Vec<_> =
            waits.map(|(id, event)| self.client.trigger_url("/wait", &event).run_id(id)).collect();
        let count = requests.len();
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            self.client.trigger_many(requests.by_ref().take(1000)).await?;
        }
        for _ in 0..count {
            self.suspended.recv().await;
        }
        Ok(())
    }
}

/// Sees every delivery end. The engine has acknowledged what it reported by then.
async fn watch(State(bench): State<Bench>, request: Request, next: Next) -> Response {
    let run =
        request.headers().get("upstash-workflow-runid").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let is_wait = request.uri().path() == "/wait";
    let response = next.run(request).await;
    if let Some(run) = run {
        let over = !is_wait || bench.waited.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        if over {
            let ended = bench.ended.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
            if let Some(ended) = ended {
                let _ = ended.send(());
            }
        } else {
            let _ = bench.suspended.send(());
        }
    }
    response
}
