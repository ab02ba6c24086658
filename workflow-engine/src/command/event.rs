//! Waiting and notifying.
//!
//! Every pair of a notification and a run ends in exactly one way: delivered to one wait, stored for lookback, or refused with
//! the reason in the answer. Taking a waiter and appending its result is one command, so a wait is resolved by exactly one of
//! event and timeout, and a timed-out wait never consumes a later event.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use workflow::{
    client::{HeaderLists, Notified},
    protocol::{Step, StepType},
};

use super::{
    Command, Transaction,
    failure::forget_attempts,
    step::{Recorded, record, recorded},
    waiting::{Begun, WaitFor, begin, register, resolve, waits},
    webhook::as_request,
};
use crate::{
    error::EngineError,
    store::{
        Awaited, Identity, Run, RunKey, StoreError, StoredNotification, Waiter, WaiterDetail, message_id,
    },
};

/// A run stores at most this many notifications for lookback; the sender of one more is refused.
const MAX_STORED_NOTIFICATIONS: u32 = 1000;

/// The answer to a request with a de-duplication id is remembered for a day, in milliseconds.
const ANSWERS_KEPT: i64 = 24 * 3600 * 1000;

/// Waits for an event: takes the run's oldest stored notification or, if there is none, registers a waiter.
pub struct Wait {
    /// The run.
    pub run: WaitFor,
    /// The step that waits, without a result.
    pub step: Step,
    /// The event.
    pub event: String,
    /// How long to wait at most, in milliseconds.
    pub timeout: i64,
    /// Whether a run of this process has nothing else to do until then.
    pub park: bool,
    /// Whether failed attempts before the step are to be forgotten.
    pub had_failures: bool,
    /// Headers of a wait request over HTTP, without credentials.
    pub headers: HeaderLists,
    /// Headers for the delivery of the timeout.
    pub timeout_headers: HeaderLists,
}

impl Command for Wait {
    type Reply = Recorded;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Recorded, EngineError> {
        let (run, is_new) = match begin(tx, &self.run, self.step.step_id)? {
            Begun::Over(recorded) => return Ok(recorded),
            Begun::Waiting(run) => (run, false),
            Begun::New(run) => (run, true),
        };
        if self.had_failures {
            forget_attempts(tx, run.key, self.step.step_id)?;
        }
        if is_new {
            if let Some(stored) = tx.store.take_notification(run.key, &self.event)? {
                let step = result(self.step, &self.event, Outcome::Event(Told::of(&stored)));
                let step = record(tx, run.key, step)?;
                if !run.is_in_process() {
                    deliver_result(tx, &run, step.step_id)?;
                }
                return Ok(Recorded::Step(Box::new(step)));
            }
            let deadline = tx.now.saturating_add(self.timeout.max(0));
            let detail = WaiterDetail {
                step: self.step,
                headers: self.headers,
                timeout_headers: self.timeout_headers,
            };
            register(tx, run.key, Awaited::Event { id: self.event, deadline }, detail)?;
        }
        Ok(waits(tx, &run, self.park)?)
    }
}

/// Notifies the waiters of an event or, with lookback, one run.
pub struct Notify {
    /// The event.
    pub event: String,
    /// Its data; empty for none.
    pub data: Bytes,
    /// The one run to notify; all waiters of the event if absent.
    pub run_id: Option<String>,
    /// A second request with the same key gets the answer of the first and does nothing.
    pub deduplication: Option<String>,
    /// The step of a run of this process that notifies: its result is recorded in the same command.
    pub step: Option<NotifyStep>,
}

/// The step of a run of this process that notifies.
pub struct NotifyStep {
    /// The run.
    pub run: RunKey,
    /// The step, without a result.
    pub step: Step,
    /// Whether failed attempts before the step are to be forgotten.
    pub had_failures: bool,
}

/// The answer to [`Notify`].
pub enum NotifyReply {
    /// What became of it, for each waiter.
    Notified(Vec<Notified>),
    /// What became of the notifying step.
    Step(Recorded),
}

impl Command for Notify {
    type Reply = NotifyReply;

