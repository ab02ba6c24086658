//! Deliveries to the app of this process: its own service is called with a request, and the handler reports straight to the
//! writer and goes on.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::http::{HeaderName, HeaderValue, Method, Request, Response, header};
use bytes::Bytes;
use futures_util::FutureExt;
use workflow::{
    FlowControl,
    client::{HeaderLists, StepError},
    engine::{self, App, BoxFuture, FailedAttempts, Mode, Reply, Report, ReportError, Reporter, Retry},
    protocol::{Step, headers, run_id::run_id_of},
};

use super::{Dispatcher, flow_control::Permit, load::Load};
use crate::{
    command::{
        AttemptFailed, BeginCall, BeginSleep, CancelOwn, Complete, DeliveryFailed, Due, Invoke, Notify,
        NotifyReply, NotifyStep, Park, RecordStep, Recorded, Verdict, Wait, WaitFor,
    },
    error::EngineError,
    requests,
    store::{Reader, Run, RunKey, StoreError, Stored, payload_and_steps},
    trigger, webhook,
};

/// A run as a handler needs it.
pub(super) struct Snapshot {
    run: Run,
    payload: Bytes,
    history: Vec<Step>,
    failed_attempts: Vec<FailedAttempts>,
}

impl Snapshot {
    /// A run that has just been triggered.
    pub(super) fn fresh(run: Run, payload: Bytes) -> Self {
        Self { run, payload, history: Vec::new(), failed_attempts: Vec::new() }
    }
}

impl Load for Snapshot {
    /// Reads a run; `None` if it has ended.
    fn read(reader: &dyn Reader, key: RunKey) -> Stored<Option<Self>> {
        let Some(run) = reader.run(key)?.filter(Run::is_active) else { return Ok(None) };
        let (payload, history) = payload_and_steps(reader.history(key, i64::MAX)?)?;
        let failed_attempts = reader
            .attempts(key)?
            .into_iter()
            .map(|attempts| FailedAttempts {
                step_id: attempts.step_id,
                count: attempts.count,
                due: attempts.due,
            })
            .collect();
        Ok(Some(Self { run, payload, history, failed_attempts }))
    }

    fn limits(&self) -> Option<&FlowControl> {
        self.run.config.flow_control.as_ref()
    }

    async fn deliver(self, dispatcher: Arc<Dispatcher>, app: Arc<dyn App>, due: Due) {
        let reporter = Arc::new(RunReporter {
            dispatcher: Arc::clone(&dispatcher),
            run: due.run,
            run_id: self.run.id.clone(),
            failed_steps: Mutex::new(self.failed_attempts.iter().map(|failed| failed.step_id).collect()),
            concluded: AtomicBool::new(false),
        });
        let request = match request(self, &due, Arc::clone(&reporter) as Arc<dyn Reporter>) {
            Ok(request) => request,
            Err(reason) => {
                settle(&dispatcher, due, StepError { error: reason, ..StepError::default() }, Retry::Never)
                    .await;
                return;
            }
        };
        let answer = std::panic::AssertUnwindSafe(async { app.call(request).await }).catch_unwind().await;
        // During a shutdown, what is not concluded stays as it is, to be made again by the next start.
        if reporter.concluded.load(Ordering::Acquire) || dispatcher.is_draining() {
            return;
        }
        let (error, retry) = match answer {
            Ok(answer) => failure_of(&answer),
            Err(panic) => {
                let error = format!("the app panicked: {}", panic_message(panic.as_ref()));
                (StepError { error, ..StepError::default() }, Retry::Backoff)
            }
        };
        settle(&dispatcher, due, error, retry).await;
    }
}

/// Counts a delivery as failed.
async fn settle(dispatcher: &Arc<Dispatcher>, due: Due, error: StepError, retry: Retry) {
    let failed = DeliveryFailed { id: due.id, run: due.run, error, retry, max_retries: None };
    if let Err(EngineError::Store(error)) = dispatcher.writer.submit(failed).await {
        tracing::error!(%error, run = due.run, "a failed delivery could not be recorded; it is made again");
        dispatcher.again(due);
    }
}

/// Gives the turn and the permit back, however the delivery ends, and even if it never begins.
pub(super) struct Turn {
    dispatcher: Arc<Dispatcher>,
    id: i64,
    run: RunKey,
    _permit: Option<Permit>,
}

