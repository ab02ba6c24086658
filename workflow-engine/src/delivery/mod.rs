//! Delivery: calling the workflows whose time has come.
//!
//! The store says what is due; nothing else is needed to recover. What is held here in memory is only which deliveries are
//! being made right now, so that none is made twice at once.

mod call;
pub mod failure;
mod flow_control;
mod http;
mod in_process;
mod load;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::{AbortHandle, Abortable};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
};
use workflow::{FlowControl, client::GlobalParallelism, engine::App};

use self::{
    failure::Failed,
    flow_control::{Entered, Permit, Waiting},
    in_process::Snapshot,
    load::{Load, load},
};
pub use self::{
    flow_control::Gates,
    http::{HttpSettings, encode_history},
};
use crate::{
    clock::Clock,
    command::{Due, Outbox},
    error::EngineError,
    readers::Readers,
    store::{DeliveryKind, Reader, RunKey},
    urls::Urls,
    webhook::WebhookBase,
    writer::Writer,
};

/// At most this many handlers of this process run at once; the others wait their turn.
const MAX_ACTIVE: usize = 4096;

/// How long a shutdown waits for handlers that it has stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// What a dispatcher works with.
pub struct Parts {
    /// Takes what comes of deliveries.
    pub writer: Writer,
    /// Read what is to be delivered.
    pub readers: Readers,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Runs deliveries.
    pub runtime: Handle,
    /// How endpoints over HTTP are called.
    pub http: HttpSettings,
    /// Which workflows this process serves.
    pub urls: Urls,
    /// Where webhooks of this process are reached.
    pub webhooks: Option<WebhookBase>,
    /// Where those wait who share limits.
    pub gates: Gates,
}

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
    /// Who shares limits waits here before it takes a turn of anybody else.
    gates: Gates,
    state: Mutex<State>,
    draining: AtomicBool,
    /// Told whenever a delivery ends.
    ended: Notify,
}

#[derive(Default)]
struct State {
    /// Ids of deliveries that are waiting for their turn or being made.
    taken: HashSet<i64>,
    /// Deliveries to this process that wait for their turn, or for an app. Those with a permit have been through their gate.
    waiting: VecDeque<(Due, Option<Permit>)>,
    /// Deliveries to this process that are being made.
    active: usize,
    /// The delivery to this process that is being made for a run, and how to stop its handler once that runs.
    handlers: HashMap<RunKey, (i64, Option<AbortHandle>)>,
    /// The requests that are being made for a run, and how to break them off.
    calls: HashMap<RunKey, Vec<(i64, AbortHandle)>>,
    /// How many requests may be open to one origin.
    origins: HashMap<String, Arc<Semaphore>>,
}

impl State {
    /// Breaks off the requests of runs that have ended.
    fn break_off(&mut self, ended: &[RunKey]) {
        if self.calls.is_empty() {
            return;
        }
        for (_, call) in ended.iter().filter_map(|run| self.calls.remove(run)).flatten() {
            call.abort();
        }
    }

    /// Stops the handlers of runs that were ended from outside, and forgets deliveries of them that wait for their turn.
    fn stop(&mut self, ended: Vec<RunKey>) {
        for run in &ended {
            // A delivery whose handler does not run yet is not begun without its entry.
            if let Some((_, Some(handler))) = self.handlers.remove(run) {
                handler.abort();
            }
        }
        if !ended.is_empty() && !self.waiting.is_empty() {
            let ended: HashSet<RunKey> = ended.into_iter().collect();
            let (over, waiting) = self.waiting.drain(..).partition(|(due, _)| ended.contains(&due.run));
            self.waiting = waiting;
            for (due, _) in Vec::from(over) {
                self.taken.remove(&due.id);
            }
        }
    }
}