    fn size(&self) -> usize {
        self.data.len()
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<NotifyReply, EngineError> {
        let Some(NotifyStep { run, mut step, had_failures }) = self.step else {
            return notify(
                tx,
                &self.event,
                &self.data,
                self.run_id.as_deref(),
                self.deduplication.as_deref(),
            )
            .map(NotifyReply::Notified);
        };
        if !tx.store.is_active(run)? {
            return Ok(NotifyReply::Step(Recorded::Ended));
        }
        if let Some(first) = recorded(tx, run, step.step_id)? {
            return Ok(NotifyReply::Step(Recorded::Step(Box::new(first))));
        }
        if had_failures {
            forget_attempts(tx, run, step.step_id)?;
        }
        let notified = match notify(tx, &self.event, &self.data, self.run_id.as_deref(), None) {
            Ok(notified) => notified,
            Err(EngineError::Store(error)) => return Err(error.into()),
            // Refused: the answer says so, and the workflow decides.
            Err(refusal) => vec![refused(self.run_id.as_deref(), &refusal)],
        };
        step.out = Some(notify_result(&self.event, &self.data, self.run_id.is_some(), notified)?);
        let step = record(tx, run, step)?;
        Ok(NotifyReply::Step(Recorded::Step(Box::new(step))))
    }
}

fn notify(
    tx: &mut Transaction<'_>,
    event: &str,
    data: &[u8],
    run_id: Option<&str>,
    deduplication: Option<&str>,
) -> Result<Vec<Notified>, EngineError> {
    // A list, so that ids which share their characters differently are different keys.
    let key = deduplication.map(|id| serde_json::to_string(&("notify", run_id, event, id)));
    let key = key.transpose().map_err(StoreError::from)?;
    if key.is_some() {
        tx.store.forget_answers(tx.now.saturating_sub(ANSWERS_KEPT))?;
    }
    if let Some(key) = &key
        && let Some(answer) = tx.store.answered(key)?
    {
        let mut first: Vec<Notified> = serde_json::from_slice(&answer).map_err(StoreError::from)?;
        for notified in &mut first {
            notified.deduplicated = true;
        }
        return Ok(first);
    }
    let notified = match run_id {
        Some(run_id) => vec![notify_run(tx, event, data, run_id)?],
        None => notify_all(tx, event, data)?,
    };
    if let Some(key) = &key {
        let answer = serde_json::to_vec(&notified).map_err(StoreError::from)?;
        tx.store.remember_answer(key, tx.now, &answer)?;
    }
    Ok(notified)
}

fn notify_all(tx: &mut Transaction<'_>, event: &str, data: &[u8]) -> Result<Vec<Notified>, EngineError> {
    let mut notified = Vec::new();
    for waiter in tx.store.waiters(event, u32::MAX)? {
        if is_too_late(tx, &waiter)? {
            continue;
        }
        let told = Told { data, is_request: false };
        notified.extend(resolve_wait(tx, &waiter, Outcome::Event(told))?);
    }
    Ok(notified)
}

fn notify_run(
    tx: &mut Transaction<'_>,
    event: &str,
    data: &[u8],
    run_id: &str,
) -> Result<Notified, EngineError> {
    match tx.store.run_by_id(run_id)? {
        Some(run) if run.is_active() => tell(tx, run, event, Told { data, is_request: false }),
        Some(_) => Err(EngineError::NotFound(format!("the run `{run_id}` has ended: it cannot be notified"))),
        None => Err(EngineError::NotFound(format!("there is no run `{run_id}`: it cannot be notified"))),
    }
}

/// Tells an active run: its oldest wait for the event or, if it has none, its next one.
pub(super) fn tell(
    tx: &mut Transaction<'_>,
    run: Run,
    event: &str,
    told: Told<'_>,
) -> Result<Notified, EngineError> {
    while let Some(waiter) = tx.store.oldest_waiter(run.key, event)? {
        if is_too_late(tx, &waiter)? {
            continue;
        }
        if let Some(notified) = resolve_wait(tx, &waiter, Outcome::Event(told))? {
            return Ok(notified);
        }
    }
    if tx.store.count_notifications(run.key)? >= MAX_STORED_NOTIFICATIONS {
        return Err(EngineError::Refused(format!(
            "the run `{}` has {MAX_STORED_NOTIFICATIONS} notifications stored that it has not waited for yet; this one was not \
             stored",
            run.id
        )));
    }
    let stored = StoredNotification { data: told.data.to_vec(), is_request: told.is_request };
    tx.store.store_notification(run.key, event, &stored)?;
    Ok(Notified {
        waiter: None,
        message_id: String::new(),
        deduplicated: false,
        error: String::new(),
        workflow_run_id: run.id,
        workflow_created_at: run.created_at,
    })
}

/// Whether a wait is over already; its timeout is then recorded now, where the timers have not come to it yet.
fn is_too_late(tx: &mut Transaction<'_>, waiter: &Waiter) -> Result<bool, StoreError> {
    let is_too_late = waiter.deadline().is_some_and(|deadline| deadline <= tx.now);
    if is_too_late {
        time_out(tx, waiter)?;
    }
    Ok(is_too_late)
}

/// What somebody tells of an event.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// Its data or, for a call of a webhook, the request as JSON.
    pub(super) data: &'a [u8],
    /// Whether it is a call of a webhook.
    pub(super) is_request: bool,
}

