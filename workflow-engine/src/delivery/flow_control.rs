//! Flow control: deliveries that share a key begin only as fast, and run only as many at once, as its limits allow (protocol,
//! section D.7).
//!
//! Each key has a gate. Whoever wants to begin enters with the limits that it knows, gets a [`Permit`] or its place in the
//! gate's wait list, and lets go of the permit at its end. Counts live in memory only: what waits is still due in the store, and
//! asks again after a restart. What was pinned or paused by hand comes from the store.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::AbortHandle,
};
use workflow::{FlowControl, client::FlowControlInfo};

use crate::{
    clock::Clock,
    command::Due,
    store::{Pinned, RunKey},
};

/// Once this many gates are there, and whenever they have doubled, those that nobody needs are forgotten.
const MANY_GATES: usize = 1024;

/// The gates of all keys. Clones are the same gates.
#[derive(Clone)]
pub struct Gates(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    runtime: Handle,
    /// Told when the clock was moved by hand.
    moved: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gates: HashMap<Arc<str>, Gate>,
    /// The places of a run in wait lists.
    places: HashMap<RunKey, Vec<Place>>,
    /// How many gates were left when they were looked through last.
    left: usize,
    closed: bool,
}

/// The key, and the id of the delivery that waits.
type Place = (Arc<str>, i64);

#[derive(Default)]
struct Gate {
    limits: Limits,
    pinned: Pinned,
    in_flight: u32,
    /// When the period began of which `begun` counts, in milliseconds since the Unix epoch.
    period_start: i64,
    begun: u32,
    /// By the id of the delivery: in the order in which they were scheduled, also after a restart.
    waiting: BTreeMap<i64, Waiter>,
    /// When the gate is looked at again because a period ends, and by whom.
    timer: Option<(i64, AbortHandle)>,
}

/// The limits of whoever entered last.
#[derive(Clone, Copy, Default)]
struct Limits {
    parallelism: Option<u32>,
    rate: Option<u32>,
    /// In milliseconds.
    period: i64,
}

struct Waiter {
    run: RunKey,
    permit: oneshot::Sender<Permit>,
}

/// The right to be under way. Dropping it lets the next one begin.
pub struct Permit(Option<(Weak<Inner>, Arc<str>)>);

impl Permit {
    /// That of a delivery that has no limits.
    pub fn unlimited() -> Self {
        Self(None)
    }
}

/// What comes of entering a gate.
pub enum Entered {
    /// It may begin.
    Now(Permit),
    /// It has to wait.
    Later(Waiting),
}

/// A place in a wait list. Dropping it leaves the list.
pub struct Waiting {
    gates: Weak<Inner>,
    run: RunKey,
    place: Place,
    permit: oneshot::Receiver<Permit>,
}

impl Gates {
    /// The gates of an engine, with what was pinned or paused by hand.
    pub fn new(clock: Arc<dyn Clock>, runtime: Handle, pinned: Vec<(String, Pinned)>) -> Self {
        let moved = Arc::new(Notify::new());
        let told = Arc::clone(&moved);
        clock.on_move(Box::new(move || told.notify_waiters()));
        let mut state = State::default();
        for (key, pinned) in pinned {
            state.gates.entry(key.into()).or_default().pinned = pinned;
        }
        Self(Arc::new(Inner { clock, runtime, moved, state: Mutex::new(state) }))
    }

    /// Asks for a permit, or for a place in the wait list.
    pub fn enter(&self, limits: &FlowControl, due: &Due) -> Entered {
        let (run, id) = (due.run, due.id);
        let key: Arc<str> = limits.key.as_str().into();
        let (sender, mut permit) = oneshot::channel();
        let now = self.0.clock.now();
        let granted = {
            let mut state = self.0.state();
            state.forget_idle(now);
            if !state.closed {
                let gate = state.gates.entry(Arc::clone(&key)).or_default();
                gate.limits = Limits::of(limits);
                gate.waiting.insert(id, Waiter { run, permit: sender });
                state.places.entry(run).or_default().push((Arc::clone(&key), id));
            }
            self.0.open(&mut state, &key, now)
        };
        self.0.grant(granted);
        match permit.try_recv() {
            Ok(permit) => Entered::Now(permit),
            Err(_) => {
                Entered::Later(Waiting { gates: Arc::downgrade(&self.0), run, place: (key, id), permit })
            }
        }
    }

