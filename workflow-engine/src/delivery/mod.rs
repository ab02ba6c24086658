//! Delivery: calling the workflows whose time has come.
//!
//! The store says what is due; nothing else is needed to recover. What is held here in memory is only which deliveries are
//! being made right now, so that none is made twice at once.

mod call;
pub mod failure;
mod http;
mod in_process;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    task::AbortHandle,
};
use workflow::engine::App;

pub use self::http::{HttpSettings, encode_history};
use crate::{
    clock::Clock,
    command::{Due, Outbox},
    readers::Readers,
    store::{DeliveryKind, RunKey},
    urls::Urls,
    webhook::WebhookBase,
    writer::Writer,
};

/// At most this many handlers of this process run at once; the others wait their turn.
const MAX_ACTIVE: usize = 4096;

/// Runs whose history has to be read are read in groups of this size.
const LOAD_GROUP: usize = 32;

/// How long a shutdown waits for handlers that it has stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Makes deliveries.
pub struct Dispatcher {
    writer: Writer,
    readers: Readers,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    http: HttpSettings,
    urls: Urls,
    /// Where webhooks of this process are reached.
    webhooks: Option<WebhookBase>,
    app: RwLock<Option<Arc<dyn App>>>,
    state: Mutex<State>,
    draining: AtomicBool,
    /// Told whenever a delivery ends.
    ended: Notify,
}

#[derive(Default)]
struct State {
    /// Ids of deliveries that are waiting for their turn or being made.
    taken: HashSet<i64>,
    /// Deliveries to this process that wait for their turn, or for an app.
    waiting: VecDeque<Due>,
    /// Deliveries to this process that are being made.
    active: usize,
    /// The delivery to this process that is being made for a run, and how to stop its handler once that runs.
    handlers: HashMap<RunKey, (i64, Option<AbortHandle>)>,
    /// How many requests may be open to one origin.
    origins: HashMap<String, Arc<Semaphore>>,
}

impl State {
    /// Stops the handlers of runs that have ended, and forgets deliveries of them that wait for their turn.
    fn stop(&mut self, ended: Vec<RunKey>) {
        for run in &ended {
            // A delivery whose handler does not run yet is not begun without its entry.
            if let Some((_, Some(handler))) = self.handlers.remove(run) {
                handler.abort();
            }
        }
        if !ended.is_empty() && !self.waiting.is_empty() {
            let ended: HashSet<RunKey> = ended.into_iter().collect();
            let (over, waiting) = self.waiting.drain(..).partition(|due| ended.contains(&due.run));
            self.waiting = waiting;
            for due in Vec::from(over) {
                self.taken.remove(&due.id);
            }
        }
    }
}

impl Dispatcher {
    /// A dispatcher that has not been given anything to deliver yet.
    pub fn new(
        writer: Writer,
        readers: Readers,
        clock: Arc<dyn Clock>,
        runtime: Handle,
        http: HttpSettings,
        urls: Urls,
        webhooks: Option<WebhookBase>,
    ) -> Arc<Self> {
        Arc::new(Self {
            writer,
            readers,
            clock,
            runtime,
            http,
            urls,
            webhooks,
            app: RwLock::default(),
            state: Mutex::default(),
            draining: AtomicBool::new(false),
            ended: Notify::new(),
        })
    }

    /// Sets the app of this process and delivers what has been waiting for it.
    pub fn attach(self: &Arc<Self>, app: Arc<dyn App>) {
        *self.app.write().unwrap_or_else(PoisonError::into_inner) = Some(app);
        self.pump();
    }

    /// Takes what a transaction has left to do.
    pub fn take(self: &Arc<Self>, outbox: Outbox) {
        if outbox.due.is_empty() && outbox.ended.is_empty() {
            return;
        }
        let mut elsewhere = Vec::new();
        {
            let mut state = self.state();
            for due in outbox.due {
                if !state.taken.insert(due.id) {
                    continue;
                }
                if due.position == 0 && matches!(due.kind, DeliveryKind::Run | DeliveryKind::Failure) {
                    state.waiting.push_back(due);
                } else {
                    elsewhere.push(due);
                }
            }
            state.stop(outbox.ended);
        }
        if !self.is_draining() {
            for due in elsewhere {
                match due.kind {
                    DeliveryKind::Run => drop(self.runtime.spawn(http::deliver(Arc::clone(self), due))),
                    DeliveryKind::Call => drop(self.runtime.spawn(call::make(Arc::clone(self), due))),
                    DeliveryKind::CallResult => drop(self.runtime.spawn(call::tell(Arc::clone(self), due))),
                    DeliveryKind::Failure => {
                        drop(self.runtime.spawn(failure::over_http(Arc::clone(self), due)));
                    }
                }
            }
        }
        self.pump();
    }