impl<'a> Told<'a> {
    fn of(stored: &'a StoredNotification) -> Self {
        Self { data: &stored.data, is_request: stored.is_request }
    }
}

/// What resolves a wait.
#[derive(Clone, Copy)]
enum Outcome<'a> {
    Event(Told<'a>),
    TimedOut,
}

/// Resolves a wait because its deadline has come.
pub(super) fn time_out(tx: &mut Transaction<'_>, waiter: &Waiter) -> Result<(), StoreError> {
    resolve_wait(tx, waiter, Outcome::TimedOut).map(drop)
}

/// Resolves a wait. `None` if the run has ended or the step has a result already; the waiter is gone in any case.
fn resolve_wait(
    tx: &mut Transaction<'_>,
    waiter: &Waiter,
    outcome: Outcome<'_>,
) -> Result<Option<Notified>, StoreError> {
    let step = result(waiter.detail.step.clone(), waiter.event().unwrap_or_default(), outcome);
    Ok(resolve(tx, waiter, &step)?.map(|(run, position)| Notified {
        waiter: Some(public(&run, waiter)),
        message_id: message_id(position),
        deduplicated: false,
        error: String::new(),
        workflow_run_id: run.id,
        workflow_created_at: run.created_at,
    }))
}

/// The result of a wait (protocol, section A.5).
fn result(mut step: Step, event: &str, outcome: Outcome<'_>) -> Step {
    step.wait_event_id = Some(event.to_owned());
    match outcome {
        Outcome::Event(told) if step.step_type == StepType::WaitForWebhook => {
            let request =
                if told.is_request { Cow::Borrowed(told.data) } else { as_request(told.data).into() };
            step.out = Some(STANDARD.encode(request));
            step.wait_timeout = Some(false);
        }
        Outcome::Event(Told { data, .. }) => {
            step.out = (!data.is_empty()).then(|| STANDARD.encode(data));
            step.wait_timeout = Some(false);
        }
        Outcome::TimedOut => {
            step.out = None;
            step.wait_timeout = Some(true);
        }
    }
    step
}

/// Delivers a result that has just been recorded.
fn deliver_result(tx: &mut Transaction<'_>, run: &Run, step_id: u32) -> Result<(), StoreError> {
    match tx.store.entry(run.key, Identity::Result(step_id))? {
        Some(entry) => tx.schedule(run.key, entry.position, tx.now),
        None => Ok(()),
    }
}

/// The result of a notify step (protocol, section A.5).
fn notify_result(
    event: &str,
    data: &[u8],
    one_run: bool,
    notified: Vec<Notified>,
) -> Result<String, StoreError> {
    let data = if data.is_empty() {
        serde_json::Value::Null
    } else {
        serde_json::from_slice(data).unwrap_or_else(|_| String::from_utf8_lossy(data).into_owned().into())
    };
    let response = if one_run {
        serde_json::to_value(notified.into_iter().next())?
    } else {
        serde_json::to_value(notified)?
    };
    let result = serde_json::json!({ "eventId": event, "eventData": data, "notifyResponse": response });
    Ok(result.to_string())
}

fn refused(run_id: Option<&str>, refusal: &EngineError) -> Notified {
    Notified {
        waiter: None,
        message_id: String::new(),
        deduplicated: false,
        error: refusal.to_string(),
        workflow_run_id: run_id.unwrap_or_default().to_owned(),
        workflow_created_at: 0,
    }
}

/// A waiter as the API shows it: without credentials, and always naming its run.
pub fn public(run: &Run, waiter: &Waiter) -> workflow::client::Waiter {
    let mut headers = waiter.detail.headers.clone();
    headers.retain(|name, _| !name.eq_ignore_ascii_case("upstash-workflow-runid"));
    headers.insert("Upstash-Workflow-Runid".to_owned(), vec![run.id.clone()]);
    workflow::client::Waiter {
        url: run.url.clone(),
        deadline: waiter.deadline().unwrap_or(i64::MAX).div_euclid(1000),
        headers,
        timeout_url: run.url.clone(),
        timeout_body: None,
        timeout_headers: waiter.detail.timeout_headers.clone(),
    }
}
