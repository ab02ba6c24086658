//! The engine's public face.

use std::{
    fs::File,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use workflow::{
    Client, EngineHandle,
    client::{LogPage, LogQuery, Notification, Notified, RunFilter, Trigger, Triggered, Waiter},
    protocol::{duration::parse_duration, run_id::run_id_of},
};

use crate::{
    command::{
        Cancel, EndRun, Notify, NotifyReply, Published, Submit, TriggerRuns, Wait, WaitFor, public_waiter,
    },
    delivery::{Dispatcher, encode_history},
    error::EngineError,
    keys::{self, SigningKeys},
    limits::check_id,
    logs,
    message::Message,
    open::Builder,
    readers::Readers,
    requests::{HistoryEntry, WaitBody, WaitRequest},
    store::{Run, StoreError},
    trigger,
    urls::Urls,
    webhook::WebhookBase,
    writer::Writer,
};

/// How long a shutdown waits for running steps.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// One call cancels at most this many runs in one transaction; it repeats itself until all are cancelled.
const CANCEL_BATCH: u32 = 1000;

/// A durable engine in this process. Clones are handles to the same engine.
///
/// An app that is attached keeps its engine, and the engine its app, until [`Engine::shutdown`]. Without it nothing is lost
/// either: what is left is found again at the next start.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// The parts of an engine.
pub(crate) struct Inner {
    pub(crate) writer: Writer,
    /// The writer's thread.
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) readers: Readers,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) urls: Urls,
    /// Where webhooks of this process are reached.
    pub(crate) webhooks: Option<WebhookBase>,
    pub(crate) keys: Arc<RwLock<SigningKeys>>,
    /// Held until the shutdown: no other process may open the file.
    pub(crate) lock: Mutex<Option<File>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.writer.close();
    }
}

