//! A small engine in memory that keeps what handlers report, and delivers runs to them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Response};
use serde_json::{Value, json};
use workflow::{
    EngineHandle, Workflow,
    endpoint::{self, Request},
    engine::{
        BoxFuture, Delivery, FailedAttempts, Failure, HttpEngine, Mode, Reply, Report, ReportError, Reporter,
        Retry, RunInfo, Task,
    },
    protocol::{Step, StepType},
};

/// Milliseconds since the Unix epoch at which every test begins.
pub const START: i64 = 1_700_000_000_000;

/// An engine for one run.
pub struct Recorder {
    mode: Mode,
    now: AtomicI64,
    log: Mutex<Log>,
    /// What the app is attached to.
    handle: Option<EngineHandle>,
}

#[derive(Default)]
struct Log {
    history: Vec<Step>,
    failed: Vec<FailedAttempts>,
    retries: u32,
    /// What was reported, in short.
    reports: Vec<String>,
    /// How many reports are taken before the process "dies": a report after that is never answered.
    lives: Option<usize>,
    over: bool,
    output: Option<Option<String>>,
    failure: Option<Failure>,
}

impl Recorder {
    pub fn new(mode: Mode) -> Arc<Self> {
        let log = Log { retries: 3, ..Log::default() };
        Arc::new(Self { mode, now: AtomicI64::new(START), log: Mutex::new(log), handle: None })
    }

    /// An engine whose app says this of its workflows.
    pub fn told(mode: Mode, tell: impl FnOnce(EngineHandle) -> EngineHandle) -> Arc<Self> {
        let handle = EngineHandle::from(HttpEngine::new("http://engine.test", "token").unwrap());
        let mut engine = Self::new(mode);
        Arc::get_mut(&mut engine).unwrap().handle = Some(tell(handle));
        engine
    }

    /// Delivers the run once.
    pub async fn deliver<W: Workflow<Args = ()>>(self: &Arc<Self>, payload: &str) -> Response<Bytes> {
        self.deliver_entries::<W>(payload, usize::MAX).await
    }

    /// Delivers each entry of the history once, with the history up to it, as an engine does over HTTP.
    pub async fn deliver_each<W: Workflow<Args = ()>>(self: &Arc<Self>, payload: &str) {
        let mut entries = 0;
        while entries <= self.history().len() && !self.is_over() {
            let answer = self.deliver_entries::<W>(payload, entries).await;
            assert_eq!(answer.status(), 200, "{answer:?}");
            entries += 1;
        }
        assert!(self.is_over(), "{:?}", self.reports());
    }

