//! Failed attempts: tried again after a while, and when the last one has failed the run fails and can be seen with its reason.

use workflow::{
    client::StepError,
    engine::{Failure, Retry},
    protocol::{Step, headers},
};

use super::{Command, Transaction, end::fail_run, step::record};
use crate::{
    error::EngineError,
    retry,
    store::{Attempts, Delivery, FailedDelivery, Identity, Run, RunKey, StoreError},
};

/// An attempt of a run of this process has failed, in a step or between steps.
pub struct AttemptFailed {
    /// The run.
    pub run: RunKey,
    /// What happened.
    pub failure: Failure,
}

/// What follows from a failed attempt.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Another one is due at this time (milliseconds since the Unix epoch).
    RetryAt(i64),
    /// It was the last one; the failure is recorded as the step's result, and the run goes on.
    Recorded(Box<Step>),
    /// The run has ended.
    Ended,
}

impl Command for AttemptFailed {
    type Reply = Verdict;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Verdict, EngineError> {
        let Some(run) = tx.store.run(self.run)?.filter(Run::is_active) else { return Ok(Verdict::Ended) };
        if self.failure.keep {
            return keep(tx, &run, self.failure.message);
        }
        let Failure { step_id, step_name, message, retry, max_retries, record: recording, park, keep: _ } =
            self.failure;
        tx.store.clear_attempts(run.key, KEPT)?;
        let before = tx.store.attempts(run.key)?.into_iter().find(|attempts| attempts.step_id == step_id);
        let count = before.as_ref().map_or(0, |attempts| attempts.count).saturating_add(1);
        let error = StepError { error: message.clone(), time: tx.now, ..StepError::default() };
        let errors = with_error(before.map(|attempts| attempts.errors).as_deref(), error)?;
        let next = next_attempt(&run, count, max_retries, retry).map(|delay| tx.now.saturating_add(delay));
        let due = next.unwrap_or(i64::MAX);
        tx.store
            .set_attempts(run.key, &Attempts { step_id, count, due, errors, step_name: step_name.clone() })?;
        match (next, recording) {
            (Some(due), _) => {
                if park {
                    tx.reschedule(run.key, due)?;
                }
                Ok(Verdict::RetryAt(due))
            }
            (None, Some(step)) => {
                tx.store.clear_attempts(run.key, step_id)?;
                Ok(Verdict::Recorded(Box::new(record(tx, run.key, step)?)))
            }
            (None, None) => {
                let reason = match &step_name {
                    Some(name) => format!("step `{name}` failed after {}: {message}", attempts(count)),
                    None => format!("failed after {}: {message}", attempts(count)),
                };
                let failed = FailedDelivery {
                    position: tx.store.entry(run.key, Identity::Init)?.map_or(0, |entry| entry.position),
                    answer: as_answered(message, step_name, retry, tx.now),
                    retried: count.saturating_sub(1),
                    max_retries: max_retries.unwrap_or(run.config.max_retries()),
                    pending: Vec::new(),
                };
                fail_run(tx, &run, &reason, failed)?;
                Ok(Verdict::Ended)
            }
        }
    }
}

/// A failure in this process as it would be answered over HTTP (protocol, section B.7).
fn as_answered(message: String, step_name: Option<String>, retry: Retry, time: i64) -> StepError {
    let (status, error) = match retry {
        Retry::Never => (489, "WorkflowNonRetryableError"),
        Retry::After(_) => (429, "WorkflowRetryAfterError"),
        Retry::Backoff => (500, "WorkflowError"),
    };
    let body = serde_json::json!({ "error": error, "message": message, "stack": "" }).to_string();
    let names = [
        (headers::WORKFLOW_SDK_VERSION, Some(headers::PROTOCOL_VERSION.to_owned())),
        (headers::NON_RETRYABLE_ERROR, (status == 489).then(|| "true".to_owned())),
        (headers::ERROR_STEP_NAME, step_name),
    ];
    let headers =
        names.into_iter().filter_map(|(name, value)| Some((name.to_owned(), vec![value?]))).collect();
    StepError { error: message, body, headers, status, time }
}

/// The step under which it is noted that a run is kept. Runs have no such step: those of a kept one keep their retries.
pub const KEPT: u32 = 0;

/// Once its retries are used up, a kept run is not called more often than this (milliseconds).
const KEPT_PAUSE: i64 = 60_000;

/// The code does not fit the history of a run. That is no fault of the run: it is called again until the code fits, by the
/// usual delays and then by the last of them.
fn keep(tx: &mut Transaction<'_>, run: &Run, message: String) -> Result<Verdict, EngineError> {
    let before = tx.store.attempts(run.key)?.into_iter().find(|attempts| attempts.step_id == KEPT);
    let count = before.as_ref().map_or(0, |attempts| attempts.count).saturating_add(1);
    let retries = run.config.max_retries();
    let delay = retry::delay(run.config.retry_delay.as_deref(), count.min(retries.max(1)));
    let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    let delay = if count > retries { delay.max(KEPT_PAUSE) } else { delay };
    let due = tx.now.saturating_add(delay);
    tracing::error!(
        run = run.id,
        url = run.url,
        attempt = count,
        next_attempt_in_seconds = delay / 1000,
        reason = message,
        "the code does not fit what a run has recorded; the run is kept and tried again"
    );
    let error = StepError { error: message, time: tx.now, ..StepError::default() };
    let errors = with_error(before.map(|attempts| attempts.errors).as_deref(), error)?;
    tx.store.set_attempts(run.key, &Attempts { step_id: KEPT, count, due, errors, step_name: None })?;
    tx.reschedule(run.key, due)?;
    Ok(Verdict::RetryAt(due))
}

