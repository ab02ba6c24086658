//! Ends of runs: every one is a fence. Nothing that comes later changes an ended run, and its deliveries, waiters and stored
//! notifications go with it.

use workflow::client::{RunFilter, RunState};

use super::{Command, Transaction, invoke::tell_invokers};
use crate::{
    error::EngineError,
    store::{
        Delivery, DeliveryKind, FailedDelivery, NewDeadLetter, PendingDelivery, Run, RunEnd, RunKey,
        StoreError, ToldFailure,
    },
};

/// Ends an active run in this way, and does what follows from it for others.
pub(super) fn end(tx: &mut Transaction<'_>, run: RunKey, end: &RunEnd) -> Result<(), StoreError> {
    tx.store.end_run(run, end)?;
    tx.outbox.ended.push(run);
    tell_invokers(tx, run, end)
}

/// Cancels the active runs that match, at most `limit`.
pub struct Cancel {
    /// Which.
    pub filter: RunFilter,
    /// At most this many.
    pub limit: u32,
}

impl Command for Cancel {
    /// How many runs were cancelled.
    type Reply = u64;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<u64, EngineError> {
        let runs = tx.store.select_active(&self.filter, self.limit)?;
        for run in &runs {
            let end = RunEnd { state: RunState::RunCanceled, at: tx.now, output: None };
            self::end(tx, *run, &end)?;
            tx.outbox.stopped.push(*run);
        }
        Ok(runs.len() as u64)
    }
}

/// A run of this process cancels itself.
pub struct CancelOwn {
    /// The run.
    pub run: RunKey,
}

impl Command for CancelOwn {
    /// Whether the run was still active.
    type Reply = bool;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<bool, EngineError> {
        if !tx.store.is_active(self.run)? {
            return Ok(false);
        }
        end(tx, self.run, &RunEnd { state: RunState::RunCanceled, at: tx.now, output: None })?;
        Ok(true)
    }
}

/// Ends one run over HTTP: the endpoint has returned, or cancels it (protocol, section B.6).
pub struct EndRun {
    /// The run's id.
    pub run_id: String,
    /// When it was created, in milliseconds since the Unix epoch, if the endpoint says so.
    pub created_at: Option<i64>,
    /// Cancel it; else it has returned.
    pub cancel: bool,
    /// What it returned, as JSON.
    pub output: Option<String>,
}

impl Command for EndRun {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let unknown = || EngineError::NotFound(format!("there is no run `{}`", self.run_id));
        let run = tx.store.run_by_id(&self.run_id)?.ok_or_else(unknown)?;
        if self.created_at.is_some_and(|at| at != run.created_at) {
            return Err(unknown());
        }
        if !run.is_active() {
            // A repeated success is answered as if it were the first, so that an endpoint may send it again.
            return if self.cancel {
                Err(EngineError::NotFound(format!("the run `{}` has ended already", self.run_id)))
            } else {
                Ok(())
            };
        }
        let state = if self.cancel { RunState::RunCanceled } else { RunState::RunSuccess };
        end(tx, run.key, &RunEnd { state, at: tx.now, output: self.output })?;
        tx.outbox.stopped.push(run.key);
        Ok(())
    }
}

/// Fails a run: it goes to the dead letter queue with its reason, and whoever is to be told of it is told.
pub fn fail_run(
    tx: &mut Transaction<'_>,
    run: &Run,
    reason: &str,
    mut failed: FailedDelivery,
) -> Result<(), StoreError> {
    if !run.is_in_process() {
        failed.pending = pending(tx, run, &failed)?;
    }
    let end = RunEnd { state: RunState::RunFailed, at: tx.now, output: None };
    self::end(tx, run.key, &end)?;
    let callback = ToldFailure::of(run);
    let position = failed.position;
    let letter = NewDeadLetter { run: run.key, at: tx.now, reason: reason.to_owned(), failed, callback };
    tx.store.insert_dead_letter(&letter)?;
    if let Some(callback) = &letter.callback {
        tx.tell_failure(run.key, callback, position)?;
    }
    tracing::warn!(run = run.id, url = run.url, reason, "run failed");
    Ok(())
}

/// What else is to be delivered over HTTP, so that a resumed run finds everything that this one would have.
fn pending(
    tx: &Transaction<'_>,
    run: &Run,
    failed: &FailedDelivery,
) -> Result<Vec<PendingDelivery>, StoreError> {
    let others = tx.store.deliveries(run.key)?.into_iter().filter(|delivery| {
        matches!(delivery.kind, DeliveryKind::Run | DeliveryKind::CallResult)
            && delivery.position != failed.position
    });
    Ok(others
        .map(|Delivery { position, due, attempt, .. }| PendingDelivery {
            position,
            // A pause before a retry is not kept.
            due: if attempt == 0 { due } else { 0 },
        })
        .collect())
}