impl Turn {
    pub(super) fn new(dispatcher: Arc<Dispatcher>, id: i64, run: RunKey, permit: Option<Permit>) -> Self {
        Self { dispatcher, id, run, _permit: permit }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.dispatcher.ended_in_process(self.id, self.run);
    }
}

/// The request that the app gets. It is one as any other, so that its routes, extractors and middleware do what they always do.
fn request(snapshot: Snapshot, due: &Due, reporter: Arc<dyn Reporter>) -> Result<Request<Bytes>, String> {
    let Snapshot { run, payload, history, failed_attempts } = snapshot;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&run.url)
        .body(payload.clone())
        .map_err(|error| format!("the workflow path `{}` is no path: {error}", run.url))?;
    let target = request.headers_mut();
    for (name, value) in &run.config.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            target.append(name, value);
        }
    }
    let content_type = run.config.content_type.as_deref().unwrap_or("application/json");
    if let Ok(value) = HeaderValue::try_from(content_type) {
        target.insert(header::CONTENT_TYPE, value);
    }
    target.insert(headers::RETRIED, due.attempt.into());
    if let Ok(id) = HeaderValue::try_from(&run.id) {
        target.insert(headers::WORKFLOW_RUN_ID, id);
    }
    if !run.config.labels.is_empty()
        && let Ok(labels) = HeaderValue::try_from(run.config.labels.join(","))
    {
        target.insert(headers::LABEL, labels);
    }
    let delivery = engine::Delivery {
        run: run.into_info(),
        payload,
        task: engine::Task::GoOn { history, failed_attempts, reporter },
    };
    request.extensions_mut().insert(Arc::new(delivery));
    Ok(request)
}

/// What an answer says that ended without the handler's own report: a rejected extractor, a missing route, ….
fn failure_of(answer: &Response<Bytes>) -> (StepError, Retry) {
    let status = answer.status();
    let mut lists = HeaderLists::new();
    for (name, value) in answer.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        lists.entry(name.as_str().to_owned()).or_default().push(value);
    }
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    let error = match status.as_u16() {
        404 => "no route of the app serves the path of this workflow (404): is it mounted there?".to_owned(),
        405 => "the route at the path of this workflow takes no POST (405): is it mounted with `serve`?"
            .to_owned(),
        _ if status.is_success() => {
            "the route at the path of this workflow is not a workflow: it answered without reporting \
                                     what the run did"
                .to_owned()
        }
        _ => format!("the app answered {status}: {body}"),
    };
    let never = super::http::is_non_retryable(status.as_u16(), |name| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    });
    let after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let retry = match (never || status.is_success(), after) {
        (true, _) => Retry::Never,
        (false, Some(after)) => Retry::After(after),
        (false, None) => Retry::Backoff,
    };
    (StepError { error, body, headers: lists, status: status.as_u16(), time: 0 }, retry)
}

pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no message)".to_owned())
}

/// Takes the reports of one delivery.
struct RunReporter {
    dispatcher: Arc<Dispatcher>,
    run: RunKey,
    /// Its public id.
    run_id: String,
    /// Steps with failed attempts on record.
    failed_steps: Mutex<Vec<u32>>,
    /// Set by the report that ends the delivery.
    concluded: AtomicBool,
}