/// Forgets the failed attempts before a step that is being recorded, and that the code did not fit.
pub(super) fn forget_attempts(tx: &mut Transaction<'_>, run: RunKey, step_id: u32) -> Result<(), StoreError> {
    tx.store.clear_attempts(run, KEPT)?;
    tx.store.clear_attempts(run, step_id)
}

/// A delivery has failed as a whole: the endpoint answered with an error, or not at all.
pub struct DeliveryFailed {
    /// The delivery.
    pub id: i64,
    /// The run.
    pub run: RunKey,
    /// What the endpoint answered.
    pub error: StepError,
    /// Whether and when to try again.
    pub retry: Retry,
    /// How often it is repeated, where that is not as often as any delivery of the run.
    pub max_retries: Option<u32>,
}

impl Command for DeliveryFailed {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        delivery_failed(tx, self.id, self.run, self.error, self.retry, self.max_retries)
    }
}

pub(super) fn delivery_failed(
    tx: &mut Transaction<'_>,
    id: i64,
    run: RunKey,
    error: StepError,
    retry: Retry,
    max_retries: Option<u32>,
) -> Result<(), EngineError> {
    // A run that has ended during the delivery: the answer counts for nothing.
    let Some(run) = tx.store.run(run)?.filter(Run::is_active) else { return Ok(()) };
    let Some(delivery) = tx.store.delivery(id)? else { return Ok(()) };
    let answer = StepError { time: tx.now, ..error.clone() };
    let count = delivery.attempt.saturating_add(1);
    match next_attempt(&run, count, max_retries, retry) {
        Some(pause) => repeat(tx, delivery, error, pause)?,
        None => {
            let errors = with_error(delivery.errors.as_deref(), error)?;
            let failed = Attempts { step_id: 0, count, due: i64::MAX, errors, step_name: None };
            tx.store.set_attempts(run.key, &failed)?;
            let reason = format!("delivery failed after {}: {}", attempts(count), answer.error);
            let position = match delivery.position {
                0 => tx.store.entry(run.key, Identity::Init)?.map_or(0, |entry| entry.position),
                position => position,
            };
            let failed = FailedDelivery {
                position,
                answer,
                retried: count.saturating_sub(1),
                max_retries: max_retries.unwrap_or(run.config.max_retries()),
                pending: Vec::new(),
            };
            fail_run(tx, &run, &reason, failed)?;
        }
    }
    Ok(())
}

/// Makes a delivery again after a pause in milliseconds.
pub(super) fn repeat(
    tx: &mut Transaction<'_>,
    mut delivery: Delivery,
    error: StepError,
    pause: i64,
) -> Result<(), StoreError> {
    delivery.attempt = delivery.attempt.saturating_add(1);
    delivery.errors = Some(with_error(delivery.errors.as_deref(), error)?);
    // A new id, since the old one may still be held by whoever made the delivery.
    tx.store.remove_delivery(delivery.id)?;
    delivery.id = tx.ids.next_delivery();
    delivery.due = tx.now.saturating_add(pause);
    tx.store.insert_delivery(&delivery)?;
    if delivery.due <= tx.now {
        tx.outbox.due.push(delivery.into());
    } else {
        tx.note_due(delivery.due);
    }
    Ok(())
}

/// After how many milliseconds attempt number `failed` is repeated, if at all.
fn next_attempt(run: &Run, failed: u32, max_retries: Option<u32>, retry: Retry) -> Option<i64> {
    let max_retries = max_retries.unwrap_or(run.config.max_retries());
    pause(failed, max_retries, retry, run.config.retry_delay.as_deref())
}

/// After how many milliseconds the attempt after `failed` ones is made, if at all.
pub(super) fn pause(failed: u32, max_retries: u32, retry: Retry, retry_delay: Option<&str>) -> Option<i64> {
    if failed > max_retries {
        return None;
    }
    let delay = match retry {
        Retry::Never => return None,
        Retry::After(delay) => delay,
        Retry::Backoff => retry::delay(retry_delay, failed),
    };
    Some(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}

/// Adds an error to a list of them kept as JSON. The list keeps the last ones.
pub(super) fn with_error(errors: Option<&str>, error: StepError) -> Result<String, StoreError> {
    const KEPT: usize = 20;
    let mut errors: Vec<StepError> = errors.map(serde_json::from_str).transpose()?.unwrap_or_default();
    errors.push(error);
    let surplus = errors.len().saturating_sub(KEPT);
    errors.drain(..surplus);
    Ok(serde_json::to_string(&errors)?)
}

fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}
