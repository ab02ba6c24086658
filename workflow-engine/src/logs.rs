//! Runs as they are listed (protocol, section C.5).

mod asked;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use workflow::{
    client::{
        FailureFunctionLog, GroupKind, HeaderLists, LogPage, LogQuery, RunLog, RunState, StepError,
        StepGroup, StepLog, StepState,
    },
    protocol::{
        Step, StepType,
        headers::{self, title_case},
    },
};

use self::asked::Asked;
use crate::{
    error::EngineError,
    readers::Readers,
    store::{
        Attempts, DeadLetter, Delivery, DeliveryKind, Entry, Identity, Reader, Run, RunKey, Stored, Waiter,
        message_id,
    },
};

/// A page has at most this many runs.
const MAX_RUNS: u32 = 10;

/// A page of runs with their steps.
pub async fn list(readers: &Readers, query: LogQuery) -> Result<LogPage, EngineError> {
    let before = match query.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        Some(cursor) => cursor
            .parse::<RunKey>()
            .map_err(|_| EngineError::Invalid(format!("`{cursor}` is not a cursor of an earlier page")))?,
        None => RunKey::MAX,
    };
    let count = query.count.unwrap_or(MAX_RUNS).clamp(1, MAX_RUNS);
    readers
        .read(move |reader| {
            // One more than asked for tells whether there is another page.
            let mut runs = reader.list(&query.filter, before, count + 1)?;
            let more = runs.len() > count as usize;
            runs.truncate(count as usize);
            let cursor = runs.last().filter(|_| more).map(|run| run.key.to_string());
            let runs = runs.iter().map(|run| log_of(reader, run)).collect::<Stored<_>>()?;
            Ok(LogPage { cursor, runs })
        })
        .await
}

fn log_of(reader: &dyn Reader, run: &Run) -> Stored<RunLog> {
    let deliveries = reader.deliveries(run.key)?;
    let telling = deliveries.iter().find(|delivery| delivery.kind == DeliveryKind::Failure).cloned();
    let facts = Facts {
        attempts: reader.attempts(run.key)?,
        deliveries: deliveries
            .into_iter()
            .filter(|delivery| delivery.kind != DeliveryKind::Failure)
            .collect(),
        waiters: reader.waiters_of_run(run.key)?,
        dead_letter: reader.dead_letter(run.key)?,
        asked: asked::read(reader, run.key)?,
    };
    let entries = reader.history(run.key, i64::MAX)?;
    let output = run.output.clone().filter(|_| run.state == RunState::RunSuccess);
    Ok(RunLog {
        workflow_run_id: run.id.clone(),
        workflow_url: run.url.clone(),
        workflow_state: run.state,
        workflow_run_created_at: run.created_at,
        workflow_run_completed_at: run.finished_at,
        workflow_run_response: output,
        invoker: asked::invoker(reader, run)?,
        dlq_id: facts.dead_letter.as_ref().filter(|letter| letter.is_queued).map(DeadLetter::public_id),
        failure_function: failure_function(run, facts.dead_letter.as_ref(), telling)?,
        label: run.config.labels.first().cloned(),
        labels: run.config.labels.clone(),
        flow_control_key: run.config.flow_control.as_ref().map(|limits| limits.key.clone()),
        workflow_run_caller_ip: run.config.caller_ip.clone(),
        steps: groups(run, &entries, &facts)?,
    })
}

/// What became of telling that a run has failed; `telling` is the delivery that does, if it is not over.
fn failure_function(
    run: &Run,
    letter: Option<&DeadLetter>,
    telling: Option<Delivery>,
) -> Stored<Option<FailureFunctionLog>> {
    let Some(letter) = letter else { return Ok(None) };
    let Some(callback) = &letter.callback else { return Ok(None) };
    let errors = telling.as_ref().and_then(|delivery| delivery.errors.as_deref());
    let errors = match errors {
        Some(errors) => serde_json::from_str(errors)?,
        None => callback.errors.clone(),
    };
    let answer = callback.answer.as_ref();
    Ok(Some(FailureFunctionLog {
        message_id: letter.message_id(),
        url: callback.url.clone(),
        state: callback.state,
        fail_headers: letter.failed.answer.headers.clone(),
        fail_status: letter.failed.answer.status,
        fail_response: letter.message(),
        dlq_id: letter.public_id(),
        errors,
        response_body: answer.map(|answer| answer.body.clone()),
        response_headers: answer.map(|answer| answer.headers.clone()),
        response_status: answer.map(|answer| answer.status),
        max_retries: Some(run.config.failure_retries()),
        next_delivery_time: telling.map(|delivery| delivery.due),
    }))
}