    async fn deliver_entries<W: Workflow<Args = ()>>(
        self: &Arc<Self>,
        payload: &str,
        entries: usize,
    ) -> Response<Bytes> {
        let delivery = {
            let log = self.log.lock().unwrap();
            Delivery {
                run: RunInfo {
                    id: "wfr_test".to_owned(),
                    url: "/test".to_owned(),
                    created_at: START,
                    labels: vec!["a".to_owned(), "b".to_owned()],
                    retries: log.retries,
                    invoke_count: 0,
                },
                payload: Bytes::copy_from_slice(payload.as_bytes()),
                task: Task::GoOn {
                    history: log.history.iter().take(entries).cloned().collect(),
                    failed_attempts: log.failed.clone(),
                    reporter: Arc::clone(self) as Arc<dyn Reporter>,
                },
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-user", "ada".parse().unwrap());
        headers.insert("upstash-workflow-runid", "wfr_test".parse().unwrap());
        let request = Request {
            url: "/test".to_owned(),
            headers,
            body: Bytes::new(),
            engine: self.handle.clone(),
            delivery: Some(Arc::new(delivery)),
        };
        endpoint::handle::<W>(request, ()).await
    }

    /// Delivers the run until it is over, at most `times` times, with time passing in between.
    pub async fn deliver_until_over<W: Workflow<Args = ()>>(self: &Arc<Self>, payload: &str, times: usize) {
        for _ in 0..times {
            self.deliver::<W>(payload).await;
            if self.is_over() {
                return;
            }
            self.pass(3_600_000);
        }
        panic!("not over after {times} deliveries: {:?}", self.reports());
    }

    /// Dies after so many more reports: the next one is lost with the process.
    pub fn die_after(&self, reports: usize) {
        self.log.lock().unwrap().lives = Some(reports);
    }

    pub fn is_dead(&self) -> bool {
        self.log.lock().unwrap().lives == Some(0)
    }

    pub fn revive(&self) {
        self.log.lock().unwrap().lives = None;
    }

    pub fn pass(&self, milliseconds: i64) {
        self.now.fetch_add(milliseconds, Ordering::Relaxed);
    }

    pub fn retries(&self, retries: u32) {
        self.log.lock().unwrap().retries = retries;
    }

    /// Adds an entry to the history, as the engine or another invocation would.
    pub fn record(&self, step: Step) {
        self.log.lock().unwrap().history.push(step);
    }

    /// Changes the history.
    pub fn edit(&self, edit: impl FnOnce(&mut Vec<Step>)) {
        edit(&mut self.log.lock().unwrap().history);
    }

    /// Ends a wait with data, or (nothing) by its timeout.
    pub fn resolve_wait(&self, step_id: u32, name: &str, concurrent: u32, data: Option<&str>) {
        let mut step = Step::new(step_id, name, StepType::Wait);
        step.concurrent = concurrent;
        step.out = data.map(|data| STANDARD.encode(data));
        step.wait_timeout = Some(data.is_none());
        self.record(step);
    }

    pub fn history(&self) -> Vec<Step> {
        self.log.lock().unwrap().history.clone()
    }

    /// Ids and names of the recorded steps.
    pub fn recorded(&self) -> Vec<(u32, String)> {
        self.history().into_iter().map(|step| (step.step_id, step.step_name)).collect()
    }

    /// What was reported, in short.
    pub fn reports(&self) -> Vec<String> {
        self.log.lock().unwrap().reports.clone()
    }

    pub fn forget_reports(&self) {
        self.log.lock().unwrap().reports.clear();
    }

    pub fn is_over(&self) -> bool {
        self.log.lock().unwrap().over
    }

    /// What the workflow returned, if it did.
    pub fn output(&self) -> Option<Value> {
        let log = self.log.lock().unwrap();
        log.output.as_ref().map(|output| serde_json::from_str(output.as_deref().unwrap_or("null")).unwrap())
    }

    /// The failure that was reported last.
    pub fn failure(&self) -> Option<Failure> {
        self.log.lock().unwrap().failure.clone()
    }

    fn take(&self, report: Report) -> Option<Reply> {
        let mut log = self.log.lock().unwrap();
        if let Some(lives) = &mut log.lives {
            *lives = lives.checked_sub(1)?;
        }
        log.reports.push(short(&report));
        if log.over {
            return Some(Reply::Ended);
        }
        let suspend = self.mode == Mode::Suspend;
        let reply = match report {
            Report::Plan(steps) => {
                log.history.extend(steps);
                Reply::Pending
            }
            Report::Append(step) => recorded(&mut log, step),
            Report::Sleep { step, .. } => {
                log.history.push(step);
                Reply::Pending
            }
            Report::Wait { mut step, .. } => {
                if suspend {
                    step.wait_timeout = Some(true);
                    log.history.push(step);
                }
                Reply::Pending
            }
            Report::Notify { mut step, event_id, data, run_id } => {
                let data: Value = serde_json::from_slice(&data).unwrap_or_default();
                let told = json!({ "workflowRunId": run_id.clone().unwrap_or("wfr_waiter".to_owned()) });
                let response = if run_id.is_some() { told } else { json!([told]) };
                let out = json!({ "eventId": event_id, "eventData": data, "notifyResponse": response });
                step.out = Some(out.to_string());
                recorded(&mut log, step)
            }
            Report::Call { mut step, call, .. } => {
                let answer = json!({
                    "status": 201,
                    "header": { "Content-Type": ["application/json"] },
                    "body": format!(r#"{{"called":"{} {}"}}"#, call.method, call.url),
                });
                step.out = Some(answer.to_string());
                recorded(&mut log, step)
            }
            Report::Invoke { mut step, child, .. } => {
                let body = json!({ "child": child.url }).to_string();
                step.out = Some(json!({ "body": body, "isCanceled": false, "isFailed": false }).to_string());
                recorded(&mut log, step)
            }
            Report::CreateWebhook(mut step) => {
                let webhook = json!({ "webhookUrl": "http://engine.test/hook/evt_1", "eventId": "evt_1" });
                step.out = Some(webhook.to_string());
                recorded(&mut log, step)
            }
            Report::Cancel => {
                log.over = true;
                Reply::Done
            }
            Report::Failed(failure) => self.failed(&mut log, failure),
            Report::Park { .. } => Reply::Done,
            Report::Complete { output } => {
                log.over = true;
                log.output = Some(output);
                Reply::Done
            }
        };
        Some(if suspend && matches!(reply, Reply::Recorded(_)) { Reply::Pending } else { reply })
    }

    fn failed(&self, log: &mut Log, failure: Failure) -> Reply {
        log.failure = Some(failure.clone());
        if self.mode == Mode::Suspend {
            return Reply::Answer;
        }
        let known = log.failed.iter().position(|failed| failed.step_id == failure.step_id);
        let count = known.map_or(1, |known| log.failed.remove(known).count + 1);
        let last = failure.retry == Retry::Never || count > failure.max_retries.unwrap_or(log.retries);
        match failure.record {
            Some(record) if last => recorded(log, record),
            None if last => {
                log.over = true;
                Reply::Ended
            }
            _ => {
                let delay = match failure.retry {
                    Retry::After(delay) => i64::try_from(delay.as_millis()).unwrap(),
                    Retry::Backoff | Retry::Never => 1000,
                };
                let due = self.now() + delay;
                log.failed.push(FailedAttempts { step_id: failure.step_id, count, due });
                Reply::RetryAt(due)
            }
        }
    }
}

/// The first result of a step wins.
fn recorded(log: &mut Log, step: Step) -> Reply {
    match log.history.iter().find(|known| known.step_id == step.step_id) {
        Some(first) => Reply::Recorded(first.clone()),
        None => {
            log.history.push(step.clone());
            Reply::Recorded(step)
        }
    }
}

impl Reporter for Recorder {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    fn report(&self, report: Report) -> BoxFuture<'_, Result<Reply, ReportError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match self.take(report) {
                Some(reply) => Ok(reply),
                None => Err(ReportError { message: "the process has died".to_owned(), permanent: false }),
            }
        })
    }
}

