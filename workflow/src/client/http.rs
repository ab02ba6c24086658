//! The client's way to an engine over HTTP.

use std::fmt::Display;

use ::http::{HeaderValue, Method};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::form_urlencoded;

use super::{
    ClientError, Connection, DeletedLetters, DlqMessage, DlqPage, DlqQuery, DlqSelection, FailureCallback,
    FlowControlChange, FlowControlInfo, GlobalParallelism, LogPage, LogQuery, Notification, Notified,
    Revival, RevivedRuns, RunChanges, RunFilter, SigningKeys, Transport, Trigger, Triggered, Waiter,
    connection::decode,
    message::{Init, header},
    request::{Request, segment},
    settings::{absolute_url, base_url, env, now_ms},
};
use crate::{
    engine::BoxFuture,
    protocol::{
        headers::DEDUPLICATION_ID,
        run_id::{new_run_id, run_id_of},
    },
};

/// How many runs one request cancels. More are cancelled by further requests.
const CANCEL_BATCH: usize = 100;

/// An engine over HTTP: a server, or the hosted service.
#[derive(Clone)]
pub struct HttpTransport {
    connection: Connection,
    base_url: Option<String>,
}

impl HttpTransport {
    /// The engine at `url`.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if the URL or the token cannot be used.
    pub fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new(url, token)?, base_url: None })
    }

    /// The engine that the environment names: `QSTASH_TOKEN`, `QSTASH_URL`, and `UPSTASH_WORKFLOW_URL` as
    /// [base URL](Self::base_url).
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if `QSTASH_TOKEN` is missing or a value cannot be used.
    pub fn from_env() -> Result<Self, ClientError> {
        let connection = Connection::from_env()?.ok_or_else(|| {
            ClientError::Configuration(
                "QSTASH_TOKEN is not set; set it, and QSTASH_URL, to those of your engine (`workflow dev` prints them)"
                    .to_owned(),
            )
        })?;
        let transport = Self { connection, base_url: None };
        match env("UPSTASH_WORKFLOW_URL")? {
            Some(url) => transport.base_url(&url),
            None => Ok(transport),
        }
    }

    /// Where the engine reaches the app, so that workflows can be named by their path.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if it is not an absolute URL.
    pub fn base_url(mut self, url: &str) -> Result<Self, ClientError> {
        self.base_url = Some(base_url(url, "the app's base URL")?);
        Ok(self)
    }

    pub(crate) fn of(connection: Connection, base_url: Option<String>) -> Self {
        Self { connection, base_url }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Starts runs as one batch. Bodies that are no text are published one by one, which only a single trigger may be.
    pub(crate) async fn start(&self, triggers: Vec<Trigger>) -> Result<Vec<Triggered>, ClientError> {
        let mut runs = Vec::with_capacity(triggers.len());
        let mut inits = Vec::with_capacity(triggers.len());
        for mut trigger in triggers {
            let chosen = trigger.run_id.take();
            let run_id = chosen.as_deref().map_or_else(|| new_run_id(now_ms()), run_id_of);
            let url = self.absolute(&trigger.url)?;
            let failure_url = match &trigger.failure {
                FailureCallback::ToWorkflow => Some(url.clone()),
                FailureCallback::To(url) => Some(self.absolute(url)?),
                FailureCallback::None => None,
            };
            inits.push(Init::new(trigger, url, &run_id, failure_url.as_deref())?);
            runs.push((run_id, chosen.is_some()));
        }
        let alone = inits.len() == 1;
        let mut messages = Vec::with_capacity(inits.len());
        for init in inits {
            match init.into_message() {
                Ok(message) => messages.push(message),
                Err(init) if alone => {
                    return Ok(triggered(runs, vec![self.publish(init).await?]));
                }
                Err(init) => {
                    return Err(ClientError::Encoding(format!(
                        "the payload for {} is not UTF-8 text, which several triggers at once must be; trigger it alone",
                        init.url
                    )));
                }
            }
        }
        let batch = serde_json::to_vec(&messages).map_err(|e| ClientError::Encoding(e.to_string()))?;
        let published: Vec<Published> =
            self.connection.fetch(Request::new(Method::POST, "/v2/batch").json(batch)).await?;
        if let Some(error) = published.iter().find_map(|entry| entry.error.as_ref().filter(|e| !e.is_empty()))
        {
            return Err(ClientError::Refused { status: 400, message: error.clone() });
        }
        if published.len() != runs.len() {
            return Err(ClientError::Encoding(format!(
                "the engine answered {} triggers with {} entries",
                runs.len(),
                published.len()
            )));
        }
        Ok(triggered(runs, published))
    }

    /// Starts one run. Says whether the engine has taken the same message before.
    pub(crate) async fn send_init(&self, init: Init) -> Result<bool, ClientError> {
        let published = match init.into_message() {
            Ok(message) => {
                let batch =
                    serde_json::to_vec(&[message]).map_err(|e| ClientError::Encoding(e.to_string()))?;
                let published: Vec<Published> =
                    self.connection.fetch(Request::new(Method::POST, "/v2/batch").json(batch)).await?;
                published.into_iter().next().ok_or_else(|| {
                    ClientError::Encoding("the engine accepted the trigger but named no run".to_owned())
                })?
            }
            Err(init) => self.publish(init).await?,
        };
        match published.error.filter(|error| !error.is_empty()) {
            Some(message) => Err(ClientError::Refused { status: 400, message }),
            None => Ok(published.deduplicated),
        }
    }

    async fn publish(&self, init: Init) -> Result<Published, ClientError> {
        let mut request = Request::new(Method::POST, format!("/v2/publish/{}", init.url));
        request.headers = init.header_map()?;
        request.body = init.body;
        self.connection.fetch(request).await
    }

    async fn send_notification(&self, notification: Notification) -> Result<Vec<Notified>, ClientError> {
        let answer = deliver_notification(&self.connection, notification).await?;
        match answer {
            Value::Array(_) => from_value(answer),
            Value::Null => Ok(Vec::new()),
            one => from_value(one).map(|one| vec![one]),
        }
    }

    async fn cancel_runs(&self, filter: RunFilter) -> Result<u64, ClientError> {
        #[derive(Deserialize)]
        struct Cancelled {
            cancelled: u64,
        }
        let mut total = 0_u64;
        if !filter.run_ids.is_empty() {
            for ids in filter.run_ids.chunks(CANCEL_BATCH) {
                let mut query = self.filter_query(&filter)?;
                ids.iter().for_each(|id| query.add("workflowRunIds", id));
                let answer: Cancelled = self
                    .connection
                    .fetch(Request::new(Method::DELETE, query.on("/v2/workflows/runs")))
                    .await?;
                total = total.saturating_add(answer.cancelled);
            }
            return Ok(total);
        }
        let mut query = self.filter_query(&filter)?;
        if !filter.workflow_urls.is_empty() && filter.exact_url {
            query.add("workflowUrlExactMatch", true);
        }
        query.add("count", CANCEL_BATCH);
        let path = query.on("/v2/workflows/runs");
        loop {
            let answer: Cancelled = self.connection.fetch(Request::new(Method::DELETE, path.clone())).await?;
            total = total.saturating_add(answer.cancelled);
            if answer.cancelled < CANCEL_BATCH as u64 {
                return Ok(total);
            }
        }
    }

    async fn list_runs(&self, query: LogQuery) -> Result<LogPage, ClientError> {
        let filter = &query.filter;
        let mut pairs = self.filter_query(filter)?;
        pairs.add("groupBy", "workflowRunId");
        filter.run_ids.iter().for_each(|id| pairs.add("workflowRunId", id));
        filter.runs.iter().for_each(|(id, at)| pairs.add("workflowRuns", format_args!("{id}@{at}")));
        filter.message_ids.iter().for_each(|id| pairs.add("messageId", id));
        if !filter.workflow_urls.is_empty() && !filter.exact_url {
            pairs.add("workflowUrlExactMatch", false);
        }
        pairs.add_some("cursor", query.cursor);
        pairs.add_some("count", query.count);
        let path = pairs.on("/v2/workflows/events");
        let mut page: LogPage = self.connection.fetch(Request::new(Method::GET, path)).await?;
        page.cursor = page.cursor.filter(|cursor| !cursor.is_empty());
        Ok(page)
    }

    /// The part of a filter that is written alike for every request: everything but ids and how URLs match.
    fn filter_query(&self, filter: &RunFilter) -> Result<Query, ClientError> {
        let mut query = Query::default();
        for url in &filter.workflow_urls {
            query.add("workflowUrl", self.absolute(url)?);
        }
        for (name, values) in [
            ("host", &filter.hosts),
            ("path", &filter.paths),
            ("label", &filter.labels),
            ("flowControlKey", &filter.flow_control_keys),
            ("callerIp", &filter.caller_ips),
        ] {
            values.iter().for_each(|value| query.add(name, value));
        }
        filter.states.iter().for_each(|state| query.add("state", state.as_str()));
        query.add_some("fromDate", filter.from);
        query.add_some("toDate", filter.to);
        query.add_some("workflowCreatedAt", filter.created_at);
        Ok(query)
    }

    /// The absolute URL of a workflow that may be named by its path. A URL that is absolute already is taken as it is.
    pub(super) fn absolute(&self, url: &str) -> Result<String, ClientError> {
        if url.starts_with('/') { absolute_url(self.base_url.as_deref(), url) } else { Ok(url.to_owned()) }
    }
}