impl RunReporter {
    async fn take(&self, report: Report) -> Result<Reply, EngineError> {
        let writer = &self.dispatcher.writer;
        let run = self.run;
        match report {
            Report::Append(step) => {
                let had_failures = self.had_failures(step.step_id);
                let recorded = writer.submit(RecordStep { run, step, had_failures }).await?;
                Ok(self.recorded(recorded, false))
            }
            Report::Sleep { step, park } => {
                let had_failures = self.had_failures(step.step_id);
                let recorded = writer.submit(BeginSleep { run, step, park, had_failures }).await?;
                Ok(self.recorded(recorded, park))
            }
            Report::Wait { step, event_id, timeout, park } => {
                crate::limits::check_id("event id", &event_id)?;
                let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
                let wait = Wait {
                    run: WaitFor::Key(run),
                    had_failures: self.had_failures(step.step_id),
                    step,
                    event: event_id,
                    timeout,
                    park,
                    headers: HeaderLists::new(),
                    timeout_headers: HeaderLists::new(),
                };
                Ok(self.recorded(writer.submit(wait).await?, park))
            }
            Report::Notify { step, event_id, data, run_id } => {
                crate::limits::check_id("event id", &event_id)?;
                let had_failures = self.had_failures(step.step_id);
                let step = Some(NotifyStep { run, step, had_failures });
                let run_id = run_id.as_deref().map(run_id_of);
                let notify = Notify { event: event_id, data, run_id, deduplication: None, step };
                match writer.submit(notify).await? {
                    NotifyReply::Step(recorded) => Ok(self.recorded(recorded, false)),
                    NotifyReply::Notified(_) => Ok(Reply::Pending),
                }
            }
            Report::Failed(failure) => {
                let (step_id, park) = (failure.step_id, failure.park);
                self.failed_steps().push(step_id);
                match writer.submit(AttemptFailed { run, failure }).await? {
                    Verdict::RetryAt(due) => {
                        if park {
                            self.conclude();
                        }
                        Ok(Reply::RetryAt(due))
                    }
                    Verdict::Recorded(step) => Ok(self.recorded(Recorded::Step(step), false)),
                    Verdict::Ended => Ok(self.recorded(Recorded::Ended, false)),
                }
            }
            Report::Park { retry_at } => {
                // While the engine shuts down, the delivery stays as well.
                if !self.dispatcher.is_draining() {
                    writer.submit(Park { run, retry_at }).await?;
                }
                self.conclude();
                Ok(Reply::Done)
            }
            Report::Complete { output } => {
                let was_active = writer.submit(Complete { run, output }).await?;
                self.conclude();
                Ok(if was_active { Reply::Done } else { Reply::Ended })
            }
            Report::Call { step, call, park } => {
                let had_failures = self.had_failures(step.step_id);
                let call = Box::new(requests::understand(step, *call)?);
                let begin = BeginCall { run, call, park, had_failures };
                Ok(self.recorded(writer.submit(begin).await?, park))
            }
            Report::Invoke { step, child, park } => {
                let child = trigger::understand(*child, &self.dispatcher.urls)?;
                let had_failures = self.had_failures(step.step_id);
                let invoke = Invoke { run, step, child, park, had_failures };
                Ok(self.recorded(writer.submit(invoke).await?, park))
            }
            Report::CreateWebhook(mut step) => {
                let webhooks = self.dispatcher.webhooks.as_ref().ok_or_else(webhook::no_base)?;
                let webhook = webhooks.create(&self.run_id);
                step.out = Some(serde_json::to_string(&webhook).map_err(StoreError::from)?);
                let had_failures = self.had_failures(step.step_id);
                let recorded = writer.submit(RecordStep { run, step, had_failures }).await?;
                Ok(self.recorded(recorded, false))
            }
            Report::Cancel => {
                let was_active = writer.submit(CancelOwn { run }).await?;
                self.conclude();
                Ok(if was_active { Reply::Done } else { Reply::Ended })
            }
            Report::Plan(_) => Err(EngineError::Invalid("plans are for engines over HTTP".to_owned())),
        }
    }

    fn recorded(&self, recorded: Recorded, park: bool) -> Reply {
        match recorded {
            // A shutdown ends the handler at its next step. The step is recorded; the delivery stays for the next start.
            Recorded::Step(_) if self.dispatcher.is_draining() => Reply::Pending,
            Recorded::Step(step) => Reply::Recorded(*step),
            Recorded::Pending => {
                if park {
                    self.conclude();
                }
                Reply::Pending
            }
            Recorded::Ended => {
                self.conclude();
                Reply::Ended
            }
        }
    }

    fn conclude(&self) {
        self.concluded.store(true, Ordering::Release);
    }

    /// Whether there are failed attempts to forget with this step: its own, or that the code did not fit (noted as step 0).
    fn had_failures(&self, step_id: u32) -> bool {
        let mut failed = self.failed_steps();
        let before = failed.len();
        failed.retain(|failed| *failed != 0);
        failed.len() < before || failed.contains(&step_id)
    }

    fn failed_steps(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.failed_steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for RunReporter {
    fn mode(&self) -> Mode {
        Mode::Continue
    }

    fn now(&self) -> i64 {
        self.dispatcher.clock.now()
    }

    fn report(&self, report: Report) -> BoxFuture<'_, Result<Reply, ReportError>> {
        Box::pin(async move {
            self.take(report).await.map_err(|error| ReportError {
                permanent: matches!(error.status(), 400 | 404 | 412),
                message: error.to_string(),
            })
        })
    }
}