    /// Takes runs that have ended from the wait lists.
    pub fn forget(&self, ended: &[RunKey]) {
        if ended.is_empty() {
            return;
        }
        let mut state = self.0.state();
        if state.places.is_empty() {
            return;
        }
        for run in ended {
            for (key, id) in state.places.remove(run).unwrap_or_default() {
                state.gates.get_mut(&key).and_then(|gate| gate.waiting.remove(&id));
            }
        }
    }

    /// Lets nobody begin any more.
    pub fn close(&self) {
        let mut state = self.0.state();
        state.closed = true;
        state.places.clear();
        for gate in state.gates.values_mut() {
            gate.waiting.clear();
        }
    }

    /// Sets what was pinned or paused by hand.
    pub fn pin(&self, key: &str, pinned: Pinned) {
        self.0.change(key, |gate, _| gate.pinned = pinned);
    }

    /// Begins the period of the rate anew.
    pub fn reset_rate(&self, key: &str) {
        self.0.change(key, |gate, now| (gate.period_start, gate.begun) = (now, 0));
    }

    /// What there is to know of all keys, in their order.
    pub fn list(&self) -> Vec<FlowControlInfo> {
        let now = self.0.clock.now();
        let mut all: Vec<_> = self.0.state().gates.iter().map(|(key, gate)| gate.info(key, now)).collect();
        all.sort_by(|one, other| one.flow_control_key.cmp(&other.flow_control_key));
        all
    }

    /// What there is to know of a key. One that nobody uses has no limits.
    pub fn info(&self, key: &str) -> FlowControlInfo {
        let now = self.0.clock.now();
        self.0.state().gates.get(key).unwrap_or(&Gate::default()).info(key, now)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a gate, and lets begin whoever may then.
    fn change(self: &Arc<Self>, key: &str, change: impl FnOnce(&mut Gate, i64)) {
        let now = self.clock.now();
        let key: Arc<str> = key.into();
        let granted = {
            let mut state = self.state();
            change(state.gates.entry(Arc::clone(&key)).or_default(), now);
            self.open(&mut state, &key, now)
        };
        self.grant(granted);
    }

    /// Takes from a gate's wait list whoever may begin now, and sees to it that the gate is looked at again when its period ends.
    fn open(self: &Arc<Self>, state: &mut State, key: &Arc<str>, now: i64) -> Vec<(Waiter, Permit)> {
        let mut granted = Vec::new();
        let State { gates, places, .. } = state;
        let Some(gate) = gates.get_mut(key) else { return granted };
        while gate.may_begin(now)
            && let Some((id, waiter)) = gate.waiting.pop_first()
        {
            leave(places, waiter.run, key, id);
            gate.begin(now);
            granted.push((waiter, Permit(Some((Arc::downgrade(self), Arc::clone(key))))));
        }
        match gate.opens_at(now) {
            Some(at) if gate.timer.as_ref().is_some_and(|(set, _)| *set == at) => {}
            Some(at) => {
                gate.stop_timer();
                let clock = Arc::clone(&self.clock);
                let (gates, moved) = (Arc::downgrade(self), Arc::clone(&self.moved));
                let timer = self.runtime.spawn(look_again(gates, clock, moved, Arc::clone(key), at));
                gate.timer = Some((at, timer.abort_handle()));
            }
            None => gate.stop_timer(),
        }
        granted
    }

    /// Hands out permits, outside of the lock: one that nobody takes any more is given back at once.
    fn grant(&self, granted: Vec<(Waiter, Permit)>) {
        for (waiter, permit) in granted {
            let _ = waiter.permit.send(permit);
        }
    }
}

/// Opens a gate when its period is over.
async fn look_again(gates: Weak<Inner>, clock: Arc<dyn Clock>, moved: Arc<Notify>, key: Arc<str>, at: i64) {
    loop {
        let mut moved = std::pin::pin!(moved.notified());
        moved.as_mut().enable();
        match clock.until(at) {
            Some(Duration::ZERO) => break,
            // Whichever comes first.
            Some(patience) => drop(tokio::time::timeout(patience, moved).await),
            None => moved.await,
        }
    }
    if let Some(gates) = gates.upgrade() {
        gates.change(&key, |gate, _| gate.timer = None);
    }
}

fn leave(places: &mut HashMap<RunKey, Vec<Place>>, run: RunKey, key: &str, id: i64) {
    if let Some(of_run) = places.get_mut(&run) {
        of_run.retain(|(other, number)| (&**other, *number) != (key, id));
        if of_run.is_empty() {
            places.remove(&run);
        }
    }
}

impl State {
    fn forget_idle(&mut self, now: i64) {
        if self.gates.len() >= MANY_GATES.max(self.left * 2) {
            self.gates.retain(|_, gate| !gate.is_idle(now));
            self.left = self.gates.len();
        }
    }
}

impl Limits {
    fn of(limits: &FlowControl) -> Self {
        let period = i64::try_from(limits.rate_period().as_millis()).unwrap_or(i64::MAX);
        Self { parallelism: limits.parallelism, rate: limits.rate, period }
    }
}

impl Gate {
    /// The limits that count: what is pinned comes before what was asked for.
    fn effective(&self) -> Limits {
        let parallelism = self.pinned.parallelism.or(self.limits.parallelism);
        match self.pinned.rate {
            Some(rate) => Limits { parallelism, rate: Some(rate), period: self.pinned.period },
            None => Limits { parallelism, ..self.limits },
        }
    }

