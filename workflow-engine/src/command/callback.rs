//! Telling somebody that a run has failed. It is a delivery like any other: tried again after a while, and when its last attempt
//! has failed that is to be seen with the run. It never causes another one.

use workflow::{
    client::{CallbackState, StepError},
    engine::Retry,
};

use super::{
    Command, Transaction,
    failure::{pause, repeat, with_error},
};
use crate::{
    error::EngineError,
    store::{DeadLetter, DeliveryKind, Run, RunKey, StoreError, ToldFailure},
};

impl ToldFailure {
    /// Whom this run tells when it fails, if anybody.
    pub(super) fn of(run: &Run) -> Option<Self> {
        let target = run.config.failure.as_ref()?;
        let url = target.url.clone().unwrap_or_else(|| run.url.clone());
        Some(Self { state: CallbackState::InProgress, url, answer: None, errors: Vec::new() })
    }
}

impl Transaction<'_> {
    /// Schedules telling that the delivery of the entry at `position` has failed its run.
    pub(super) fn tell_failure(
        &mut self,
        run: RunKey,
        callback: &ToldFailure,
        position: i64,
    ) -> Result<(), StoreError> {
        let position = if callback.url.starts_with('/') { 0 } else { position.max(1) };
        self.schedule_as(DeliveryKind::Failure, run, position, self.now)
    }
}

/// Somebody was told that a run has failed, and has answered or not.
pub struct CallbackAnswered {
    /// The delivery.
    pub id: i64,
    /// The run.
    pub run: RunKey,
    /// What was answered.
    pub outcome: CallbackOutcome,
}

/// What was answered to a failure that was told.
pub enum CallbackOutcome {
    /// It was taken.
    Taken(StepError),
    /// The workflow has no failure function: nobody was to be told.
    NoFunction,
    /// It was not taken.
    Failed(StepError, Retry),
}

impl Command for CallbackAnswered {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let Some(delivery) = tx.store.delivery(self.id)? else { return Ok(()) };
        let Some(DeadLetter { number, callback: Some(callback), .. }) = tx.store.dead_letter(self.run)?
        else {
            return Ok(());
        };
        let Some(run) = tx.store.run(self.run)? else { return Ok(()) };
        let (answer, retry) = match self.outcome {
            CallbackOutcome::NoFunction => {
                tx.store.remove_delivery(delivery.id)?;
                return Ok(tx.store.set_callback(number, None)?);
            }
            CallbackOutcome::Taken(answer) => {
                tx.store.remove_delivery(delivery.id)?;
                let state = CallbackState::Success;
                let taken = ToldFailure { state, answer: Some(answer), errors: Vec::new(), ..callback };
                return Ok(tx.store.set_callback(number, Some(&taken))?);
            }
            CallbackOutcome::Failed(answer, retry) => (StepError { time: tx.now, ..answer }, retry),
        };
        let retries = run.config.failure_retries();
        let count = delivery.attempt.saturating_add(1);
        match pause(count, retries, retry, run.config.failure_retry_delay()) {
            Some(pause) => repeat(tx, delivery, answer, pause)?,
            None => {
                tracing::warn!(
                    run = run.id,
                    url = callback.url,
                    reason = answer.error,
                    "a failure could not be told"
                );
                tx.store.remove_delivery(delivery.id)?;
                let errors = with_error(delivery.errors.as_deref(), answer.clone())?;
                let errors = serde_json::from_str(&errors).map_err(StoreError::from)?;
                let state = CallbackState::Failed;
                let failed = ToldFailure { state, answer: Some(answer), errors, ..callback };
                tx.store.set_callback(number, Some(&failed))?;
            }
        }
        Ok(())
    }
}

/// Stops telling a failure that is not told yet.
pub struct CancelCallback {
    /// The number of the entry in the dead letter queue.
    pub number: i64,
}

impl Command for CancelCallback {
    /// The run whose failure is not told any more.
    type Reply = Run;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Run, EngineError> {
        let (letter, run) = queued(tx, self.number)?;
        let Some(callback) = letter.callback.filter(|callback| callback.state == CallbackState::InProgress)
        else {
            return Err(EngineError::Invalid(format!(
                "nobody is being told that the run `{}` has failed: there is nothing to be cancelled",
                run.id
            )));
        };
        let telling = tx.store.deliveries(run.key)?;
        for delivery in telling.iter().filter(|delivery| delivery.kind == DeliveryKind::Failure) {
            tx.store.remove_delivery(delivery.id)?;
        }
        let canceled = ToldFailure { state: CallbackState::Canceled, ..callback };
        tx.store.set_callback(letter.number, Some(&canceled))?;
        // A failure function that is running is stopped.
        tx.outbox.stopped.push(run.key);
        Ok(run)
    }
}

/// Tells of a failure again where that has failed.
pub struct RetryCallback {
    /// The number of the entry in the dead letter queue.
    pub number: i64,
}

impl Command for RetryCallback {
    /// The run whose failure is told.
    type Reply = Run;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Run, EngineError> {
        let (letter, run) = queued(tx, self.number)?;
        let Some(failed) = letter.callback.filter(|callback| callback.state == CallbackState::Failed) else {
            return Err(EngineError::Invalid(format!(
                "telling that the run `{}` has failed did not fail: there is nothing to be tried again",
                run.id
            )));
        };
        let callback = ToldFailure {
            state: CallbackState::InProgress,
            url: failed.url,
            answer: None,
            errors: Vec::new(),
        };
        tx.store.set_callback(letter.number, Some(&callback))?;
        tx.tell_failure(run.key, &callback, letter.failed.position)?;
        Ok(run)
    }
}

/// An entry of the dead letter queue and its run.
fn queued(tx: &Transaction<'_>, number: i64) -> Result<(DeadLetter, Run), EngineError> {
    let unknown = || EngineError::NotFound("there is no such entry in the dead letter queue".to_owned());
    let letter = tx.store.queued_dead_letter(number)?.ok_or_else(unknown)?;
    let run = tx.store.run(letter.run)?.ok_or_else(unknown)?;
    Ok((letter, run))
}
