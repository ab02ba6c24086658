//! Requests as they are put together: `client.trigger_url(..).run_id(..).label(..).await`.

use std::{any::Any, future::IntoFuture, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;

use super::{
    ClientError, FailureCallback, Notification, Notified, RedactHeaders, Transport, Trigger, Triggered,
};
use crate::{FlowControl, Workflow, WorkflowOptions, engine::BoxFuture, protocol::run_id::run_id_of};

/// A run about to be started; made by [`Client::trigger`](super::Client::trigger) and
/// [`Client::trigger_url`](super::Client::trigger_url).
///
/// It does nothing until it is awaited, or given to [`Client::trigger_many`](super::Client::trigger_many).
#[must_use = "a trigger does nothing until it is awaited"]
pub struct TriggerRequest {
    transport: Arc<dyn Transport>,
    url: Result<String, ClientError>,
    trigger: Trigger,
    encoded: Result<(), ClientError>,
}

impl TriggerRequest {
    pub(super) fn new<T: Serialize + ?Sized>(
        transport: Arc<dyn Transport>,
        url: Result<String, ClientError>,
        payload: &T,
    ) -> Self {
        let (body, encoded) = encode(payload, "the payload");
        Self { transport, url, trigger: Trigger { body, ..Trigger::default() }, encoded }
    }

    pub(super) fn of_workflow<W: Workflow>(
        transport: Arc<dyn Transport>,
        url: Result<String, ClientError>,
        payload: &W::Payload,
    ) -> Self
    where
        W::Payload: Serialize,
    {
        // Such a workflow reads the bytes as they are.
        let request = match (payload as &dyn Any).downcast_ref::<Bytes>() {
            Some(bytes) => Self::new(transport, url, &()).raw(bytes.clone(), "application/octet-stream"),
            None => Self::new(transport, url, payload),
        };
        request.complete(&W::OPTIONS)
    }

    /// Adds what the workflow's attribute says of all its runs. What is set before or later comes first.
    pub(crate) fn complete(mut self, options: &WorkflowOptions) -> Self {
        options.complete(&mut self.trigger);
        self
    }

    /// Sends these bytes instead of JSON. The endpoint gets them as they are.
    pub fn raw(mut self, body: impl Into<Bytes>, content_type: impl Into<String>) -> Self {
        self.trigger.body = body.into();
        self.trigger.content_type = Some(content_type.into());
        self.encoded = Ok(());
        self
    }

    /// Chooses the run's id; `wfr_` is put before it. While a run of that id is active, a second trigger starts nothing and
    /// is answered with [`deduplicated`](Triggered::deduplicated).
    pub fn run_id(mut self, id: impl Into<String>) -> Self {
        self.trigger.run_id = Some(id.into());
        self
    }

    /// Starts the run this much later.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.trigger.delay = Some(delay);
        self
    }

    /// Starts the run at this time, in unix seconds. Wins over [`delay`](Self::delay).
    pub fn not_before(mut self, unix_seconds: i64) -> Self {
        self.trigger.not_before = Some(unix_seconds);
        self
    }

    /// Adds a label, to find the run by: letters, digits, `.`, `_` and `-`.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.trigger.labels.push(label.into());
        self
    }

    /// Adds a header that every request of the run to the endpoint carries.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.trigger.headers.push((name.into(), value.into()));
        self
    }

    /// How often a failed step is retried before the run fails (3 by default).
    pub fn retries(mut self, retries: u32) -> Self {
        self.trigger.retries = Some(retries);
        self
    }

    /// Delay before a retry in milliseconds, as an expression over `retried`, which is 0 before the first retry: for example
    /// `pow(2, retried) * 1000`.
    pub fn retry_delay(mut self, expression: impl Into<String>) -> Self {
        self.trigger.retry_delay = Some(expression.into());
        self
    }

    /// Limits that the run shares with everything of the same key.
    pub fn flow_control(mut self, limits: FlowControl) -> Self {
        self.trigger.flow_control = Some(limits);
        self
    }

    /// Hides the payload in listings. The workflow gets it all the same.
    pub fn redact_body(mut self) -> Self {
        self.trigger.redact.body = true;
        self
    }

    /// Hides the headers of the trigger in listings. The workflow gets them all the same.
    pub fn redact_headers(mut self) -> Self {
        self.trigger.redact.headers = RedactHeaders::All;
        self
    }

    /// Hides one header of the trigger in listings. The workflow gets it all the same.
    pub fn redact_header(mut self, name: impl Into<String>) -> Self {
        self.trigger.redact.add_header(name);
        self
    }

    /// Tells this URL if the run fails, instead of the workflow itself: an absolute one or, on an embedded engine, a path of
    /// the app.
    pub fn failure_url(self, url: impl Into<String>) -> Self {
        self.failure_callback(FailureCallback::To(url.into()))
    }

    pub(crate) fn failure_callback(mut self, failure: FailureCallback) -> Self {
        self.trigger.failure = failure;
        self
    }

    pub(super) fn into_trigger(self) -> Result<Trigger, ClientError> {
        self.encoded?;
        check_labels(&self.trigger.labels)?;
        check_flow_control(self.trigger.flow_control.as_ref())?;
        Ok(Trigger { url: self.url?, ..self.trigger })
    }

    async fn send(self) -> Result<Triggered, ClientError> {
        let transport = self.transport.clone();
        let triggered = transport.trigger(vec![self.into_trigger()?]).await?;
        triggered.into_iter().next().ok_or_else(|| {
            ClientError::Encoding("the engine accepted the trigger but named no run in its answer".to_owned())
        })
    }
}

