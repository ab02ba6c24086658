//! Steps that wait for their result. Whatever it is that they wait for, they are registered, resolved and woken here: a run that
//! has nothing else to do is parked in the command that registers its last wait, and called again in the one that resolves it.

use workflow::protocol::Step;

use super::{
    Transaction,
    step::{Recorded, recorded},
};
use crate::{
    error::EngineError,
    store::{Appended, Awaited, Identity, Run, RunKey, StoreError, Waiter, WaiterDetail},
};

/// The run that waits: a run of this process is known by its key, others by their public id.
pub enum WaitFor {
    /// Its key.
    Key(RunKey),
    /// Its public id.
    Id(String),
}

/// What there is to know of a step that is about to wait.
pub(super) enum Begun {
    /// It does not wait: it has a result, or its run has ended.
    Over(Recorded),
    /// It waits already.
    Waiting(Run),
    /// It is new.
    New(Run),
}

/// Looks at a step that is about to wait. Nothing is written.
pub(super) fn begin(tx: &mut Transaction<'_>, run: &WaitFor, step_id: u32) -> Result<Begun, EngineError> {
    let run = match run {
        WaitFor::Key(key) => match tx.store.run(*key)?.filter(Run::is_active) {
            Some(run) => run,
            None => return Ok(Begun::Over(Recorded::Ended)),
        },
        WaitFor::Id(id) => tx.remote_run(id)?,
    };
    if let Some(step) = recorded(tx, run.key, step_id)? {
        return Ok(Begun::Over(Recorded::Step(Box::new(step))));
    }
    Ok(match tx.store.waiter_of_step(run.key, step_id)? {
        Some(_) => Begun::Waiting(run),
        None => Begun::New(run),
    })
}

/// Registers a step that waits.
pub(super) fn register(
    tx: &mut Transaction<'_>,
    run: RunKey,
    awaited: Awaited,
    detail: WaiterDetail,
) -> Result<(), StoreError> {
    if let Awaited::Event { deadline, .. } = &awaited {
        tx.note_due(*deadline);
    }
    let (id, step_id) = (tx.ids.next_waiter(), detail.step.step_id);
    tx.store.insert_waiter(&Waiter { id, awaited, run, step_id, detail })
}

/// The step waits. With `park`, a run of this process has nothing else to do until it is resolved.
pub(super) fn waits(tx: &mut Transaction<'_>, run: &Run, park: bool) -> Result<Recorded, StoreError> {
    if park && run.is_in_process() {
        tx.store.remove_deliveries(run.key)?;
    }
    Ok(Recorded::Pending)
}

/// Takes a waiter, appends the result of its step and wakes its run. Gives the run and the position of the result; `None` if the
/// run has ended or the step has a result already. The waiter is gone in any case.
pub(super) fn resolve(
    tx: &mut Transaction<'_>,
    waiter: &Waiter,
    result: &Step,
) -> Result<Option<(Run, i64)>, StoreError> {
    tx.store.remove_waiter(waiter.id)?;
    let Some(run) = tx.store.run(waiter.run)?.filter(Run::is_active) else { return Ok(None) };
    let data = serde_json::to_vec(result)?;
    let identity = Identity::Result(result.step_id);
    let Appended::At(position) = tx.store.append(run.key, identity, tx.now, &data)? else {
        return Ok(None);
    };
    if !run.is_in_process() {
        tx.schedule(run.key, position, tx.now)?;
    } else if !tx.store.has_delivery(run.key)? && tx.store.count_waiters(run.key)? == 0 {
        tx.schedule(run.key, 0, run.wake_at)?;
    }
    Ok(Some((run, position)))
}