impl Engine {
    /// Opens the file at `path` with the default settings. See [`Builder::open`].
    ///
    /// # Errors
    /// See [`Builder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, EngineError> {
        Self::builder().open(path)
    }

    /// An engine without a file. See [`Builder::in_memory`].
    ///
    /// # Errors
    /// See [`Builder::in_memory`].
    pub fn in_memory() -> Result<Self, EngineError> {
        Self::builder().in_memory()
    }

    /// Settings for an engine.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// What adapters attach to.
    pub fn handle(&self) -> EngineHandle {
        EngineHandle::embedded(Arc::new(self.clone()))
    }

    /// A client without HTTP.
    pub fn client(&self) -> Client {
        Client::with_transport(Arc::new(self.clone()))
    }

    /// Sets the app of this process. Adapters call it.
    pub fn attach(&self, app: Arc<dyn workflow::engine::App>) {
        self.inner.dispatcher.attach(app);
    }

    /// Ends the engine: no further delivery starts, running steps may end (for at most 10 seconds), and what is left stays in
    /// the store for the next start. No run fails by it. Afterwards every call is answered with [`EngineError::Closed`], and the
    /// file may be opened again.
    pub async fn shutdown(&self) {
        self.shutdown_within(SHUTDOWN_PATIENCE).await;
    }

    /// Like [`Engine::shutdown`], with another limit for running steps. Steps that are still running then are stopped where they
    /// are, and run again at the next start.
    pub async fn shutdown_within(&self, patience: Duration) {
        self.inner.dispatcher.drain(patience).await;
        self.inner.readers.close();
        self.inner.writer.close();
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It ends after what has been queued; a panic of it has been reported already.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Starts runs, all or none.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a bad URL, id, label or retry delay.
    pub async fn trigger(&self, triggers: Vec<Trigger>) -> Result<Vec<Triggered>, EngineError> {
        let urls = &self.inner.urls;
        let runs = triggers
            .into_iter()
            .map(|trigger| trigger::understand(trigger, urls))
            .collect::<Result<_, _>>()?;
        let started = self.inner.writer.submit(TriggerRuns(runs)).await?;
        Ok(started
            .into_iter()
            .map(|started| Triggered {
                workflow_run_id: started.run_id,
                workflow_created_at: started.created_at,
                deduplicated: started.deduplicated,
            })
            .collect())
    }

    /// Takes messages over HTTP: they start runs, or add to the history of one. All or none.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a message that makes no sense, [`EngineError::Ended`] for a run that takes no more,
    /// [`EngineError::Refused`] for kinds of message that the engine does not know.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Published>, EngineError> {
        let urls = &self.inner.urls;
        let submissions =
            messages.into_iter().map(|message| message.into_submission(urls)).collect::<Result<_, _>>()?;
        self.inner.writer.submit(Submit(submissions)).await
    }

    /// Notifies the waiters of an event or, with a run id, that run (with lookback).
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if the run has ended or does not exist, [`EngineError::Refused`] if it has too many
    /// notifications stored.
    pub async fn notify(&self, notification: Notification) -> Result<Vec<Notified>, EngineError> {
        check_id("event id", &notification.event_id)?;
        let notify = Notify {
            event: notification.event_id,
            data: notification.data,
            run_id: notification.run_id.as_deref().map(run_id_of),
            deduplication: notification.deduplication_id,
            step: None,
        };
        let mut notified = match self.inner.writer.submit(notify).await? {
            NotifyReply::Notified(notified) => notified,
            NotifyReply::Step(_) => Vec::new(),
        };
        for waiter in notified.iter_mut().filter_map(|notified| notified.waiter.as_mut()) {
            self.show_urls(waiter);
        }
        Ok(notified)
    }

    /// The waiters of an event, longest waiting first.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a bad event id.
    pub async fn waiters(&self, event_id: &str) -> Result<Vec<Waiter>, EngineError> {
        check_id("event id", event_id)?;
        let event = event_id.to_owned();
        let mut waiters = self
            .inner
            .readers
            .read(move |reader| {
                let mut public = Vec::new();
                for waiter in reader.waiters(&event, u32::MAX)? {
                    if let Some(run) = reader.run(waiter.run)?.filter(Run::is_active) {
                        public.push(public_waiter(&run, &waiter));
                    }
                }
                Ok(public)
            })
            .await?;
        for waiter in &mut waiters {
            self.show_urls(waiter);
        }
        Ok(waiters)
    }

    fn show_urls(&self, waiter: &mut Waiter) {
        waiter.url = self.inner.urls.public(&waiter.url);
        waiter.timeout_url = self.inner.urls.public(&waiter.timeout_url);
    }

    /// Registers a wait of an endpoint over HTTP.
    ///
    /// # Errors
    /// [`EngineError::Ended`] for a run that takes no more, [`EngineError::Invalid`] for a bad step or timeout.
    pub async fn wait(&self, event_id: &str, request: WaitRequest) -> Result<(), EngineError> {
        check_id("event id", event_id)?;
        let WaitBody { timeout, timeout_headers, step } = request.body;
        if step.step_id == 0 {
            return Err(EngineError::Invalid("a wait needs a `stepId` of 1 or more".to_owned()));
        }
        let timeout = match &timeout {
            Some(timeout) => parse_duration(timeout)
                .map_err(|error| EngineError::Invalid(format!("the timeout of the wait: {error}")))?,
            None => Duration::from_secs(7 * 24 * 3600),
        };
        let wait = Wait {
            run: WaitFor::Id(request.run_id),
            step,
            event: event_id.to_owned(),
            timeout: i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX),
            park: false,
            had_failures: false,
            headers: request.headers,
            timeout_headers,
        };
        self.inner.writer.submit(wait).await.map(drop)
    }

    /// Ends a run of an endpoint over HTTP: it has returned `output`, or is cancelled. Ids come again: where the endpoint says
    /// when its run was created (milliseconds since the Unix epoch), no other run is ended.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for an unknown run, and for the cancellation of one that has ended.
    pub async fn end_run(
        &self,
        run_id: &str,
        created_at: Option<i64>,
        cancel: bool,
        output: Bytes,
    ) -> Result<(), EngineError> {
        let output = (!output.is_empty()).then(|| String::from_utf8_lossy(&output).into_owned());
        self.inner.writer.submit(EndRun { run_id: run_id.to_owned(), created_at, cancel, output }).await
    }

    /// Cancels all active runs that match, and says how many.
    ///
    /// # Errors
    /// Only if the store fails.
    pub async fn cancel(&self, filter: RunFilter) -> Result<u64, EngineError> {
        let filter = self.stored_filter(filter);
        let mut all = 0;
        loop {
            let cancelled =
                self.inner.writer.submit(Cancel { filter: filter.clone(), limit: CANCEL_BATCH }).await?;
            all += cancelled;
            if cancelled < u64::from(CANCEL_BATCH) {
                return Ok(all);
            }
        }
    }

    /// Cancels the oldest active runs that match, at most `limit`, and says how many.
    ///
    /// # Errors
    /// Only if the store fails.
    pub async fn cancel_some(&self, filter: RunFilter, limit: u32) -> Result<u64, EngineError> {
        self.inner.writer.submit(Cancel { filter: self.stored_filter(filter), limit }).await
    }

    /// Lists runs, newest first.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a cursor that is none.
    pub async fn logs(&self, query: LogQuery) -> Result<LogPage, EngineError> {
        let query = LogQuery { filter: self.stored_filter(query.filter), ..query };
        let mut page = logs::list(&self.inner.readers, query).await?;
        for run in &mut page.runs {
            run.workflow_url = self.inner.urls.public(&run.workflow_url);
            if let Some(function) = &mut run.failure_function {
                function.url = self.inner.urls.public(&function.url);
            }
        }
        Ok(page)
    }

    fn stored_filter(&self, mut filter: RunFilter) -> RunFilter {
        let urls = &self.inner.urls;
        let stored = filter.workflow_urls.iter().flat_map(|url| urls.filter(url, filter.exact_url));
        filter.workflow_urls = stored.collect();
        if filter.hosts.iter().any(|host| urls.is_at(host)) {
            filter.hosts.push(String::new());
        }
        filter
    }

    /// The history of an active run, as the protocol shows it. [`Engine::export`] gives that of any run.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for a run that has ended or does not exist.
    pub async fn history(&self, run_id: &str) -> Result<Vec<HistoryEntry>, EngineError> {
        let id = run_id.to_owned();
        let entries = self
            .inner
            .readers
            .read(move |reader| match reader.run_by_id(&id)?.filter(Run::is_active) {
                Some(run) => Ok(Some(encode_history(&reader.history(run.key, i64::MAX)?)?)),
                None => Ok(None),
            })
            .await?;
        let entries =
            entries.ok_or_else(|| EngineError::NotFound(format!("there is no active run `{run_id}`")))?;
        Ok(serde_json::from_slice(&entries).map_err(StoreError::from)?)
    }

    /// The keys that deliveries over HTTP are signed with.
    pub fn keys(&self) -> SigningKeys {
        self.inner.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Promotes the next signing key and makes a new one. It is kept in the store; keys that were set at the opening win again
    /// at the next one.
    ///
    /// # Errors
    /// Only if the store fails; then nothing has changed.
    pub async fn rotate_keys(&self) -> Result<SigningKeys, EngineError> {
        let keys = keys::rotated(self.keys());
        self.inner.writer.submit(keys::Keep(keys.clone())).await?;
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.clone();
        Ok(keys)
    }
}
