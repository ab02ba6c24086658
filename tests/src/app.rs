//! An app with workflows, and the engine that runs them.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::post};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use workflow::{
    Client, ClientError,
    client::{CallbackState, GroupKind, Notified, RunLog, RunState, StepError, StepLog},
};
use workflow_engine::{Engine, ManualClock};

use crate::{
    Probe, Runs, eventually,
    script::{self, Op, Outcome},
};

/// What a test adds to the app's routes.
pub type Routes = fn(Router<Probe>) -> Router<Probe>;

/// The time at which the clock of a test stands first, in milliseconds since the Unix epoch.
pub const START: i64 = 1_900_000_000_000;

/// Where the webhooks of a test's app are said to be.
pub const WEBHOOKS: &str = "https://hooks.test/in";

/// An axum app whose workflows run on an engine of its own, with a clock that the test moves.
pub struct TestApp {
    /// The engine.
    pub engine: Engine,
    /// Its client.
    pub client: Client,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// What the app's workflows get as their state.
    pub probe: Probe,
    routes: Routes,
    folder: Option<TempDir>,
}

impl TestApp {
    /// An app on an engine without a file.
    pub fn in_memory() -> Self {
        Self::in_memory_with(|router| router)
    }

    /// An app with routes of the test's own, on an engine without a file.
    pub fn in_memory_with(routes: Routes) -> Self {
        let app = Self::open(routes, None);
        app.attach();
        app
    }

    /// An app on an engine with a file.
    pub fn on_file() -> Self {
        Self::on_file_with(|router| router)
    }

    /// An app with routes of the test's own, on an engine with a file.
    pub fn on_file_with(routes: Routes) -> Self {
        let app = Self::open(routes, Some(TempDir::new().unwrap()));
        app.attach();
        app
    }

    /// An engine with a file that has no app yet: whatever is due stays due.
    pub fn unattached() -> Self {
        Self::open(|router| router, Some(TempDir::new().unwrap()))
    }