impl IntoFuture for TriggerRequest {
    type Output = Result<Triggered, ClientError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A notification about to be sent; made by [`Client::notify`](super::Client::notify).
#[must_use = "a notification does nothing until it is awaited"]
pub struct NotifyRequest {
    transport: Arc<dyn Transport>,
    notification: Notification,
    encoded: Result<(), ClientError>,
}

impl NotifyRequest {
    pub(super) fn new<T: Serialize + ?Sized>(
        transport: Arc<dyn Transport>,
        event_id: String,
        data: &T,
    ) -> Self {
        let (data, encoded) = encode(data, "the event's data");
        // A notification without data is the same as one with JSON's null.
        let data = if data == "null" { Bytes::new() } else { data };
        let notification = Notification { event_id, data, ..Notification::default() };
        Self { transport, notification, encoded }
    }

    /// Notifies this run only. If it does not wait for the event yet, the notification is kept until it does or ends.
    pub fn run_id(mut self, run_id: impl Into<String>) -> Self {
        self.notification.run_id = Some(run_id_of(&run_id.into()));
        self
    }

    /// Sends this text or these bytes instead of JSON; none at all if empty.
    pub fn raw(mut self, data: impl Into<Bytes>) -> Self {
        self.notification.data = data.into();
        self.encoded = Ok(());
        self
    }

    /// Makes the notification safe to repeat: a second one with the same id is not delivered again.
    pub fn deduplication_id(mut self, id: impl Into<String>) -> Self {
        self.notification.deduplication_id = Some(id.into());
        self
    }

    async fn send(self) -> Result<Vec<Notified>, ClientError> {
        self.encoded?;
        self.transport.notify(self.notification).await
    }
}

impl IntoFuture for NotifyRequest {
    type Output = Result<Vec<Notified>, ClientError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// The JSON of a value; an error is kept until the request is awaited.
fn encode<T: Serialize + ?Sized>(value: &T, what: &str) -> (Bytes, Result<(), ClientError>) {
    match serde_json::to_vec(value) {
        Ok(json) => (json.into(), Ok(())),
        Err(error) => {
            let message =
                format!("{what} (`{}`) cannot be written as JSON: {error}", std::any::type_name::<T>());
            (Bytes::new(), Err(ClientError::Encoding(message)))
        }
    }
}

/// Limits that make no sense are refused before anything is sent.
pub(super) fn check_flow_control(limits: Option<&FlowControl>) -> Result<(), ClientError> {
    let checked = limits.map_or(Ok(()), FlowControl::check);
    checked.map_err(|error| ClientError::Refused { status: 400, message: error.to_string() })
}

/// Labels are joined by commas and travel in a header, so that not every text can be one.
pub(super) fn check_labels(labels: &[String]) -> Result<(), ClientError> {
    let fits = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    match labels.iter().find(|label| !fits(label)) {
        None => Ok(()),
        Some(label) => Err(ClientError::Refused {
            status: 400,
            message: format!("the label `{label}` is not made of letters, digits, `.`, `_` and `-` only"),
        }),
    }
}
