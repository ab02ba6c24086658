//! The steps of a run of this process.

use workflow::{client::RunState, protocol::Step};

use super::{Command, Transaction, end, failure::forget_attempts};
use crate::{
    error::EngineError,
    store::{Appended, Identity, RunEnd, RunKey, StoreError},
};

/// What became of a step.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// It is recorded with this result: its own, or the one that came first.
    Step(Box<Step>),
    /// It will be, later.
    Pending,
    /// The run has ended: nothing is recorded any more.
    Ended,
}

/// Records the result of a step. The first result wins.
pub struct RecordStep {
    /// The run.
    pub run: RunKey,
    /// The step with its result.
    pub step: Step,
    /// Whether failed attempts of the step are to be forgotten.
    pub had_failures: bool,
}

impl Command for RecordStep {
    type Reply = Recorded;

    fn size(&self) -> usize {
        self.step.out.as_ref().map_or(0, String::len)
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Self::Reply, EngineError> {
        if !tx.store.is_active(self.run)? {
            return Ok(Recorded::Ended);
        }
        if self.had_failures {
            forget_attempts(tx, self.run, self.step.step_id)?;
        }
        Ok(Recorded::Step(Box::new(record(tx, self.run, self.step)?)))
    }
}

/// Appends a result and gives what is recorded then: this one, or the one that came first.
pub(super) fn record(tx: &mut Transaction<'_>, run: RunKey, step: Step) -> Result<Step, StoreError> {
    let identity = Identity::Result(step.step_id);
    let data = serde_json::to_vec(&step)?;
    match tx.store.append(run, identity, tx.now, &data)? {
        Appended::At(_) => Ok(step),
        Appended::Duplicate => recorded(tx, run, step.step_id).map(|first| first.unwrap_or(step)),
    }
}

/// The recorded result of a step.
pub(super) fn recorded(
    tx: &mut Transaction<'_>,
    run: RunKey,
    step_id: u32,
) -> Result<Option<Step>, StoreError> {
    let entry = tx.store.entry(run, Identity::Result(step_id))?;
    entry.map(|entry| Ok(serde_json::from_slice(&entry.data)?)).transpose()
}

/// Records a sleep. It counts as over when its `sleep_until` has come.
pub struct BeginSleep {
    /// The run.
    pub run: RunKey,
    /// The step; its `sleep_until` says until when, in unix seconds.
    pub step: Step,
    /// Whether the run has nothing else to do until then.
    pub park: bool,
    /// Whether failed attempts before the step are to be forgotten.
    pub had_failures: bool,
}

impl Command for BeginSleep {
    type Reply = Recorded;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Self::Reply, EngineError> {
        if !tx.store.is_active(self.run)? {
            return Ok(Recorded::Ended);
        }
        if self.had_failures {
            forget_attempts(tx, self.run, self.step.step_id)?;
        }
        let step = record(tx, self.run, self.step)?;
        // Rounded up: a run never wakes early.
        let until = step.sleep_until.map_or(tx.now, |seconds| (seconds * 1000.0).ceil() as i64);
        if until <= tx.now {
            return Ok(Recorded::Step(Box::new(step)));
        }
        if self.park {
            tx.reschedule(self.run, until)?;
        } else {
            let wake_at = tx.store.run(self.run)?.map_or(0, |run| run.wake_at);
            tx.store.set_wake_at(self.run, wake_at.max(until))?;
        }
        Ok(Recorded::Pending)
    }
}

/// The handler of a run has nothing more to do for now: the run is called again when the rest of its steps is resolved, or
/// when a failed one is to be tried again. If that has happened meanwhile, it is called at once.
pub struct Park {
    /// The run.
    pub run: RunKey,
    /// When the next attempt of a failed step is due, in milliseconds since the Unix epoch.
    pub retry_at: Option<i64>,
}

impl Command for Park {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let Some(run) = tx.store.run(self.run)?.filter(crate::store::Run::is_active) else { return Ok(()) };
        tx.store.remove_deliveries(run.key)?;
        if let Some(due) = self.retry_at {
            tx.schedule(run.key, 0, due)?;
        } else if tx.store.count_waiters(run.key)? == 0 {
            tx.schedule(run.key, 0, run.wake_at)?;
        }
        Ok(())
    }
}

/// The workflow has returned.
pub struct Complete {
    /// The run.
    pub run: RunKey,
    /// What it returned, as JSON.
    pub output: Option<String>,
}

impl Command for Complete {
    /// Whether the run was still active.
    type Reply = bool;

    fn size(&self) -> usize {
        self.output.as_ref().map_or(0, String::len)
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<bool, EngineError> {
        if !tx.store.is_active(self.run)? {
            return Ok(false);
        }
        let end = RunEnd { state: RunState::RunSuccess, at: tx.now, output: self.output };
        end::end(tx, self.run, &end)?;
        Ok(true)
    }
}
