//! HTTP requests that the engine makes for runs.
//!
//! A request is an entry of the run's history, of a kind that no workflow is called with, and a delivery. A run of this process
//! waits for the answer, which is recorded as the step's result; an endpoint over HTTP is told it (protocol, section A.7), and
//! records the result by itself.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use workflow::{
    client::{HeaderLists, StepError},
    engine::Retry,
    protocol::{CallOut, Step},
};

use super::{
    Command, Transaction,
    failure::{delivery_failed, forget_attempts, repeat},
    step::Recorded,
    waiting::{Begun, WaitFor, begin, register, resolve, waits},
};
use crate::{
    error::EngineError,
    retry,
    store::{
        Appended, Awaited, CallRequest, Delivery, DeliveryKind, Entry, Identity, Run, RunKey, StepRequest,
        StoreError, WaiterDetail, message_id,
    },
};

/// Makes a request for a step of a run of this process.
pub struct BeginCall {
    /// The run.
    pub run: RunKey,
    /// The request.
    pub call: Box<CallRequest>,
    /// Whether the run has nothing else to do until it is answered.
    pub park: bool,
    /// Whether failed attempts before the step are to be forgotten.
    pub had_failures: bool,
}

impl Command for BeginCall {
    type Reply = Recorded;

    fn size(&self) -> usize {
        self.call.body.len()
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Recorded, EngineError> {
        let step_id = self.call.step.step_id;
        let (run, is_new) = match begin(tx, &WaitFor::Key(self.run), step_id)? {
            Begun::Over(recorded) => return Ok(recorded),
            Begun::Waiting(run) => (run, false),
            Begun::New(run) => (run, true),
        };
        if self.had_failures {
            forget_attempts(tx, run.key, step_id)?;
        }
        if is_new {
            let step = self.call.step.clone();
            request(tx, run.key, self.call, tx.now)?;
            register(tx, run.key, Awaited::Answer, WaiterDetail::of(step))?;
        }
        Ok(waits(tx, &run, self.park)?)
    }
}

/// Adds the request of a step, to be made when it is due, unless the step has made one already.
pub(super) fn request(
    tx: &mut Transaction<'_>,
    run: RunKey,
    call: Box<CallRequest>,
    due: i64,
) -> Result<Appended, StoreError> {
    let identity = Identity::Request(call.step.step_id);
    let data = serde_json::to_vec(&StepRequest::Call(call))?;
    let appended = tx.store.append(run, identity, tx.now, &data)?;
    if let Appended::At(position) = appended {
        tx.schedule_as(DeliveryKind::Call, run, position, due)?;
    }
    Ok(appended)
}

/// A request has been made.
pub struct CallMade {
    /// Its delivery.
    pub id: i64,
    /// The run.
    pub run: RunKey,
    /// The answer, or what stands for it.
    pub answer: CallAnswer,
    /// Whether and when the answer allows another attempt, where it is no success.
    pub retry: Retry,
}

/// What a request was answered, or what stands for an answer where there was none.
pub struct CallAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderLists,
    /// The body.
    pub body: Vec<u8>,
    /// What is wrong with it, for people, where it is no success.
    pub error: String,
}

impl CallAnswer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn as_error(&self) -> StepError {
        StepError {
            error: self.error.clone(),
            body: String::new(),
            headers: self.headers.clone(),
            status: self.status,
            time: 0,
        }
    }
}

impl Command for CallMade {
    type Reply = ();

    fn size(&self) -> usize {
        self.answer.body.len()
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let Some(run) = tx.store.run(self.run)?.filter(Run::is_active) else { return Ok(()) };
        let Some(delivery) = tx.store.delivery(self.id)? else { return Ok(()) };
        let Some(entry) = tx.store.entry_at(delivery.position)? else { return Ok(()) };
        let StepRequest::Call(call) = serde_json::from_slice(&entry.data).map_err(StoreError::from)? else {
            return Ok(());
        };
        if !self.answer.is_success() && delivery.attempt < call.retries {
            let pause = match self.retry {
                Retry::Never => None,
                Retry::After(pause) => Some(pause),
                Retry::Backoff => Some(retry::delay(call.retry_delay.as_deref(), delivery.attempt + 1)),
            };
            if let Some(pause) = pause {
                let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                return Ok(repeat(tx, delivery, self.answer.as_error(), pause)?);
            }
        }
        tx.store.remove_delivery(delivery.id)?;
        match &call.callback {
            None => answered(tx, &run, &call.step, self.answer),
            Some(_) => tell_endpoint(tx, &run, &call, &entry, &delivery, self.answer),
        }
        .map_err(EngineError::from)
    }
}