impl Transport for HttpTransport {
    fn trigger(&self, triggers: Vec<Trigger>) -> BoxFuture<'_, Result<Vec<Triggered>, ClientError>> {
        Box::pin(self.start(triggers))
    }

    fn notify(&self, notification: Notification) -> BoxFuture<'_, Result<Vec<Notified>, ClientError>> {
        Box::pin(self.send_notification(notification))
    }

    fn waiters<'a>(&'a self, event_id: &'a str) -> BoxFuture<'a, Result<Vec<Waiter>, ClientError>> {
        Box::pin(async move {
            let path = format!("/v2/waiters/{}", segment(event_id, "the event id")?);
            self.connection.fetch(Request::new(Method::GET, path)).await
        })
    }

    fn cancel(&self, filter: RunFilter) -> BoxFuture<'_, Result<u64, ClientError>> {
        Box::pin(self.cancel_runs(filter))
    }

    fn logs(&self, query: LogQuery) -> BoxFuture<'_, Result<LogPage, ClientError>> {
        Box::pin(self.list_runs(query))
    }

    fn flow_controls(&self) -> BoxFuture<'_, Result<Vec<FlowControlInfo>, ClientError>> {
        Box::pin(self.connection.fetch(Request::new(Method::GET, "/v2/flowControl")))
    }

    fn flow_control<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<FlowControlInfo, ClientError>> {
        Box::pin(async move {
            let path = format!("/v2/flowControl/{}", segment(key, "the flow-control key")?);
            self.connection.fetch(Request::new(Method::GET, path)).await
        })
    }

    fn change_flow_control<'a>(
        &'a self,
        key: &'a str,
        change: FlowControlChange,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(async move {
            let mut query = Query::default();
            let action = match change {
                FlowControlChange::Pause => "pause",
                FlowControlChange::Resume => "resume",
                FlowControlChange::Pin { parallelism, rate, period } => {
                    query.add_some("parallelism", parallelism);
                    query.add_some("rate", rate);
                    query.add_some("period", period.map(|period| period.as_secs()));
                    "pin"
                }
                FlowControlChange::Unpin { parallelism, rate } => {
                    query.add("parallelism", parallelism);
                    query.add("rate", rate);
                    "unpin"
                }
                FlowControlChange::ResetRate => "resetRate",
            };
            let key = segment(key, "the flow-control key")?;
            let path = query.on(&format!("/v2/flowControl/{key}/{action}"));
            self.connection.send(Request::new(Method::POST, path)).await.map(drop)
        })
    }

    fn global_parallelism(&self) -> BoxFuture<'_, Result<GlobalParallelism, ClientError>> {
        Box::pin(self.connection.fetch(Request::new(Method::GET, "/v2/globalParallelism")))
    }

    fn signing_keys(&self) -> BoxFuture<'_, Result<SigningKeys, ClientError>> {
        Box::pin(self.connection.fetch(Request::new(Method::GET, "/v2/keys")))
    }

    fn rotate_signing_keys(&self) -> BoxFuture<'_, Result<SigningKeys, ClientError>> {
        Box::pin(self.connection.fetch(Request::new(Method::POST, "/v2/keys/rotate")))
    }

    fn dead_letters(&self, query: DlqQuery) -> BoxFuture<'_, Result<DlqPage, ClientError>> {
        Box::pin(self.list_dead_letters(query))
    }

    fn dead_letter<'a>(&'a self, dlq_id: &'a str) -> BoxFuture<'a, Result<Option<DlqMessage>, ClientError>> {
        Box::pin(self.show_dead_letter(dlq_id))
    }

    fn delete_dead_letters(
        &self,
        selection: DlqSelection,
    ) -> BoxFuture<'_, Result<DeletedLetters, ClientError>> {
        Box::pin(self.remove_dead_letters(selection))
    }

    fn revive(
        &self,
        revival: Revival,
        selection: DlqSelection,
        changes: RunChanges,
    ) -> BoxFuture<'_, Result<RevivedRuns, ClientError>> {
        Box::pin(self.revive_dead_letters(revival, selection, changes))
    }

    fn retry_failure_function<'a>(
        &'a self,
        dlq_id: &'a str,
    ) -> BoxFuture<'a, Result<Triggered, ClientError>> {
        Box::pin(self.tell_failure(Method::POST, dlq_id))
    }

    fn cancel_failure_function<'a>(
        &'a self,
        dlq_id: &'a str,
    ) -> BoxFuture<'a, Result<Triggered, ClientError>> {
        Box::pin(self.tell_failure(Method::DELETE, dlq_id))
    }
}

