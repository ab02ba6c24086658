//! Runs that other runs invoke. The child is started and its parent registered as waiting for its end in one command; when it
//! ends, in whichever way, its parents are told in the command that ends it.

use std::collections::HashSet;

use workflow::{
    client::RunState,
    protocol::{InvokeOut, Step},
};

use super::{
    Command, Transaction,
    failure::forget_attempts,
    step::Recorded,
    trigger::{StartRun, Started, start},
    waiting::{Begun, WaitFor, begin, register, resolve, waits},
};
use crate::{
    error::EngineError,
    store::{Awaited, Identity, Run, RunEnd, RunKey, StepRequest, StoreError, WaiterDetail},
};

/// Runs may be nested this deep in invocations.
const MAX_INVOKE_COUNT: u32 = 100;

/// Starts a run for a step of a run of this process, and waits for its end.
pub struct Invoke {
    /// The invoking run.
    pub run: RunKey,
    /// The step that invokes, without a result.
    pub step: Step,
    /// The run to be started. An active one of its id is waited for instead.
    pub child: StartRun,
    /// Whether the invoking run has nothing else to do until then.
    pub park: bool,
    /// Whether failed attempts before the step are to be forgotten.
    pub had_failures: bool,
}

impl Command for Invoke {
    type Reply = Recorded;

    fn size(&self) -> usize {
        self.child.payload.len()
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Recorded, EngineError> {
        let (run, is_new) = match begin(tx, &WaitFor::Key(self.run), self.step.step_id)? {
            Begun::Over(recorded) => return Ok(recorded),
            Begun::Waiting(run) => (run, false),
            Begun::New(run) => (run, true),
        };
        if is_new {
            check(tx, &run, &self.child)?;
        }
        if self.had_failures {
            forget_attempts(tx, run.key, self.step.step_id)?;
        }
        if is_new {
            invoke(tx, &run, self.step, self.child)?;
        }
        Ok(waits(tx, &run, self.park)?)
    }
}

/// Refuses what would be nested too deep, and what would wait for itself.
pub(super) fn check(tx: &mut Transaction<'_>, parent: &Run, child: &StartRun) -> Result<(), EngineError> {
    if parent.config.invoke_count >= MAX_INVOKE_COUNT {
        return Err(EngineError::Refused(format!(
            "the run `{}` is nested {MAX_INVOKE_COUNT} deep in invocations already: it cannot invoke `{}`",
            parent.id, child.url
        )));
    }
    let Some(id) = &child.id else { return Ok(()) };
    match tx.store.run_by_id(id)?.filter(Run::is_active) {
        Some(child) if waits_for(tx, child.key, parent.key)? => Err(EngineError::Refused(format!(
            "the run `{}` cannot invoke the run `{id}`, which waits for its end: both would wait for ever",
            parent.id
        ))),
        _ => Ok(()),
    }
}

/// Whether `run` is `other`, or waits for its end, or for that of a run that does.
fn waits_for(tx: &mut Transaction<'_>, run: RunKey, other: RunKey) -> Result<bool, StoreError> {
    let mut seen = HashSet::from([other]);
    let mut to_visit = vec![other];
    while let Some(key) = to_visit.pop() {
        if key == run {
            return Ok(true);
        }
        let waiting = tx.store.waiters_for_end(key)?;
        to_visit.extend(waiting.into_iter().map(|waiter| waiter.run).filter(|run| seen.insert(*run)));
    }
    Ok(false)
}

/// Starts the child, or finds it, and registers the parent.
pub(super) fn invoke(
    tx: &mut Transaction<'_>,
    parent: &Run,
    step: Step,
    mut child: StartRun,
) -> Result<Started, EngineError> {
    child.config.invoker = Some(parent.key);
    child.config.invoke_count = parent.config.invoke_count.saturating_add(1);
    let started = start(tx, child)?;
    let request = StepRequest::Invoke { step: step.clone(), child: started.key };
    let request = serde_json::to_vec(&request).map_err(StoreError::from)?;
    tx.store.append(parent.key, Identity::Request(step.step_id), tx.now, &request)?;
    register(tx, parent.key, Awaited::End(started.key), WaiterDetail::of(step))?;
    Ok(started)
}

/// Tells the runs that wait for the end of this one.
pub(super) fn tell_invokers(tx: &mut Transaction<'_>, run: RunKey, end: &RunEnd) -> Result<(), StoreError> {
    for waiter in tx.store.waiters_for_end(run)? {
        let out = InvokeOut {
            body: end.output.clone().filter(|_| end.state == RunState::RunSuccess),
            is_canceled: end.state == RunState::RunCanceled,
            is_failed: end.state == RunState::RunFailed,
        };
        let step = Step { out: Some(serde_json::to_string(&out)?), ..waiter.detail.step.clone() };
        resolve(tx, &waiter, &step)?;
    }
    Ok(())
}
