//! Opening an engine: its settings, the lock on its file, and how its parts are put together.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use crate::{
    clock::{Clock, SystemClock},
    command::KEPT,
    delivery::{Dispatcher, Gates, HttpSettings, Parts},
    engine::{Engine, Inner},
    error::EngineError,
    keys::{self, SigningKeys},
    readers::Readers,
    store::{Sqlite, Store as _, StoreError},
    urls::Urls,
    webhook::WebhookBase,
    writer::Writer,
};

/// Settings of an engine that is to be opened.
pub struct Builder {
    clock: Arc<dyn Clock>,
    base_url: Option<String>,
    keys: Option<SigningKeys>,
    delivery_timeout: Duration,
    webhooks: Option<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            base_url: None,
            keys: None,
            delivery_timeout: Duration::from_secs(2 * 3600),
            webhooks: None,
        }
    }
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

    /// The public address below which webhooks of this process are reached from outside, such as `https://shop.example/hooks`:
    /// that of a route of the app that hands requests to [`Engine::call_webhook`]. Without it workflows of this process cannot
    /// make webhooks.
    pub fn webhooks_at(mut self, url: impl Into<String>) -> Self {
        self.webhooks = Some(url.into());
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
        let webhooks = self.webhooks.as_deref().map(WebhookBase::new).transpose()?;
        call_kept_runs(&mut store, self.clock.now())?;
        let keys = match self.keys {
            Some(keys) => keys,
            None => keys::stored(&mut store)?,
        };
        let keys = Arc::new(RwLock::new(keys));
        let gates = Gates::new(Arc::clone(&self.clock), runtime.clone(), store.all_pinned()?);
        let client = workflow::client::http_client_builder()
            .and_then(|builder| {
                builder
                    .connect_timeout(Duration::from_secs(10))
                    .build()
                    .map_err(|error| workflow::ClientError::Encoding(error.to_string()))
            })
            .map_err(|error| EngineError::Invalid(format!("the HTTP client cannot be set up: {error}")))?;
        let http = HttpSettings {
            client,
            keys: Arc::clone(&keys),
            timeout: self.delivery_timeout,
            urls: urls.clone(),
        };

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
        let dispatcher = Dispatcher::new(Parts {
            writer: writer.clone(),
            readers: readers.clone(),
            clock: self.clock,
            runtime,
            http,
            urls: urls.clone(),
            webhooks: webhooks.clone(),
            gates,
        });
        // Set once, here.
        let _ = slot.set(Arc::downgrade(&dispatcher));
        drop(opened);
        let inner = Inner {
            writer,
            thread: Mutex::new(Some(thread)),
            readers,
            dispatcher,
            urls,
            webhooks,
            keys,
            lock: Mutex::new(lock),
        };
        Ok(Engine::of(inner))
    }
}

/// A start may be the deploy that heals the runs which the code did not fit: they are not made to wait.
fn call_kept_runs(store: &mut Sqlite, now: i64) -> Result<(), StoreError> {
    store.begin()?;
    store.hurry(KEPT, now)?;
    store.commit()
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
