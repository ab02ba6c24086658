//! The engine's public face.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use workflow::{
    Client, EngineHandle,
    client::{HeaderLists, LogPage, LogQuery, Notification, Notified, RunFilter, Trigger, Triggered, Waiter},
    protocol::{Step, StepType, duration::parse_duration, run_id::run_id_of},
};

use crate::{
    clock::{Clock, SystemClock},
    command::{
        Cancel, EndRun, Notify, NotifyReply, Published, StartRun, Submit, Transaction, TriggerRuns, Wait,
        WaitFor, public_waiter,
    },
    delivery::{Dispatcher, HttpSettings, encode_history},
    error::EngineError,
    keys::SigningKeys,
    limits::{check_id, check_labels},
    logs,
    message::Message,
    readers::Readers,
    retry,
    store::{Run, RunConfig, Sqlite, StoreError},
    urls::Urls,
    writer::{Command, Writer},
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
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    dispatcher: Arc<Dispatcher>,
    urls: Urls,
    keys: Arc<RwLock<SigningKeys>>,
    /// Held until the shutdown: no other process may open the file.
    lock: Mutex<Option<File>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.writer.close();
    }
}

/// Settings of an engine that is to be opened.
pub struct Builder {
    clock: Arc<dyn Clock>,
    base_url: Option<String>,
    keys: Option<SigningKeys>,
    delivery_timeout: Duration,
}

impl Builder {
    /// Takes its time from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The address of the app of this process, such as `http://127.0.0.1:3000`. Runs triggered with a URL below it are
    /// delivered in process, like those triggered with a path, and runs are listed under it.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Signs deliveries over HTTP with these keys. Without it the engine makes its own and keeps them in the store.
    pub fn signing_keys(mut self, current: impl Into<String>, next: impl Into<String>) -> Self {
        self.keys = Some(SigningKeys { current: current.into(), next: next.into() });
        self
    }

    /// How long an endpoint over HTTP may take for one delivery; 2 hours unless set.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = timeout;
        self
    }

    /// Opens the file at `path`, or creates it, and goes on with whatever is due in it.
    ///
    /// # Errors
    /// If it is not called inside a Tokio runtime, or the file cannot be opened, is not an engine's, or is open in another
    /// process.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Engine, EngineError> {
        let path = path.as_ref();
        let lock = lock(path)?;
        let store = Sqlite::open(path)?;
        self.start(store, Some((path.to_owned(), lock)))
    }

    /// An engine that forgets everything when its last handle is dropped: for tests.
    ///
    /// # Errors
    /// If it is not called inside a Tokio runtime.
    pub fn in_memory(self) -> Result<Engine, EngineError> {
        self.start(Sqlite::in_memory()?, None)
    }

    fn start(self, mut store: Sqlite, file: Option<(PathBuf, File)>) -> Result<Engine, EngineError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            EngineError::Invalid(
                "an engine must be opened inside a Tokio runtime, such as `#[tokio::main]`".to_owned(),
            )
        })?;
        let urls = Urls::new(self.base_url.as_deref())?;
        let keys = match self.keys {
            Some(keys) => keys,
            None => stored_keys(&mut store)?,
        };
        let keys = Arc::new(RwLock::new(keys));
        let client = workflow::client::http_client_builder()
            .and_then(|builder| {
                builder
                    .connect_timeout(Duration::from_secs(10))
                    .build()
                    .map_err(|error| workflow::ClientError::Encoding(error.to_string()))
            })
            .map_err(|error| EngineError::Invalid(format!("the HTTP client cannot be set up: {error}")))?;
        let http = HttpSettings { client, keys: Arc::clone(&keys), timeout: self.delivery_timeout };

        // The writer hands out what is due before there is a dispatcher; it finds it here.
        let slot: Arc<std::sync::OnceLock<std::sync::Weak<Dispatcher>>> = Arc::default();
        let ready = Arc::clone(&slot);
        let (opened, wait_until_open) = std::sync::mpsc::sync_channel::<()>(0);
        let deliver = Box::new(move |outbox| {
            if ready.get().is_none() {
                // Until the sender is gone: the engine is being put together.
                let _ = wait_until_open.recv();
            }
            if let Some(dispatcher) = ready.get().and_then(std::sync::Weak::upgrade) {
                dispatcher.take(outbox);
            }
        });
        let (writer, thread) = Writer::start(Box::new(store), Arc::clone(&self.clock), deliver)?;
        let (readers, lock) = match file {
            Some((path, lock)) => (Readers::of_file(path), Some(lock)),
            None => (Readers::of_writer(writer.clone()), None),
        };
        let dispatcher = Dispatcher::new(writer.clone(), readers.clone(), self.clock, runtime, http);
        // Set once, here.
        let _ = slot.set(Arc::downgrade(&dispatcher));
        drop(opened);
        let inner = Inner {
            writer,
            thread: Mutex::new(Some(thread)),
            readers,
            dispatcher,
            urls,
            keys,
            lock: Mutex::new(lock),
        };
        Ok(Engine { inner: Arc::new(inner) })
    }
}

/// Takes the lock that keeps other processes out. It is a file of its own, so that SQLite tools can still read the database.
fn lock(path: &Path) -> Result<File, EngineError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |error: std::io::Error| StoreError {
        message: format!(
            "cannot open {}: {error}: does its folder exist, and may it be written?",
            path.display()
        ),
        fatal: true,
    };
    let file =
        File::options().create(true).truncate(false).write(true).open(PathBuf::from(name)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError {
            message: format!(
                "{} is open in another process: only one engine may use a file at a time. End the other one, or use another \
                 file",
                path.display()
            ),
            fatal: true,
        }
        .into()),
        Err(TryLockError::Error(error)) => Err(failed(error).into()),
    }
}