/// What else is known of a run.
struct Facts {
    attempts: Vec<Attempts>,
    deliveries: Vec<Delivery>,
    waiters: Vec<Waiter>,
    dead_letter: Option<DeadLetter>,
    /// What steps have asked the engine to do.
    asked: Vec<Asked>,
}

fn groups(run: &Run, entries: &[Entry], facts: &Facts) -> Stored<Vec<StepGroup>> {
    let mut groups = Vec::new();
    let mut steps: Vec<(Step, StepLog)> = Vec::new();
    for entry in entries {
        if entry.is_init() {
            groups.push(sequential(initial(run, entry)));
            continue;
        }
        let step: Step = serde_json::from_slice(&entry.data)?;
        let position = step.position();
        let is_plan = step.target_step.is_some();
        let mut log = step_log(run, entry, &step, is_plan, facts);
        if let Some(asked) = facts.asked.iter().find(|asked| asked.step_id() == position) {
            asked.complete(run, facts, &mut log, &step);
        }
        match steps.iter_mut().find(|(other, _)| other.position() == position) {
            // The result takes the place of its plan.
            Some(planned) => *planned = (step, log),
            None => steps.push((step, log)),
        }
    }
    steps.sort_by_key(|(step, _)| step.position());
    let mut steps = steps.into_iter().peekable();
    while let Some((step, log)) = steps.next() {
        if step.concurrent <= 1 {
            groups.push(sequential(log));
            continue;
        }
        let mut group = vec![log];
        while group.len() < step.concurrent as usize
            && let Some((_, log)) = steps.next_if(|(next, _)| next.concurrent == step.concurrent)
        {
            group.push(log);
        }
        groups.push(StepGroup { kind: GroupKind::Parallel, steps: group });
    }
    let next = next_steps(run, entries, facts)?;
    if !next.is_empty() {
        groups.push(StepGroup { kind: GroupKind::Next, steps: next });
    }
    Ok(groups)
}

fn sequential(step: StepLog) -> StepGroup {
    StepGroup { kind: GroupKind::Sequential, steps: vec![step] }
}

fn initial(run: &Run, entry: &Entry) -> StepLog {
    StepLog {
        step_id: Some(0),
        step_name: Some("init".to_owned()),
        step_type: Some(StepType::Initial),
        call_type: Some("step".to_owned()),
        message_id: entry.message_id(),
        out: Some(shown_payload(run, &entry.data)),
        concurrent: Some(1),
        state: Some(StepState::StepSuccess),
        created_at: Some(entry.at),
        retries: Some(run.config.max_retries()),
        retry_delay: run.config.retry_delay.clone(),
        headers: shown_headers(run),
        ..StepLog::default()
    }
}

fn step_log(run: &Run, entry: &Entry, step: &Step, is_plan: bool, facts: &Facts) -> StepLog {
    let waiter = facts.waiters.iter().find(|waiter| waiter.step_id == step.position());
    let sleeps_still = !is_plan
        && step.sleep_until.is_some_and(|until| {
            run.is_active() && facts.deliveries.iter().any(|delivery| delivery.due as f64 >= until * 1000.0)
        });
    let state = match (is_plan || sleeps_still, run.state) {
        (false, _) => StepState::StepSuccess,
        (true, RunState::RunStarted) => StepState::StepProgress,
        (true, _) => StepState::StepCanceled,
    };
    StepLog {
        step_id: Some(step.position()),
        step_name: Some(step.step_name.clone()),
        step_type: Some(step.step_type),
        call_type: Some("step".to_owned()),
        message_id: entry.message_id(),
        out: shown_result(step),
        concurrent: Some(step.concurrent),
        state: Some(state),
        created_at: Some(entry.at),
        retries: Some(run.config.max_retries()),
        retry_delay: run.config.retry_delay.clone(),
        sleep_for: step.sleep_for.clone(),
        sleep_until: step.sleep_until,
        wait_event_id: step.wait_event_id.clone(),
        wait_timeout_deadline: waiter.and_then(Waiter::deadline).map(|deadline| deadline.div_euclid(1000)),
        wait_timeout: step.wait_timeout,
        ..StepLog::default()
    }
}

/// The payload for people, or what stands for it where it must not be shown: two of the same are still recognised.
pub fn shown_payload(run: &Run, payload: &[u8]) -> String {
    if run.config.redact_payload { redacted(payload) } else { String::from_utf8_lossy(payload).into_owned() }
}