/// Sends a notification and returns the engine's answer as it is: an array, or an object where a run was named.
///
/// The network may lose the answer, and the notification then be sent again; the deduplication id, made here if there is
/// none, lets the engine recognise it.
pub(crate) async fn deliver_notification(
    connection: &Connection,
    notification: Notification,
) -> Result<Value, ClientError> {
    let event = segment(&notification.event_id, "the event id")?;
    let path = match &notification.run_id {
        Some(run_id) => format!("/v2/notify/{}/{event}", segment(&run_id_of(run_id), "the run id")?),
        None => format!("/v2/notify/{event}"),
    };
    let deduplication_id =
        notification.deduplication_id.unwrap_or_else(|| new_run_id(now_ms()).replace("wfr_", "ntf_"));
    let (name, id) = header(DEDUPLICATION_ID, &deduplication_id)?;
    let mut request = Request::new(Method::POST, path.clone());
    request.headers.insert(name, id);
    request
        .headers
        .insert(::http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    request.body = notification.data;
    let body: Bytes = connection.send(request).await?;
    if body.is_empty() { Ok(Value::Null) } else { decode(&body, &path) }
}

/// One entry of the answer to a batch.
#[derive(Deserialize)]
struct Published {
    #[serde(default)]
    deduplicated: bool,
    #[serde(default)]
    error: Option<String>,
}

/// A run whose id was made here cannot have existed before: `deduplicated` then only says that the network lost the first
/// answer.
fn triggered(runs: Vec<(String, bool)>, published: Vec<Published>) -> Vec<Triggered> {
    let both = runs.into_iter().zip(published);
    both.map(|((workflow_run_id, chosen), entry)| Triggered {
        workflow_run_id,
        workflow_created_at: 0,
        deduplicated: chosen && entry.deduplicated,
    })
    .collect()
}

/// A query string.
#[derive(Default)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    pub(super) fn add(&mut self, name: &'static str, value: impl Display) {
        self.0.push((name, value.to_string()));
    }

    pub(super) fn add_some(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    pub(super) fn on(self, path: &str) -> String {
        if self.0.is_empty() {
            return path.to_owned();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(self.0).finish();
        format!("{path}?{query}")
    }
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ClientError> {
    serde_json::from_value(value).map_err(|error| {
        ClientError::Encoding(format!("the engine's answer to the notification is not understood: {error}"))
    })
}