const KEYS_SETTING: &str = "signing_keys";

fn stored_keys(store: &mut Sqlite) -> Result<SigningKeys, StoreError> {
    use crate::store::Store;
    if let Some(keys) = store.setting(KEYS_SETTING)? {
        return Ok(serde_json::from_str(&keys)?);
    }
    let keys = SigningKeys::generate();
    store.begin()?;
    store.set_setting(KEYS_SETTING, &serde_json::to_string(&keys)?)?;
    store.commit()?;
    Ok(keys)
}

/// A request of an endpoint over HTTP to wait for an event (protocol, section B.5).
#[derive(Clone, Debug)]
pub struct WaitRequest {
    /// The waiting run.
    pub run_id: String,
    /// Headers of the request without credentials, for whoever lists the waiters.
    pub headers: HeaderLists,
    /// The body.
    pub body: WaitBody,
}

/// The body of a [`WaitRequest`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitBody {
    /// How long to wait at most: a duration such as `7d`.
    pub timeout: Option<String>,
    /// Headers for the delivery of the timeout.
    #[serde(default)]
    pub timeout_headers: HeaderLists,
    /// The step that waits.
    pub step: Step,
}

/// One entry of a run's history, as `GET /v2/workflows/runs/{id}` and deliveries show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The message that recorded it.
    pub message_id: String,
    /// Base64 of the payload (first entry), else of the step object.
    pub body: String,
    /// `step`.
    pub call_type: String,
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
        Builder {
            clock: Arc::new(SystemClock),
            base_url: None,
            keys: None,
            delivery_timeout: Duration::from_secs(2 * 3600),
        }
    }

    /// What adapters attach to.
    pub fn handle(&self) -> EngineHandle {
        EngineHandle::Embedded(Arc::new(self.clone()))
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
        let runs = triggers.into_iter().map(|trigger| self.start_run(trigger)).collect::<Result<_, _>>()?;
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

    fn start_run(&self, trigger: Trigger) -> Result<StartRun, EngineError> {
        let id = trigger.run_id.as_deref().map(run_id_of);
        if let Some(id) = &id {
            check_id("run id", id)?;
        }
        check_labels(&trigger.labels)?;
        if let Some(expression) = &trigger.retry_delay {
            retry::check(expression).map_err(EngineError::Invalid)?;
        }
        let url = self.inner.urls.resolve(&trigger.url)?;
        let mut headers = trigger.headers;
        for (name, value) in &headers {
            let name_is_good = http::HeaderName::try_from(name.as_str()).is_ok();
            if !name_is_good || http::HeaderValue::try_from(value.as_str()).is_err() {
                return Err(EngineError::Invalid(format!("`{name}: {value}` is not an HTTP header")));
            }
        }
        headers.retain(|(name, _)| !workflow::protocol::headers::is_engine_owned(name));
        let mut features = None;
        if !url.starts_with('/') {
            use workflow::protocol::headers as names;
            headers.push((names::WORKFLOW_SDK_VERSION.to_owned(), names::PROTOCOL_VERSION.to_owned()));
            features = Some(names::FEATURES.to_owned());
        }
        Ok(StartRun {
            id,
            url,
            payload: trigger.body,
            config: RunConfig {
                headers,
                content_type: trigger.content_type,
                retries: trigger.retries,
                retry_delay: trigger.retry_delay,
                labels: trigger.labels,
                features,
            },
            delay: trigger.delay,
            not_before: trigger.not_before.map(|seconds| seconds.saturating_mul(1000)),
        })
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
            run_id: notification.run_id,
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
        if step.step_type == StepType::WaitForWebhook {
            return Err(EngineError::Refused("webhooks are not supported by this engine yet".to_owned()));
        }
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
            headers: request.headers,
            timeout_headers,
        };
        self.inner.writer.submit(wait).await.map(drop)
    }

    /// Ends a run of an endpoint over HTTP: it has returned `output`, or is cancelled.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for an unknown run, and for the cancellation of one that has ended.
    pub async fn end_run(&self, run_id: &str, cancel: bool, output: Bytes) -> Result<(), EngineError> {
        let output = (!output.is_empty()).then(|| String::from_utf8_lossy(&output).into_owned());
        self.inner.writer.submit(EndRun { run_id: run_id.to_owned(), cancel, output }).await
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

    /// Lists runs, newest first.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a cursor that is none.
    pub async fn logs(&self, query: LogQuery) -> Result<LogPage, EngineError> {
        let query = LogQuery { filter: self.stored_filter(query.filter), ..query };
        let mut page = logs::list(&self.inner.readers, query).await?;
        for run in &mut page.runs {
            run.workflow_url = self.inner.urls.public(&run.workflow_url);
        }
        Ok(page)
    }

    fn stored_filter(&self, mut filter: RunFilter) -> RunFilter {
        filter.workflow_url = filter.workflow_url.map(|url| self.inner.urls.filter(&url));
        filter
    }

    /// The history of an active run.
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
        let keys = self.keys().rotated();
        self.inner.writer.submit(SetKeys(keys.clone())).await?;
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.clone();
        Ok(keys)
    }
}

/// Keeps the signing keys.
struct SetKeys(SigningKeys);

impl Command for SetKeys {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let keys = serde_json::to_string(&self.0).map_err(StoreError::from)?;
        Ok(tx.store.set_setting(KEYS_SETTING, &keys)?)
    }
}