    /// Whether the last period goes on. It ends in time, and by a clock that was set back.
    fn is_in_period(&self, now: i64) -> bool {
        (self.period_start..self.period_start.saturating_add(self.effective().period)).contains(&now)
    }

    /// How many have begun in the period that `now` is in.
    fn begun(&self, now: i64) -> u32 {
        if self.is_in_period(now) { self.begun } else { 0 }
    }

    fn is_full(&self) -> bool {
        self.pinned.paused || self.effective().parallelism.is_some_and(|limit| self.in_flight >= limit)
    }

    fn may_begin(&self, now: i64) -> bool {
        !self.is_full() && self.effective().rate.is_none_or(|limit| self.begun(now) < limit)
    }

    /// When the end of the period lets somebody begin, if that is what they wait for.
    fn opens_at(&self, now: i64) -> Option<i64> {
        let waits_for_it = !self.waiting.is_empty() && !self.is_full() && !self.may_begin(now);
        waits_for_it.then(|| self.period_start.saturating_add(self.effective().period))
    }

    fn begin(&mut self, now: i64) {
        self.in_flight = self.in_flight.saturating_add(1);
        if !self.is_in_period(now) {
            (self.period_start, self.begun) = (now, 0);
        }
        self.begun = self.begun.saturating_add(1);
    }

    fn is_idle(&self, now: i64) -> bool {
        let is_unused = self.in_flight == 0 && self.waiting.is_empty() && self.begun(now) == 0;
        is_unused && self.pinned == Pinned::default()
    }

    fn stop_timer(&mut self) {
        if let Some((_, timer)) = self.timer.take() {
            timer.abort();
        }
    }

    fn info(&self, key: &str, now: i64) -> FlowControlInfo {
        let limits = self.effective();
        FlowControlInfo {
            flow_control_key: key.to_owned(),
            wait_list_size: self.waiting.len() as u64,
            parallelism_max: limits.parallelism.unwrap_or(0),
            parallelism_count: self.in_flight,
            rate_max: limits.rate.unwrap_or(0),
            rate_count: self.begun(now),
            rate_period: u64::try_from(limits.period / 1000).unwrap_or(0),
            rate_period_start: if self.is_in_period(now) { self.period_start.div_euclid(1000) } else { 0 },
            is_paused: self.pinned.paused,
            is_pinned_parallelism: self.pinned.parallelism.is_some(),
            is_pinned_rate: self.pinned.rate.is_some(),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop_timer();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some((gates, key)) = self.0.take() else { return };
        if let Some(gates) = gates.upgrade() {
            gates.change(&key, |gate, _| gate.in_flight = gate.in_flight.saturating_sub(1));
        }
    }
}

impl Waiting {
    /// Waits for the permit. `None`: the run has ended, or the engine ends.
    pub async fn permit(mut self) -> Option<Permit> {
        (&mut self.permit).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(gates) = self.gates.upgrade() else { return };
        let (key, id) = &self.place;
        let mut state = gates.state();
        let left = state.gates.get_mut(key).and_then(|gate| gate.waiting.remove(id));
        leave(&mut state.places, self.run, key, *id);
        // A permit that has just been granted goes back when the receiver drops it, after this lock.
        drop(state);
        drop(left);
    }
}
