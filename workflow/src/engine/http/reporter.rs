//! Reports as messages to the engine.

use std::{collections::BTreeMap, time::Duration};

use ::http::{HeaderValue, Method, header::CONTENT_TYPE};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{HttpEngine, HttpRun};
use crate::{
    ClientError,
    client::{
        Notification, deliver_notification,
        message::{Message, MessageHeaders, header, header_map, run_headers, set},
        request::{Request, segment},
    },
    engine::{BoxFuture, Failure, Mode, Reply, Report, ReportError, Reporter, Retry},
    protocol::{
        Step, StepType, Webhook,
        duration::{format_duration, parse_duration},
        headers::{self, FORWARD_PREFIX, title_case},
    },
};

pub(super) struct HttpReporter {
    engine: HttpEngine,
    pub(super) run: HttpRun,
}

impl HttpReporter {
    pub(super) fn new(engine: HttpEngine, run: HttpRun) -> Self {
        Self { engine, run }
    }

    /// Submits steps as one batch, all or nothing.
    async fn submit(&self, steps: Vec<Step>) -> Result<Reply, ReportError> {
        let messages = steps.iter().map(|step| self.message(step)).collect::<Result<Vec<_>, _>>()?;
        let batch = json(&messages)?;
        self.send(Request::new(Method::POST, "/v2/batch").json(batch)).await
    }

    pub(super) fn tell_sdk(&self, message: &mut MessageHeaders) {
        self.engine.tell_sdk(message);
    }

    /// Submits one step as a message of its own.
    pub(super) async fn submit_alone(&self, step: &Step) -> Result<Reply, ReportError> {
        self.publish(self.message(step)?).await
    }

    /// Sends one message, as part of a batch of one.
    pub(super) async fn send_message(&self, message: &Message) -> Result<Reply, ReportError> {
        self.send(Request::new(Method::POST, "/v2/batch").json(json(&[message])?)).await
    }

    async fn publish(&self, message: Message) -> Result<Reply, ReportError> {
        let body = message.body.unwrap_or_default();
        self.publish_bytes(&message.destination, &message.headers, body.into()).await
    }

    /// Sends one message whose body may be anything. Its destination is written into the path as it is.
    pub(super) async fn publish_bytes(
        &self,
        destination: &str,
        headers: &MessageHeaders,
        body: Bytes,
    ) -> Result<Reply, ReportError> {
        let mut request = Request::new(Method::POST, format!("/v2/publish/{destination}"));
        request.headers = header_map(headers).map_err(|error| unusable(&error))?;
        request.body = body;
        self.send(request).await
    }

    async fn send(&self, request: Request) -> Result<Reply, ReportError> {
        self.replied(self.engine.connection.send(request).await.map(drop))
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
            timeout_headers: embedded(&message),
            step: bare(step),
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
        let notify_response = match deliver_notification(&self.engine.connection, notification).await {
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

    /// Makes a webhook. Its URL is made here, as every SDK does; the engine knows it by its form.
    async fn create_webhook(&self, mut step: Step) -> Result<Reply, ReportError> {
        let Some(user) = self.engine.connection.user() else {
            return Err(ReportError {
                message: "a webhook's URL holds the user of the engine's token, and this token names none: it should be base64 \
                          of `{\"UserID\":\"...\",\"Password\":\"...\"}`, as the engine issues it for QSTASH_TOKEN"
                    .to_owned(),
                permanent: true,
            });
        };
        let event_id = Webhook::new_event_id();
        let (user, run) = (segment(user, "the user of the token"), segment(&self.run.info.id, "the run id"));
        let (user, run) = (user.map_err(|e| unusable(&e))?, run.map_err(|e| unusable(&e))?);
        let webhook_url =
            format!("{}/v2/workflows/hooks/{user}/{run}/{event_id}", self.engine.connection.url());
        step.out = Some(json(&Webhook { webhook_url, event_id })?);
        self.submit(vec![step]).await
    }

    /// Ends the run: it has returned, or cancels itself.
    async fn end(&self, cancel: bool, output: Option<String>) -> Result<Reply, ReportError> {
        let run_id = segment(&self.run.info.id, "the run id").map_err(|error| unusable(&error))?;
        let mut request =
            Request::new(Method::DELETE, format!("/v2/workflows/runs/{run_id}?cancel={cancel}"));
        if let Some(output) = output {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
            request.body = output.into();
        }
        if let Some(created_at) = self.created_at() {
            let (name, value) =
                header(headers::WORKFLOW_CREATED_AT, &created_at).map_err(|e| unusable(&e))?;
            request.headers.insert(name, value);
        }
        match self.engine.connection.send(request).await {
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
        // How long it sleeps is said; when that is over, the engine knows by its own clock.
        let body = match step.step_type {
            StepType::SleepFor => json(&Step { sleep_until: None, ..step.clone() })?,
            _ => json(step)?,
        };
        Ok(Message { destination: self.run.info.url.clone(), headers: message, body: Some(body) })
    }

    /// What every message of the run carries.
    pub(super) fn headers(&self) -> MessageHeaders {
        let mut message = run_headers(&self.run.info.id, &self.run.info.url, false);
        set(&mut message, "content-type", "application/json");
        self.engine.tell_sdk(&mut message);
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
        (self.engine.clock)()
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
                Report::Call { step, call, .. } => self.call(&step, *call).await,
                Report::Invoke { step, child, .. } => self.invoke(&step, *child).await,
                Report::CreateWebhook(step) => self.create_webhook(step).await,
                Report::Cancel => self.end(true, None).await,
                Report::Failed(failure) => self.fail(failure).await,
                Report::Park { .. } => Ok(Reply::Done),
                Report::Complete { output } => self.end(false, output).await,
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
    timeout_headers: EmbeddedHeaders<'a>,
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

/// Headers inside of a body, for deliveries that the engine makes later.
pub(super) type EmbeddedHeaders<'a> = BTreeMap<String, [&'a str; 1]>;

/// Engines look for the names in title case, and the transport does not normalise what is inside of a body.
pub(super) fn embedded(message: &MessageHeaders) -> EmbeddedHeaders<'_> {
    message.iter().map(|(name, value)| (title_case(name), [value.as_str()])).collect()
}

/// A step whose result the engine fills in.
pub(super) fn bare(step: &Step) -> Step {
    Step {
        concurrent: step.concurrent,
        target_step: step.target_step,
        ..Step::new(step.step_id, step.step_name.as_str(), step.step_type)
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, ReportError> {
    serde_json::to_string(value).map_err(|error| ReportError {
        message: format!("a report cannot be written as JSON: {error}"),
        permanent: true,
    })
}

/// A value that no attempt will be able to send.
pub(super) fn unusable(error: &ClientError) -> ReportError {
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