    /// Lets running handlers end at their next step, for at most `patience`; then stops them and lets go of the app. The store
    /// keeps what is left.
    pub async fn drain(&self, patience: Duration) {
        self.draining.store(true, Ordering::Release);
        if tokio::time::timeout(patience, self.all_ended()).await.is_err() {
            for (_, (_, handler)) in self.state().handlers.drain() {
                if let Some(handler) = handler {
                    handler.abort();
                }
            }
            // They end where they wait next. One that blocks its thread cannot be stopped, nor waited for.
            let _ = tokio::time::timeout(STOP_PATIENCE, self.all_ended()).await;
        }
        // The app holds the engine, and the engine the app: one of them has to let go.
        *self.app.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until no delivery to this process is being made.
    async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.state().active == 0 {
                return;
            }
            ended.await;
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn app(&self) -> Option<Arc<dyn App>> {
        self.app.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts as many waiting deliveries to this process as may be active.
    fn pump(self: &Arc<Self>) {
        let Some(app) = self.app() else { return };
        if self.is_draining() {
            return;
        }
        let turn: Vec<Due> = {
            let mut state = self.state();
            let free = MAX_ACTIVE.saturating_sub(state.active).min(state.waiting.len());
            state.active += free;
            let State { waiting, handlers, .. } = &mut *state;
            waiting.drain(..free).inspect(|due| drop(handlers.insert(due.run, (due.id, None)))).collect()
        };
        let mut to_load = Vec::new();
        for mut due in turn {
            if due.kind == DeliveryKind::Failure {
                let (id, run) = (due.id, due.run);
                self.begin(id, run, failure::in_process(Arc::clone(self), Arc::clone(&app), due));
                continue;
            }
            match due.fresh.take() {
                Some(fresh) => {
                    let (run, payload) = *fresh;
                    self.start(&app, due, in_process::Snapshot::fresh(run, payload));
                }
                None => to_load.push(due),
            }
        }
        while !to_load.is_empty() {
            let group = to_load.split_off(to_load.len().saturating_sub(LOAD_GROUP));
            self.runtime.spawn(in_process::load(Arc::clone(self), Arc::clone(&app), group));
        }
    }

    /// Starts one delivery to this process, unless its run has ended since its turn came.
    fn start(self: &Arc<Self>, app: &Arc<dyn App>, due: Due, snapshot: in_process::Snapshot) {
        let (id, run) = (due.id, due.run);
        self.begin(id, run, in_process::deliver(Arc::clone(self), Arc::clone(app), due, snapshot));
    }

    fn begin(
        self: &Arc<Self>,
        id: i64,
        run: RunKey,
        delivery: impl std::future::Future<Output = ()> + Send + 'static,
    ) {
        // Held until the handler is registered, so that a handler that ends at once is not registered after its end.
        let mut state = self.state();
        if self.is_draining() || state.handlers.get(&run).is_none_or(|(held, _)| *held != id) {
            drop(state);
            return self.ended_in_process(id, run);
        }
        let task = self.runtime.spawn(delivery);
        state.handlers.insert(run, (id, Some(task.abort_handle())));
    }

    /// Forgets a delivery to this process that has ended, and lets the next one have its turn.
    fn ended_in_process(self: &Arc<Self>, id: i64, run: RunKey) {
        {
            let mut state = self.state();
            state.taken.remove(&id);
            state.active = state.active.saturating_sub(1);
            if state.handlers.get(&run).is_some_and(|(handler, _)| *handler == id) {
                state.handlers.remove(&run);
            }
        }
        self.ended.notify_waiters();
        self.pump();
    }

    /// Makes a delivery again that could not be settled because the store failed.
    fn again(self: &Arc<Self>, due: Due) {
        let dispatcher = Arc::clone(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            dispatcher.take(Outbox { due: vec![due], ..Outbox::default() });
        });
    }
}