    fn open(routes: Routes, folder: Option<TempDir>) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let builder = Engine::builder().clock(Arc::clone(&clock) as _).webhooks_at(WEBHOOKS);
        let engine = match &folder {
            Some(folder) => builder.open(folder.path().join("engine.db")).unwrap(),
            None => builder.in_memory().unwrap(),
        };
        Self { client: engine.client(), engine, clock, probe: Probe::default(), routes, folder }
    }

    /// Gives the engine its app.
    pub fn attach(&self) {
        let router =
            (self.routes)(Router::new().route(script::PATH, post(workflow_axum::serve::<script::script>())));
        let _app: Router =
            workflow_axum::attach(router.with_state(self.probe.clone()), &self.engine.handle());
    }

    /// Stops the engine where it is, running steps included, and opens its file again with a new one.
    pub async fn crash(&mut self) {
        self.crash_unattached().await;
        self.attach();
    }

    /// Like [`Self::crash`], but the new engine has no app yet.
    pub async fn crash_unattached(&mut self) {
        self.engine.shutdown_within(Duration::ZERO).await;
        self.reopen();
    }

    /// Opens the file of an engine that has been shut down.
    pub fn reopen(&mut self) {
        let builder = Engine::builder().clock(Arc::clone(&self.clock) as _).webhooks_at(WEBHOOKS);
        self.engine = builder.open(self.file()).unwrap();
        self.client = self.engine.client();
    }

    /// Where the engine's file is.
    pub fn file(&self) -> std::path::PathBuf {
        self.folder.as_ref().expect("this engine has no file").path().join("engine.db")
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Starts a script, and gives the run's id.
    pub async fn start(&self, ops: impl IntoIterator<Item = Op>) -> String {
        let ops: Vec<Op> = ops.into_iter().collect();
        self.client.trigger_url(script::PATH, &ops).await.unwrap().workflow_run_id
    }

    /// The newest run of this id.
    pub async fn log(&self, run: &str) -> RunLog {
        Runs::log(&self.client, run).await
    }

    /// Waits until a run has ended.
    pub async fn ended(&self, run: &str) -> RunLog {
        self.client.ended(run).await
    }

    /// Waits until a run has failed and whoever is to be told of it was told, or will not be told any more.
    pub async fn failed_and_told(&self, run: &str) -> RunLog {
        eventually(format!("the failure of `{run}` is told"), async || {
            let log = Some(self.log(run).await).filter(|log| log.workflow_state == RunState::RunFailed)?;
            let told = log.failure_function.as_ref().map(|function| function.state);
            (told != Some(CallbackState::InProgress)).then_some(log)
        })
        .await
    }

    /// Waits until a run has succeeded, and gives what it returned.
    pub async fn output<T: DeserializeOwned + 'static>(&self, run: &str) -> T {
        self.ended(run).await.response().unwrap().expect("a run that has ended has a response")
    }

    /// Waits until a script has succeeded, and gives what came of its steps.
    pub async fn outcomes(&self, run: &str) -> Vec<Outcome> {
        self.output(run).await
    }

    /// The recorded steps of a run, without the trigger.
    pub async fn steps(&self, run: &str) -> Vec<StepLog> {
        let groups = self.log(run).await.steps.into_iter().filter(|group| group.kind != GroupKind::Next);
        groups.flat_map(|group| group.steps).skip(1).collect()
    }

    /// Waits until exactly this many steps of a run are recorded. A sleep is recorded when it begins.
    pub async fn recorded(&self, run: &str, count: usize) -> Vec<StepLog> {
        eventually(format!("{count} steps of `{run}` are recorded"), async || {
            Some(self.steps(run).await).filter(|steps| steps.len() == count)
        })
        .await
    }

    /// The failed attempts of what comes next in a run.
    pub async fn errors(&self, run: &str) -> Vec<StepError> {
        let groups = self.log(run).await.steps.into_iter().filter(|group| group.kind == GroupKind::Next);
        groups.flat_map(|group| group.steps).flat_map(|step| step.errors).collect()
    }

    /// Waits until exactly this many failed attempts of what comes next in a run are on record.
    pub async fn failed(&self, run: &str, count: usize) -> Vec<StepError> {
        eventually(format!("{count} attempts of `{run}` have failed"), async || {
            Some(self.errors(run).await).filter(|errors| errors.len() == count)
        })
        .await
    }

    /// The runs that wait for an event, longest waiting first.
    pub async fn waiters(&self, event: &str) -> Vec<String> {
        let waiters = self.client.get_waiters(event).await.unwrap();
        waiters.iter().map(|waiter| waiter.run_id().expect("a waiter names its run").to_owned()).collect()
    }

    /// Waits until exactly this many waits for an event are registered.
    pub async fn waiting(&self, event: &str, count: usize) -> Vec<String> {
        eventually(format!("{count} wait for `{event}`"), async || {
            Some(self.waiters(event).await).filter(|waiters| waiters.len() == count)
        })
        .await
    }

    /// Notifies all waiters of an event.
    pub async fn tell(&self, event: &str, data: &str) -> Vec<Told> {
        self.client.notify(event, data).await.unwrap().iter().map(told).collect()
    }

    /// Notifies one run of an event.
    ///
    /// # Errors
    /// If the engine refuses.
    pub async fn tell_run(&self, run: &str, event: &str, data: &str) -> Result<Told, ClientError> {
        let notified = self.client.notify(event, data).run_id(run).await?;
        assert_eq!(notified.len(), 1, "one run, one answer: {notified:?}");
        Ok(told(&notified[0]))
    }
}

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Told {
    /// A wait of this run got it.
    Delivered(String),
    /// It was stored for the next wait of this run.
    Stored(String),
    /// This run did not get it, for this reason.
    Refused(String, String),
}

/// Reads one entry of the answer to a notification.
pub fn told(notified: &Notified) -> Told {
    let run = notified.workflow_run_id.clone();
    match &notified.waiter {
        _ if !notified.error.is_empty() => Told::Refused(run, notified.error.clone()),
        Some(waiter) => {
            assert_eq!(waiter.run_id(), Some(run.as_str()), "waiter and answer name the same run");
            Told::Delivered(run)
        }
        None => Told::Stored(run),
    }
}