/// Headers that hold credentials by their nature. Whoever may list runs need not be allowed to do what they allow.
const CREDENTIALS: &[&str] = &["authorization", "cookie", "proxy-authorization"];

/// The caller's headers for people, by names such as `X-User`.
fn shown_headers(run: &Run) -> HeaderLists {
    let mut shown = HeaderLists::new();
    let of_the_caller = run.config.headers.iter().filter(|(name, _)| !name.starts_with("upstash-workflow-"));
    for (name, value) in of_the_caller {
        let is_credential = CREDENTIALS.iter().any(|credential| name.eq_ignore_ascii_case(credential));
        let is_hidden = is_credential || run.config.redact_headers.hides(name);
        let value = if is_hidden { redacted(value.as_bytes()) } else { value.clone() };
        shown.entry(title_case(name)).or_default().push(value);
    }
    shown
}

fn redacted(value: &[u8]) -> String {
    let digest = Sha256::digest(value);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("REDACTED:{hex}")
}

/// A step's result for people: the data of an event is shown as it was sent.
fn shown_result(step: &Step) -> Option<String> {
    let out = step.out.as_ref()?;
    match step.step_type {
        StepType::Wait | StepType::WaitForWebhook => {
            let data = STANDARD.decode(out).ok()?;
            Some(String::from_utf8_lossy(&data).into_owned())
        }
        _ => Some(out.clone()),
    }
}

/// What is not recorded yet: waits, failed attempts, and deliveries under way.
fn next_steps(run: &Run, entries: &[Entry], facts: &Facts) -> Stored<Vec<StepLog>> {
    let mut next = Vec::new();
    for waiter in facts.waiters.iter().filter(|waiter| waiter.event().is_some()) {
        let is_planned = entries.iter().any(|entry| entry.code == Identity::Plan(waiter.step_id).code());
        if is_planned {
            continue;
        }
        next.push(StepLog {
            step_id: Some(waiter.step_id),
            step_name: Some(waiter.detail.step.step_name.clone()),
            step_type: Some(waiter.detail.step.step_type),
            call_type: Some("step".to_owned()),
            concurrent: Some(waiter.detail.step.concurrent),
            state: Some(StepState::StepProgress),
            wait_event_id: waiter.event().map(str::to_owned),
            wait_timeout_deadline: waiter.deadline().map(|deadline| deadline.div_euclid(1000)),
            ..StepLog::default()
        });
    }
    next.extend(asked::unanswered(run, entries, facts));
    let last_state = match run.state {
        RunState::RunStarted => StepState::StepRetry,
        RunState::RunFailed => StepState::StepFailed,
        RunState::RunCanceled => StepState::StepCanceled,
        // What has failed before it returned was tried again.
        RunState::RunSuccess => return Ok(Vec::new()),
    };
    let last_message = || message_id(entries.last().map_or(0, |entry| entry.position));
    for attempts in &facts.attempts {
        let errors = serde_json::from_str::<Vec<StepError>>(&attempts.errors)?;
        next.push(StepLog {
            message_id: last_message(),
            step_name: attempts.step_name.clone().or_else(|| failed_step(&errors)),
            state: Some(last_state),
            retries: Some(attempts.count.saturating_sub(1)),
            retry_delay: run.config.retry_delay.clone(),
            errors,
            next_delivery_time: Some(attempts.due).filter(|due| *due != i64::MAX && run.is_active()),
            ..StepLog::default()
        });
    }
    let goes_on = |delivery: &&Delivery| delivery.kind == DeliveryKind::Run;
    for delivery in facts.deliveries.iter().filter(goes_on) {
        let errors: Vec<StepError> =
            delivery.errors.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
        let is_retry = delivery.attempt > 0;
        if delivery.position == 0 && !is_retry && (!facts.attempts.is_empty() || !facts.waiters.is_empty()) {
            continue;
        }
        next.push(StepLog {
            message_id: if delivery.position == 0 { last_message() } else { message_id(delivery.position) },
            step_name: failed_step(&errors),
            state: Some(if is_retry { StepState::StepRetry } else { StepState::StepProgress }),
            retries: Some(delivery.attempt),
            retry_delay: run.config.retry_delay.clone(),
            errors,
            next_delivery_time: Some(delivery.due),
            ..StepLog::default()
        });
    }
    Ok(next)
}

/// The step that failed, as an endpoint over HTTP has named it.
fn failed_step(errors: &[StepError]) -> Option<String> {
    errors.last()?.headers.get(headers::ERROR_STEP_NAME)?.first().cloned()
}