impl Dispatcher {
    /// A dispatcher that has not been given anything to deliver yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { writer, readers, clock, runtime, http, urls, webhooks, gates } = parts;
        Arc::new(Self {
            writer,
            readers,
            clock,
            runtime,
            http,
            urls,
            webhooks,
            app: RwLock::default(),
            gates,
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
        for (key, pinned) in outbox.pinned {
            self.gates.pin(&key, pinned);
        }
        if outbox.due.is_empty() && outbox.ended.is_empty() && outbox.stopped.is_empty() {
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
                    state.waiting.push_back((due, None));
                } else {
                    elsewhere.push(due);
                }
            }
            for over in [&outbox.ended, &outbox.stopped] {
                self.gates.forget(over);
            }
            state.break_off(&outbox.ended);
            state.stop(outbox.stopped);
        }
        if !self.is_draining() {
            for due in elsewhere {
                match due.kind {
                    DeliveryKind::Run => drop(self.runtime.spawn(http::deliver(Arc::clone(self), due))),
                    DeliveryKind::Call => self.call(due),
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
        self.gates.close();
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

    /// The gates of flow control.
    pub fn gates(&self) -> &Gates {
        &self.gates
    }

    /// How many deliveries to this process are being made, and may be.
    pub fn parallelism(&self) -> GlobalParallelism {
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        GlobalParallelism {
            parallelism_max: count(MAX_ACTIVE),
            parallelism_count: count(self.state().active),
        }
    }

    /// Waits until a delivery elsewhere may begin under these limits; at once where there are none. To be called before the
    /// delivery holds anything that others wait for; the permit is to be kept until the delivery is answered. `None`: its run has
    /// ended, or nobody is to be told of its failure any more, or the engine ends, and the delivery must not be made.
    async fn permit(&self, limits: Option<&FlowControl>, due: &Due) -> Result<Option<Permit>, EngineError> {
        let Some(limits) = limits else { return Ok(Some(Permit::unlimited())) };
        let waiting = match self.gates.enter(limits, due) {
            Entered::Now(permit) => return Ok(Some(permit)),
            Entered::Later(waiting) => waiting,
        };
        // A run that had ended before it was on the list was not taken from it.
        let (run, kind) = (due.run, due.kind);
        let wanted = move |reader: &dyn Reader| match kind {
            DeliveryKind::Failure => failure::is_to_be_told(reader, run),
            _ => Ok(reader.run(run)?.is_some_and(|run| run.is_active())),
        };
        if !self.readers.read(wanted).await? {
            return Ok(None);
        }
        Ok(waiting.permit().await)
    }

    /// Makes a request for a run, unless that ends before it is answered.
    fn call(self: &Arc<Self>, due: Due) {
        let (id, run) = (due.id, due.run);
        let (call, registration) = AbortHandle::new_pair();
        self.state().calls.entry(run).or_default().push((id, call));
        let dispatcher = Arc::clone(self);
        self.runtime.spawn(async move {
            let made = Abortable::new(call::make(Arc::clone(&dispatcher), due), registration).await;
            let mut state = dispatcher.state();
            if made.is_err() {
                state.taken.remove(&id);
            }
            if let Some(calls) = state.calls.get_mut(&run) {
                calls.retain(|(call, _)| *call != id);
                if calls.is_empty() {
                    state.calls.remove(&run);
                }
            }
        });
    }

    /// Starts as many waiting deliveries to this process as may be active.
    fn pump(self: &Arc<Self>) {
        let Some(app) = self.app() else { return };
        // Again, where some had to wait at their gate instead and have given back their turn.
        while !self.is_draining() {
            let turn: Vec<(Due, Option<Permit>)> = {
                let mut state = self.state();
                let free = MAX_ACTIVE.saturating_sub(state.active).min(state.waiting.len());
                state.active += free;
                let State { waiting, handlers, .. } = &mut *state;
                let turn = waiting.drain(..free);
                turn.inspect(|(due, _)| drop(handlers.insert(due.run, (due.id, None)))).collect()
            };
            if turn.is_empty() {
                return;
            }
            let (mut runs, mut failures) = (Vec::new(), Vec::new());
            for (mut due, permit) in turn {
                match due.fresh.take() {
                    Some(fresh) => {
                        let (run, payload) = *fresh;
                        self.start(&app, due, permit, Snapshot::fresh(run, payload));
                    }
                    None if due.kind == DeliveryKind::Failure => failures.push((due, permit)),
                    None => runs.push((due, permit)),
                }
            }
            load::<Snapshot>(self, &app, runs);
            load::<Failed>(self, &app, failures);
        }
    }

    /// Starts one delivery to this process, unless its run has ended since its turn came, or it has to wait at its gate. Its
    /// handler is registered in the same moment.
    fn start(self: &Arc<Self>, app: &Arc<dyn App>, due: Due, mut permit: Option<Permit>, loaded: impl Load) {
        let (id, run) = (due.id, due.run);
        // Held until the handler is registered, so that whoever ends the run finds it.
        let mut state = self.state();
        if self.is_draining() || state.handlers.get(&run).is_none_or(|(held, _)| *held != id) {
            drop(state);
            return self.ended_in_process(id, run);
        }
        if permit.is_none()
            && let Some(limits) = loaded.limits()
        {
            match self.gates.enter(limits, &due) {
                Entered::Now(granted) => permit = Some(granted),
                Entered::Later(waiting) => {
                    state.active = state.active.saturating_sub(1);
                    state.handlers.remove(&run);
                    drop(state);
                    self.ended.notify_waiters();
                    self.runtime.spawn(Arc::clone(self).wait_at_gate(due, waiting));
                    return;
                }
            }
        }
        let delivery = loaded.deliver(Arc::clone(self), Arc::clone(app), due);
        let (handler, registration) = AbortHandle::new_pair();
        let turn = in_process::Turn::new(Arc::clone(self), id, run, permit);
        state.handlers.insert(run, (id, Some(handler)));
        drop(state);
        self.runtime.spawn(async move {
            let _turn = turn;
            // Where it is aborted, here or before it began, the turn is given back all the same.
            let _ = Abortable::new(delivery, registration).await;
        });
    }

    /// Waits until a delivery to this process has a permit, and then for its turn. It holds nothing meanwhile.
    async fn wait_at_gate(self: Arc<Self>, due: Due, waiting: Waiting) {
        match waiting.permit().await {
            Some(permit) => {
                self.state().waiting.push_back((due, Some(permit)));
                self.pump();
            }
            None => drop(self.state().taken.remove(&due.id)),
        }
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