/// Records what a step of a run of this process was answered.
fn answered(tx: &mut Transaction<'_>, run: &Run, step: &Step, answer: CallAnswer) -> Result<(), StoreError> {
    let Some(waiter) = tx.store.waiter_of_step(run.key, step.step_id)? else { return Ok(()) };
    let out = CallOut::new(answer.status, answer.headers, &answer.body);
    let step = Step { out: Some(serde_json::to_string(&out)?), ..step.clone() };
    resolve(tx, &waiter, &step).map(drop)
}

/// What an endpoint over HTTP is told of the answer to a call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult<'a> {
    status: u16,
    header: HeaderLists,
    body: String,
    retried: u32,
    max_retries: u32,
    source_message_id: String,
    url: &'a str,
    method: &'a str,
    source_header: HeaderLists,
    source_body: String,
    not_before: i64,
    created_at: i64,
    workflow_run_id: &'a str,
    workflow_url: &'a str,
    workflow_created_at: i64,
}

fn tell_endpoint(
    tx: &mut Transaction<'_>,
    run: &Run,
    call: &CallRequest,
    entry: &Entry,
    delivery: &Delivery,
    answer: CallAnswer,
) -> Result<(), StoreError> {
    let mut source_header = HeaderLists::new();
    for (name, value) in &call.headers {
        source_header.entry(name.clone()).or_default().push(value.clone());
    }
    let is_success = answer.is_success();
    let result = CallResult {
        status: answer.status,
        header: answer.headers,
        body: STANDARD.encode(&answer.body),
        retried: delivery.attempt,
        // Endpoints take it for the last attempt by this number; it may be an earlier one, if no other was allowed.
        max_retries: if is_success { call.retries } else { delivery.attempt },
        source_message_id: entry.message_id(),
        url: &call.url,
        method: &call.method,
        source_header,
        source_body: STANDARD.encode(&call.body),
        not_before: entry.at,
        created_at: entry.at,
        workflow_run_id: &run.id,
        workflow_url: &run.url,
        workflow_created_at: run.created_at,
    };
    let data = serde_json::to_vec(&result)?;
    let identity = Identity::Answer(call.step.step_id);
    if let Appended::At(position) = tx.store.append(run.key, identity, tx.now, &data)? {
        tx.schedule_as(DeliveryKind::CallResult, run.key, position, tx.now)?;
    }
    Ok(())
}

/// An endpoint over HTTP has taken what a call was answered. It has to have recorded the result by then: nothing else would
/// call it again.
pub struct CallTold {
    /// The delivery.
    pub id: i64,
    /// The run.
    pub run: RunKey,
    /// How often it is repeated, where that is not as often as any delivery of the run.
    pub max_retries: Option<u32>,
}

impl Command for CallTold {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let Some(delivery) = tx.store.delivery(self.id)? else { return Ok(()) };
        let step_id = match tx.store.entry_at(delivery.position)?.map(|entry| Identity::of(entry.code)) {
            Some(Identity::Answer(step_id)) => step_id,
            _ => return Ok(tx.store.remove_delivery(self.id)?),
        };
        if tx.store.entry(self.run, Identity::Result(step_id))?.is_some() {
            return Ok(tx.store.remove_delivery(self.id)?);
        }
        let error = format!(
            "the endpoint has taken what the call of step {step_id} was answered ({}), but has not recorded it as a result",
            message_id(delivery.position)
        );
        let error = StepError { error, status: 200, ..StepError::default() };
        delivery_failed(tx, self.id, self.run, error, Retry::Backoff, self.max_retries)
    }
}