/// A report in short: `append 1 a "x"`, `sleep 2 b park`, ….
fn short(report: &Report) -> String {
    let park = |park: &bool| if *park { " park" } else { "" };
    match report {
        Report::Plan(steps) => {
            let plans: Vec<_> =
                steps.iter().map(|step| format!("{} {}", step.position(), step.step_name)).collect();
            format!("plan {}", plans.join(", "))
        }
        Report::Append(step) => {
            format!("append {} {} {}", step.step_id, step.step_name, step.out.as_deref().unwrap_or("-"))
        }
        Report::Sleep { step, park: p } => format!("sleep {} {}{}", step.step_id, step.step_name, park(p)),
        Report::Wait { step, event_id, park: p, .. } => {
            format!("wait {} {} for {event_id}{}", step.step_id, step.step_name, park(p))
        }
        Report::Notify { step, event_id, .. } => {
            format!("notify {} {} of {event_id}", step.step_id, step.step_name)
        }
        Report::Call { step, call, park: p } => {
            format!("call {} {} {} {}{}", step.step_id, step.step_name, call.method, call.url, park(p))
        }
        Report::Invoke { step, child, park: p } => {
            format!("invoke {} {} {}{}", step.step_id, step.step_name, child.url, park(p))
        }
        Report::CreateWebhook(step) => format!("webhook {} {}", step.step_id, step.step_name),
        Report::Cancel => "cancel".to_owned(),
        Report::Failed(failure) => format!(
            "failed {} {}{}",
            failure.step_id,
            failure.step_name.as_deref().unwrap_or("-"),
            park(&failure.park)
        ),
        Report::Park { .. } => "park".to_owned(),
        Report::Complete { output } => format!("complete {}", output.as_deref().unwrap_or("-")),
    }
}
