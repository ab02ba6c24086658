//! Reports as messages to the engine.

use std::{collections::BTreeMap, time::Duration};

use ::http::{HeaderMap, Method};
use serde::Serialize;
use serde_json::Value;

use super::HttpRun;
use crate::{
    ClientError,
    client::{
        Connection, Notification, deliver_notification,
        message::{Message, MessageHeaders, header, run_headers, set},
        request::{Request, segment},
        settings::now_ms,
    },
    engine::{BoxFuture, Failure, Mode, Reply, Report, ReportError, Reporter, Retry},
    protocol::{
        Step, StepType,
        duration::{format_duration, parse_duration},
        headers::{self, FORWARD_PREFIX},
    },
};

pub(super) struct HttpReporter {
    connection: Connection,
    run: HttpRun,
}

impl HttpReporter {
    pub(super) fn new(connection: Connection, run: HttpRun) -> Self {
        Self { connection, run }
    }

    /// Submits steps as one batch, all or nothing.
    async fn submit(&self, steps: Vec<Step>) -> Result<Reply, ReportError> {
        let messages = steps.iter().map(|step| self.message(step)).collect::<Result<Vec<_>, _>>()?;
        let batch = json(&messages)?;
        self.send(Request::new(Method::POST, "/v2/batch").json(batch)).await
    }

    async fn send(&self, request: Request) -> Result<Reply, ReportError> {
        self.replied(self.connection.send(request).await.map(drop))
    }

    /// The engine answers 400 where the run has ended: then nothing that is reported counts any more.
    fn replied(&self, answer: Result<(), ClientError>) -> Result<Reply, ReportError> {
        match answer {
            Ok(()) => Ok(Reply::Pending),
            Err(ClientError::Refused { status: 400, message }) => {
                tracing::warn!(run = %self.run.info.id, %message, "the engine takes no more steps of this run");
                Ok(Reply::Ended)
            }
            Err(error) => Err(failed(&error, |status| status == 412)),
        }
    }

    async fn wait(&self, step: &Step, event_id: &str, timeout: Duration) -> Result<Reply, ReportError> {
        let mut message = self.headers();
        set(&mut message, headers::WORKFLOW_CALL_TYPE, "step");
        let url = self.run.info.url.as_str();
        let body = json(&WaitBody {
            url,
            timeout: format_duration(timeout),
            timeout_url: url,
            timeout_headers: message
                .iter()
                .map(|(name, value)| (canonical(name), [value.as_str()]))
                .collect(),
            step: Step {
                concurrent: step.concurrent,
                ..Step::new(step.step_id, step.step_name.as_str(), step.step_type)
            },
        })?;
        let path = format!("/v2/wait/{}", segment(event_id, "the event id").map_err(|e| unusable(&e))?);
        let mut request = Request::new(Method::POST, path).json(body);
        request.headers.extend(header_map(&message).map_err(|error| unusable(&error))?);
        self.send(request).await
    }

    async fn notify(&self, mut step: Step, notification: Notification) -> Result<Reply, ReportError> {
        let event_id = notification.event_id.clone();
        let event_data = match notification.data.as_ref() {
            [] => None,
            data => Some(
                serde_json::from_slice(data)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned())),
            ),
        };
        let notification = Notification { deduplication_id: Some(self.identity(&step)), ..notification };
        let one_run = notification.run_id.clone();
        let notify_response = match deliver_notification(&self.connection, notification).await {
            Ok(Value::Null) => Value::Array(Vec::new()),
            Ok(answer) => answer,
            // Refused: the answer says so, and the workflow decides.
            Err(ClientError::Refused { status, message }) if is_for_good(status) => refused(one_run, message),
            Err(error) => return Err(failed(&error, |_| false)),
        };
        let out = NotifyOut { event_id: &event_id, event_data, notify_response };
        step.out = Some(json(&out)?);
        self.submit(vec![step]).await
    }

    async fn complete(&self, output: Option<String>) -> Result<Reply, ReportError> {
        let run_id = segment(&self.run.info.id, "the run id").map_err(|error| unusable(&error))?;
        let mut request = Request::new(Method::DELETE, format!("/v2/workflows/runs/{run_id}?cancel=false"));
        if let Some(output) = output {
            request = request.json(output);
        }
        if let Some(created_at) = self.created_at() {
            let (name, value) =
                header(headers::WORKFLOW_CREATED_AT, &created_at).map_err(|e| unusable(&e))?;
            request.headers.insert(name, value);
        }
        match self.connection.send(request).await {
            Ok(_) => Ok(Reply::Done),
            Err(ClientError::Refused { status: 404, .. }) => Ok(Reply::Ended),
            Err(error) => self.replied(Err(error)),
        }
    }

    /// The engine counts attempts and learns of this one from the endpoint's answer. Only where the last failure is to be
    /// recorded as a result does the endpoint count itself.
    async fn fail(&self, failure: Failure) -> Result<Reply, ReportError> {
        let retries = failure.max_retries.map_or(self.run.info.retries, |max| max.min(self.run.info.retries));
        let last = failure.retry == Retry::Never || self.run.retried >= retries;
        match failure.record {
            Some(record) if last => self.submit(vec![record]).await,
            _ => Ok(Reply::Answer),
        }
    }

    fn message(&self, step: &Step) -> Result<Message, ReportError> {
        let mut message = self.headers();
        set(&mut message, headers::METHOD, "POST");
        // Members of a parallel group sleep while they are planned; their results are delivered at once.
        if step.target_step.is_some() || step.concurrent <= 1 {
            set_due(&mut message, step);
        }
        Ok(Message { destination: self.run.info.url.clone(), headers: message, body: Some(json(step)?) })
    }

    fn headers(&self) -> MessageHeaders {
        let mut message = run_headers(&self.run.info.id, &self.run.info.url, false);
        set(&mut message, "content-type", "application/json");
        if self.run.info.invoke_count > 0 {
            let name = format!("{FORWARD_PREFIX}{}", headers::WORKFLOW_INVOKE_COUNT);
            set(&mut message, &name, self.run.info.invoke_count);
        }
        if let Some(created_at) = self.created_at() {
            set(&mut message, headers::WORKFLOW_CREATED_AT, created_at);
        }
        message
    }

    /// When the run was created, if the engine said so: it tells the run from an earlier one of the same id.
    fn created_at(&self) -> Option<String> {
        Some(self.run.info.created_at).filter(|at| *at > 0).map(|at| at.to_string())
    }

    /// What makes a submission of a step the same submission.
    fn identity(&self, step: &Step) -> String {
        format!("{}-{}-{}", self.run.info.id, self.run.info.created_at, step.position())
    }
}

