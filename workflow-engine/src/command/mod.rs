//! The rules: what each command means. They are written once, against [`Store`], and know nothing of SQL, threads or HTTP.
//!
//! A command runs on the writer thread inside a transaction, so what it reads stays true until it is committed: checking for a
//! stored notification and registering the waiter is one command, and so is taking a waiter and appending its result.

mod call;
mod callback;
mod dead_letters;
mod end;
mod event;
mod failure;
mod invoke;
mod pin;
mod step;
mod submission;
mod trigger;
mod waiting;
mod webhook;

pub use self::{
    call::{BeginCall, CallAnswer, CallMade, CallTold},
    callback::{CallbackAnswered, CallbackOutcome, CancelCallback, RetryCallback},
    dead_letters::{ConfigChanges, DeleteLetters, Revive},
    end::{Cancel, CancelOwn, EndRun},
    event::{Notify, NotifyReply, NotifyStep, Wait, public as public_waiter},
    failure::{AttemptFailed, DeliveryFailed, KEPT, Verdict},
    invoke::Invoke,
    pin::ChangeFlowControl,
    step::{BeginSleep, Complete, Park, RecordStep, Recorded},
    submission::{Delivered, Published, Submission, Submit},
    trigger::{StartRun, TriggerRuns},
    waiting::WaitFor,
    webhook::CallWebhook,
};
use crate::{
    error::EngineError,
    store::{Delivery, DeliveryKind, LastIds, Pinned, Run, RunKey, Store, StoreError},
};

/// At most this many waits time out in one transaction.
const TIMEOUTS_PER_BATCH: u32 = 1000;

/// One change of state.
pub trait Command: Send + 'static {
    /// What it answers.
    type Reply: Send + 'static;

    /// About how many bytes it writes, where that may be many.
    fn size(&self) -> usize {
        0
    }

    /// Applies it. It must not write anything before it is sure not to refuse: a refusal leaves the others of its batch alone.
    fn apply(self, tx: &mut Transaction<'_>) -> Result<Self::Reply, EngineError>;
}

/// What a command works on.
pub struct Transaction<'a> {
    /// The store, inside a transaction.
    pub store: &'a mut dyn Store,
    /// The time of this batch, in milliseconds since the Unix epoch.
    pub now: i64,
    /// Ids not used yet.
    pub ids: &'a mut Ids,
    /// What is to be done once the transaction is durable.
    pub outbox: &'a mut Outbox,
}

/// The next ids. They are counted here and not by the store, so that no id comes again while the engine runs: a delivery that
/// is still being made is told from its successor by its id.
#[derive(Debug, Default)]
pub struct Ids {
    delivery: i64,
    waiter: i64,
}

impl Ids {
    /// Ids after those in use.
    pub fn after(last: LastIds) -> Self {
        Self { delivery: last.delivery, waiter: last.waiter }
    }

    fn next_delivery(&mut self) -> i64 {
        self.delivery += 1;
        self.delivery
    }

    fn next_waiter(&mut self) -> i64 {
        self.waiter += 1;
        self.waiter
    }
}

/// What is to be done once a transaction is durable.
#[derive(Default)]
pub struct Outbox {
    /// Deliveries that are due.
    pub due: Vec<Due>,
    /// Runs that have ended.
    pub ended: Vec<RunKey>,
    /// Runs whose handlers have to stop: they were ended from outside, or nobody is to be told of their failure any more.
    pub stopped: Vec<RunKey>,
    /// Flow-control keys for which something was pinned or paused by hand.
    pub pinned: Vec<(String, Pinned)>,
    /// The earliest time at which something that was written falls due.
    pub next_due: Option<i64>,
}

/// A delivery that is due.
pub struct Due {
    /// Its id.
    pub id: i64,
    /// What it is.
    pub kind: DeliveryKind,
    /// The run.
    pub run: RunKey,
    /// The history entry to be delivered; 0 for a run of this process.
    pub position: i64,
    /// Failed attempts so far.
    pub attempt: u32,
    /// The run and its payload, where it has just been triggered and there is nothing else to know.
    pub fresh: Option<Box<(Run, bytes::Bytes)>>,
}

impl From<Delivery> for Due {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id,
            kind: delivery.kind,
            run: delivery.run,
            position: delivery.position,
            attempt: delivery.attempt,
            fresh: None,
        }
    }
}

impl Transaction<'_> {
    /// Adds a delivery for a time; the past means at once.
    fn schedule(&mut self, run: RunKey, position: i64, due: i64) -> Result<(), StoreError> {
        self.schedule_fresh(run, position, due, || None)
    }

    /// Adds a delivery of a kind for a time; the past means at once.
    fn schedule_as(
        &mut self,
        kind: DeliveryKind,
        run: RunKey,
        position: i64,
        due: i64,
    ) -> Result<(), StoreError> {
        let id = self.ids.next_delivery();
        let delivery = Delivery { id, kind, run, position, due: due.max(0), attempt: 0, errors: None };
        self.store.insert_delivery(&delivery)?;
        if due <= self.now {
            self.outbox.due.push(delivery.into());
        } else {
            self.note_due(due);
        }
        Ok(())
    }

    fn schedule_fresh(
        &mut self,
        run: RunKey,
        position: i64,
        due: i64,
        fresh: impl FnOnce() -> Option<Box<(Run, bytes::Bytes)>>,
    ) -> Result<(), StoreError> {
        let delivery = Delivery {
            id: self.ids.next_delivery(),
            kind: DeliveryKind::Run,
            run,
            position,
            due: due.max(0),
            attempt: 0,
            errors: None,
        };
        self.store.insert_delivery(&delivery)?;
        if due <= self.now {
            self.outbox.due.push(Due { fresh: fresh(), ..delivery.into() });
        } else {
            self.note_due(due);
        }
        Ok(())
    }

    /// Replaces whatever delivery a run of this process has.
    fn reschedule(&mut self, run: RunKey, due: i64) -> Result<(), StoreError> {
        self.store.remove_deliveries(run)?;
        self.schedule(run, 0, due)
    }

    fn note_due(&mut self, due: i64) {
        self.outbox.next_due = Some(self.outbox.next_due.map_or(due, |other| other.min(due)));
    }

    /// The newest run of that id, if it has not ended and its endpoint is over HTTP.
    fn remote_run(&mut self, id: &str) -> Result<Run, EngineError> {
        match self.store.run_by_id(id)? {
            Some(run) if run.is_active() && run.is_in_process() => Err(EngineError::Refused(format!(
                "the run `{id}` is one of the engine's own process: nothing can be submitted for it over HTTP"
            ))),
            Some(run) if run.is_active() => Ok(run),
            Some(_) => Err(EngineError::Ended(format!("the run `{id}` has ended"))),
            None => Err(EngineError::Ended(format!("there is no run `{id}`"))),
        }
    }
}

/// Hands out what has fallen due after `horizon`, and says when the next thing will.
pub fn fire_timers(tx: &mut Transaction<'_>, horizon: i64) -> Result<Option<i64>, StoreError> {
    for delivery in tx.store.due_deliveries(horizon, tx.now, u32::MAX)? {
        tx.outbox.due.push(delivery.into());
    }
    for waiter in tx.store.due_waiters(tx.now, TIMEOUTS_PER_BATCH)? {
        event::time_out(tx, &waiter)?;
    }
    let deadlines = tx.store.next_waiter_due()?;
    let deliveries = tx.store.next_delivery_due(tx.now)?;
    Ok([deadlines, deliveries].into_iter().flatten().min())
}
