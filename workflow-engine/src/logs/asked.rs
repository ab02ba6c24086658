//! What steps have asked the engine to do, as it is listed: calls, and runs that they invoke.

use workflow::{
    client::{HeaderLists, Invoker, RunState, StepError, StepLog, StepState},
    protocol::{CallOut, Step},
};

use super::Facts;
use crate::store::{DeliveryKind, Entry, Identity, Reader, Run, RunKey, StepRequest, Stored};

/// Headers that are not listed.
const CREDENTIALS: &[&str] = &["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// What a step has asked for.
pub(super) struct Asked {
    entry: Entry,
    request: StepRequest,
    /// The run that was invoked.
    child: Option<Run>,
}

pub(super) fn read(reader: &dyn Reader, run: RunKey) -> Stored<Vec<Asked>> {
    let asked = |entry: Entry| {
        let request = serde_json::from_slice(&entry.data)?;
        let child = match &request {
            StepRequest::Invoke { child, .. } => reader.run(*child)?,
            StepRequest::Call(_) => None,
        };
        Ok(Asked { entry, request, child })
    };
    reader.requests(run)?.into_iter().map(asked).collect()
}

/// The run that has invoked this one.
pub(super) fn invoker(reader: &dyn Reader, run: &Run) -> Stored<Option<Invoker>> {
    let Some(invoker) = run.config.invoker else { return Ok(None) };
    Ok(reader.run(invoker)?.map(|invoker| Invoker {
        workflow_run_id: invoker.id,
        workflow_url: invoker.url,
        workflow_run_created_at: invoker.created_at,
    }))
}

/// Steps that are asking still, and are listed nowhere else.
pub(super) fn unanswered(run: &Run, entries: &[Entry], facts: &Facts) -> Vec<StepLog> {
    let is_listed = |asked: &Asked| {
        let codes = [Identity::Plan(asked.step_id()), Identity::Result(asked.step_id())].map(Identity::code);
        entries.iter().any(|entry| codes.contains(&entry.code))
    };
    facts.asked.iter().filter(|asked| !is_listed(asked)).map(|asked| asked.log(run, facts)).collect()
}

impl Asked {
    pub(super) fn step_id(&self) -> u32 {
        self.request.step().step_id
    }

    fn log(&self, run: &Run, facts: &Facts) -> StepLog {
        let step = self.request.step();
        let is_call = matches!(self.request, StepRequest::Call(_));
        let mut log = StepLog {
            step_id: Some(step.step_id),
            step_name: Some(step.step_name.clone()),
            step_type: Some(step.step_type),
            call_type: Some(if is_call { "toCallback" } else { "step" }.to_owned()),
            message_id: self.entry.message_id(),
            concurrent: Some(step.concurrent),
            state: Some(match run.state {
                RunState::RunStarted => StepState::StepProgress,
                _ => StepState::StepCanceled,
            }),
            created_at: Some(self.entry.at),
            ..StepLog::default()
        };
        self.complete(run, facts, &mut log, step);
        log
    }

    /// Adds to the log of a step what it has asked for, and what has come of it so far.
    pub(super) fn complete(&self, run: &Run, facts: &Facts, log: &mut StepLog, step: &Step) {
        match &self.request {
            StepRequest::Invoke { .. } => {
                if let Some(child) = &self.child {
                    log.invoked_workflow_run_id = Some(child.id.clone());
                    log.invoked_workflow_url = Some(child.url.clone());
                    log.invoked_workflow_created_at = Some(child.created_at);
                }
            }
            StepRequest::Call(call) => {
                log.call_url = Some(call.url.clone());
                log.call_method = Some(call.method.clone());
                log.call_headers = without_credentials(&call.headers);
                log.call_body = Some(String::from_utf8_lossy(&call.body).into_owned());
                log.retries = Some(call.retries);
                log.retry_delay.clone_from(&call.retry_delay);
                let out = step.out.as_deref().and_then(|out| serde_json::from_str::<CallOut>(out).ok());
                if let Some(out) = out {
                    log.call_response_status = Some(out.status);
                    log.call_response_body = Some(String::from_utf8_lossy(&out.bytes()).into_owned());
                    log.call_response_headers = out.header;
                }
            }
        }
        if run.is_active() && step.out.is_none() {
            self.attempts(facts, log);
        }
    }

    /// Adds the failed attempts to make the request.
    fn attempts(&self, facts: &Facts, log: &mut StepLog) {
        let mut deliveries = facts.deliveries.iter();
        let Some(delivery) = deliveries.find(|delivery| {
            delivery.kind == DeliveryKind::Call
                && delivery.position == self.entry.position
                && delivery.attempt > 0
        }) else {
            return;
        };
        let errors = delivery.errors.as_deref().unwrap_or("[]");
        log.errors = serde_json::from_str::<Vec<StepError>>(errors).unwrap_or_default();
        log.state = Some(StepState::StepRetry);
        log.next_delivery_time = Some(delivery.due);
    }
}

fn without_credentials(headers: &[(String, String)]) -> HeaderLists {
    let mut lists = HeaderLists::new();
    for (name, value) in headers {
        if !CREDENTIALS.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
            lists.entry(name.clone()).or_default().push(value.clone());
        }
    }
    lists
}