impl Reporter for HttpReporter {
    fn mode(&self) -> Mode {
        Mode::Suspend
    }

    fn now(&self) -> i64 {
        now_ms()
    }

    fn report(&self, report: Report) -> BoxFuture<'_, Result<Reply, ReportError>> {
        Box::pin(async move {
            match report {
                Report::Plan(steps) => self.submit(steps).await,
                Report::Append(step) | Report::Sleep { step, .. } => self.submit(vec![step]).await,
                Report::Wait { step, event_id, timeout, .. } => self.wait(&step, &event_id, timeout).await,
                Report::Notify { step, event_id, data, run_id } => {
                    self.notify(step, Notification { event_id, data, run_id, deduplication_id: None }).await
                }
                Report::Call { .. } | Report::Invoke { .. } | Report::CreateWebhook(_) | Report::Cancel => {
                    Err(ReportError { message: "not over HTTP yet".to_owned(), permanent: true })
                }
                Report::Failed(failure) => self.fail(failure).await,
                Report::Park { .. } => Ok(Reply::Done),
                Report::Complete { output } => self.complete(output).await,
            }
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitBody<'a> {
    url: &'a str,
    timeout: String,
    timeout_url: &'a str,
    timeout_headers: BTreeMap<String, [&'a str; 1]>,
    step: Step,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotifyOut<'a> {
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_data: Option<Value>,
    notify_response: Value,
}

/// Says when the message of a sleep is to be delivered. Whole seconds, rounded up, so that no sleep ends early.
fn set_due(message: &mut MessageHeaders, step: &Step) {
    match (step.step_type, &step.sleep_for, step.sleep_until) {
        (StepType::SleepFor, Some(Value::String(text)), _) if parse_duration(text).is_ok() => {
            set(message, headers::DELAY, text);
        }
        (StepType::SleepFor, Some(Value::Number(seconds)), _) => {
            let seconds = seconds.as_f64().unwrap_or_default().max(0.0);
            set(message, headers::DELAY, format!("{}s", seconds.ceil() as u64));
        }
        (StepType::SleepFor | StepType::SleepUntil, _, Some(until)) => {
            set(message, headers::NOT_BEFORE, until.ceil() as i64);
        }
        _ => {}
    }
}

/// `upstash-workflow-runid` as `Upstash-Workflow-Runid`: header names inside a body are not normalised by the transport, and
/// engines look for this spelling.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    words.collect::<Vec<_>>().join("-")
}

fn header_map(message: &MessageHeaders) -> Result<HeaderMap, ClientError> {
    message.iter().map(|(name, value)| header(name, value)).collect()
}

fn json<T: Serialize>(value: &T) -> Result<String, ReportError> {
    serde_json::to_string(value).map_err(|error| ReportError {
        message: format!("a report cannot be written as JSON: {error}"),
        permanent: true,
    })
}

/// A value that no attempt will be able to send.
fn unusable(error: &ClientError) -> ReportError {
    ReportError { message: error.to_string(), permanent: true }
}

fn failed(error: &ClientError, permanent: impl Fn(u16) -> bool) -> ReportError {
    let permanent = match error {
        ClientError::Refused { status, .. } => permanent(*status),
        ClientError::Encoding(_) | ClientError::Configuration(_) | ClientError::Unsuccessful { .. } => true,
        // The limit allows more while the run waits.
        ClientError::Unreachable { .. } | ClientError::RateLimited { .. } => false,
    };
    ReportError { message: error.to_string(), permanent }
}

/// The answer to a notification that the engine has refused.
fn refused(one_run: Option<String>, message: String) -> Value {
    let entry =
        serde_json::json!({ "error": message, "workflowRunId": one_run.as_deref().unwrap_or_default() });
    if one_run.is_some() { entry } else { Value::Array(vec![entry]) }
}

/// Whether asking again cannot help. Wrong credentials can be put right while the run waits.
fn is_for_good(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 425)
}
