//! The client: starts, notifies, lists and cancels runs, in process or over HTTP.
//!
//! ```no_run
//! # async fn example() -> Result<(), workflow::ClientError> {
//! use std::time::Duration;
//! use workflow::Client;
//!
//! let client = Client::new("http://127.0.0.1:8080", "token")?;
//!
//! let run = client
//!     .trigger_url("https://shop.example/api/order", &serde_json::json!({ "id": 7 }))
//!     .run_id("order-7")
//!     .label("retail")
//!     .delay(Duration::from_secs(60))
//!     .await?;
//! let told = client.notify("order-7-paid", &serde_json::json!({ "cents": 995 })).run_id(&run.workflow_run_id).await?;
//! println!("{} was told: {told:?}", run.workflow_run_id);
//! # Ok(())
//! # }
//! ```

mod connection;
mod dlq;
mod flow_control;
mod http;
mod locations;
pub(crate) mod message;
mod outcome;
mod rate_limit;
mod redact;
pub(crate) mod request;
mod requests;
mod runs;
pub(crate) mod settings;
mod tls;
mod types;

use std::sync::Arc;

use serde::Serialize;

pub(crate) use self::{
    connection::Connection,
    http::deliver_notification,
    locations::{Locations, segment_of},
};
pub use self::{
    dlq::*,
    flow_control::{FlowControlChange, FlowControlClient, FlowControlInfo, GlobalParallelism},
    http::HttpTransport,
    rate_limit::RateLimit,
    redact::{Redact, RedactHeaders},
    requests::{NotifyRequest, TriggerRequest},
    settings::{DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY, DEVELOPMENT_TOKEN},
    tls::http_client_builder,
    types::*,
};
use crate::{Event, EventName, Workflow, engine::BoxFuture, protocol::run_id::run_id_of};

/// Where the hosted service listens, unless `QSTASH_URL` says otherwise.
pub const HOSTED_URL: &str = "https://qstash.upstash.io";

/// Talks to an engine: one in this process, a server, or the hosted service. Cheap to clone.
///
/// An embedded engine gives out its own client; [`Client::new`] and [`Client::from_env`] make one that talks HTTP.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    locations: Arc<Locations>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client of the engine at `url` (for example `http://127.0.0.1:8080`).
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if the URL or the token cannot be used.
    pub fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        Ok(Self::with_transport(Arc::new(HttpTransport::new(url, token)?)))
    }

    /// A client as the environment describes it: `QSTASH_TOKEN`, and `QSTASH_URL` unless it is for the hosted service.
    /// Where `UPSTASH_WORKFLOW_URL` is set, workflows may be named by their path alone.
    ///
    /// `QSTASH_DEV=true` comes before the others: it means the development server (`workflow dev`) on this machine, at port 8080
    /// or `QSTASH_DEV_PORT`, with its published token. The variables for several regions of the hosted service are not read.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if `QSTASH_TOKEN` is missing or a value cannot be used.
    pub fn from_env() -> Result<Self, ClientError> {
        Ok(Self::with_transport(Arc::new(HttpTransport::from_env()?)))
    }

    /// A client that reaches its engine in this way.
    pub fn with_transport(transport: Arc<dyn Transport>) -> Self {
        Self { transport, locations: Arc::default() }
    }

    pub(crate) fn with_locations(mut self, locations: Arc<Locations>) -> Self {
        self.locations = locations;
        self
    }

    /// Tells where the workflows are that are mounted under their names: `prefix/<name>`, with dashes in the name instead of
    /// underscores. `prefix` is a path of the app or, for an app elsewhere, an absolute URL.
    ///
    /// ```
    /// # use workflow::{Client, WorkflowContext, workflow};
    /// # #[workflow] async fn process_order(ctx: WorkflowContext<u64>) -> workflow::Result<()> { Ok(()) }
    /// # #[workflow] async fn cancel_order(ctx: WorkflowContext<u64>) -> workflow::Result<()> { Ok(()) }
    /// # fn f(client: Client) {
    /// let client = client.workflows_at("/api").workflow_at::<cancel_order>("/orders/cancel");
    /// let starts = client.trigger::<process_order>(&7); // at /api/process-order
    /// let starts = client.trigger::<cancel_order>(&7); // at /orders/cancel
    /// # }
    /// ```
    pub fn workflows_at(mut self, prefix: impl AsRef<str>) -> Self {
        Arc::make_mut(&mut self.locations).set_prefix(prefix.as_ref());
        self
    }

    /// Tells where the workflow `W` is, if not [where the others are](Self::workflows_at): a path of the app or an absolute
    /// URL.
    pub fn workflow_at<W: Workflow>(mut self, url: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.locations).set::<W>(url.into());
        self
    }

    /// Starts a run of the workflow `W` with `payload` as JSON (`bytes::Bytes` as they are). Await it, possibly after setting
    /// options.
    ///
    /// ```no_run
    /// # use workflow::{Client, WorkflowContext, workflow};
    /// #[workflow]
    /// async fn process_order(ctx: WorkflowContext<u64>) -> workflow::Result<String> {
    ///     Ok(format!("order {} is done", ctx.request_payload()))
    /// }
    ///
    /// # async fn example(client: Client) -> Result<(), workflow::ClientError> {
    /// // Once, where the client is made:
    /// let client = client.workflows_at("/api");
    ///
    /// let started = client.trigger::<process_order>(&7).run_id("order-7").await?;
    /// if let Some(run) = client.run(&started.workflow_run_id).await? {
    ///     let answer: Option<String> = run.result::<process_order>()?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When awaited: [`ClientError::Configuration`] if the client was not told where the workflow is
    /// ([`workflows_at`](Self::workflows_at), [`workflow_at`](Self::workflow_at)); else as for
    /// [`trigger_url`](Self::trigger_url).
    pub fn trigger<W: Workflow>(&self, payload: &W::Payload) -> TriggerRequest
    where
        W::Payload: Serialize,
    {
        TriggerRequest::of_workflow::<W>(self.transport.clone(), self.locations.url_of::<W>(), payload)
    }

    /// Starts a run of the workflow at `url` with `payload` as JSON. Await it, possibly after setting options. For workflows
    /// that are known to this program there is [`trigger`](Self::trigger), which checks the type of the payload.
    ///
    /// `url` is absolute or, on an embedded engine or where a base URL is known, a path of the app.
    ///
    /// # Errors
    /// When awaited: [`ClientError::Encoding`] if the payload does not serialize, [`ClientError::Refused`] or
    /// [`ClientError::Unreachable`] as the engine answers. After an error it is unknown whether the run was started only if
    /// the engine could not be reached; with a [`run_id`](TriggerRequest::run_id) of your own, trying again is safe.
    pub fn trigger_url<T: Serialize + ?Sized>(&self, url: impl Into<String>, payload: &T) -> TriggerRequest {
        TriggerRequest::new(self.transport.clone(), Ok(url.into()), payload)
    }

    /// Starts several runs, all or none. The answers are in the order of the requests.
    ///
    /// # Errors
    /// As for [`Client::trigger`].
    pub async fn trigger_many(
        &self,
        requests: impl IntoIterator<Item = TriggerRequest>,
    ) -> Result<Vec<Triggered>, ClientError> {
        let triggers =
            requests.into_iter().map(TriggerRequest::into_trigger).collect::<Result<Vec<_>, _>>()?;
        if triggers.is_empty() {
            return Ok(Vec::new());
        }
        self.transport.trigger(triggers).await
    }

    /// Notifies all runs that wait for the event, with `data` as JSON (`&()` for none). Await it, possibly after naming one run
    /// with [`run_id`](NotifyRequest::run_id): then that run gets it even if it begins to wait later.
    ///
    /// The event is named by text, or by the [`EventId`](crate::EventId) of its data; see also
    /// [`notify_event`](Self::notify_event).
    ///
    /// # Errors
    /// When awaited: [`ClientError::Encoding`] if the data does not serialize; [`ClientError::Refused`] as the engine
    /// answers, with status 404 if the named run does not exist or has ended; [`ClientError::Unreachable`].
    pub fn notify<T: Serialize + ?Sized>(&self, event: impl EventName<T>, data: &T) -> NotifyRequest {
        NotifyRequest::new(self.transport.clone(), event.into_event_id(), data)
    }

    /// Notifies of an event whose type says what it is called. Else as [`notify`](Self::notify).
    ///
    /// ```no_run
    /// # use workflow::Event;
    /// # #[derive(serde::Deserialize, serde::Serialize, Event)]
    /// # #[event(id = "order-paid-{order_id}")]
    /// # struct OrderPaid { order_id: u64, cents: u64 }
    /// # async fn f(client: workflow::Client) -> Result<(), workflow::ClientError> {
    /// client.notify_event(&OrderPaid { order_id: 7, cents: 995 }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn notify_event<E: Event>(&self, event: &E) -> NotifyRequest {
        self.notify(event.event_id(), event)
    }

    /// The runs that wait for an event, longest waiting first. Its id is text or an [`EventId`](crate::EventId).
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn get_waiters(&self, event_id: impl AsRef<str>) -> Result<Vec<Waiter>, ClientError> {
        self.transport.waiters(event_id.as_ref()).await
    }

    /// Cancels all runs that `filter` selects, and says how many. Runs that have ended do not count.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 400 if the filter selects by nothing (see [`Client::cancel_all`]) or by what only
    /// listings know, otherwise as the engine answers; [`ClientError::Unreachable`].
    pub async fn cancel(&self, filter: RunFilter) -> Result<u64, ClientError> {
        let refused = |message: &str| Err(ClientError::Refused { status: 400, message: message.to_owned() });
        if filter == (RunFilter { exact_url: filter.exact_url, ..RunFilter::default() }) {
            return refused("the filter selects by nothing; set a field of it, or use `cancel_all`");
        }
        if !filter.message_ids.is_empty() || !filter.runs.is_empty() {
            return refused(
                "runs are listed by `message_ids` and by `runs`, but not cancelled by them; use `run_ids`",
            );
        }
        self.transport.cancel(with_full_ids(filter)).await
    }

    /// Cancels one run, and says whether there was an active one of that id.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn cancel_run(&self, run_id: impl Into<String>) -> Result<bool, ClientError> {
        let filter = RunFilter { run_ids: vec![run_id.into()], ..RunFilter::default() };
        Ok(self.transport.cancel(with_full_ids(filter)).await? > 0)
    }

    /// Cancels every run of the engine, and says how many.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn cancel_all(&self) -> Result<u64, ClientError> {
        self.transport.cancel(RunFilter::default()).await
    }

    /// The newest run of this id, if there is one.
    ///
    /// ```no_run
    /// # async fn example(client: workflow::Client) -> Result<(), workflow::ClientError> {
    /// if let Some(run) = client.run("order-7").await? {
    ///     match run.response::<u64>()? {
    ///         Some(cents) => println!("the workflow has returned {cents}"),
    ///         None => println!("it goes on"),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn run(&self, run_id: impl Into<String>) -> Result<Option<RunLog>, ClientError> {
        let filter = RunFilter { run_ids: vec![run_id.into()], ..RunFilter::default() };
        let page = self.logs(LogQuery { filter, cursor: None, count: Some(1) }).await?;
        Ok(page.runs.into_iter().next())
    }

    /// A page of runs with their steps, newest first.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn logs(&self, query: LogQuery) -> Result<LogPage, ClientError> {
        self.transport.logs(LogQuery { filter: with_full_ids(query.filter), ..query }).await
    }

    /// Looks at flow-control keys, pauses them, and pins their limits.
    pub fn flow_control(&self) -> FlowControlClient {
        FlowControlClient::new(self.transport.clone())
    }

    /// The keys that the engine signs its deliveries over HTTP with.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn signing_keys(&self) -> Result<SigningKeys, ClientError> {
        self.transport.signing_keys().await
    }

    /// Promotes the engine's next signing key and makes a new one; gives what holds from now on. Endpoints that know both old
    /// keys go on accepting deliveries; tell them the new ones before the next rotation.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers. After the latter it is unknown whether the
    /// keys were exchanged: look at [`signing_keys`](Self::signing_keys).
    pub async fn rotate_signing_keys(&self) -> Result<SigningKeys, ClientError> {
        self.transport.rotate_signing_keys().await
    }

    /// The runs that have failed: to list, resume, restart and delete them.
    pub fn dlq(&self) -> Dlq {
        Dlq::new(self.transport.clone())
    }
}

/// Run ids may be given as they were chosen, without `wfr_`.
fn with_full_ids(mut filter: RunFilter) -> RunFilter {
    filter.run_ids.iter_mut().for_each(|id| *id = run_id_of(id));
    filter.runs.iter_mut().for_each(|(id, _)| *id = run_id_of(id));
    filter
}

/// How a client reaches its engine.
pub trait Transport: Send + Sync + 'static {
    /// Starts runs, all or none.
    fn trigger(&self, triggers: Vec<Trigger>) -> BoxFuture<'_, Result<Vec<Triggered>, ClientError>>;
    /// Sends a notification. One entry per waiter; exactly one with a run id.
    fn notify(&self, notification: Notification) -> BoxFuture<'_, Result<Vec<Notified>, ClientError>>;
    /// Lists the waiters of an event, longest waiting first.
    fn waiters<'a>(&'a self, event_id: &'a str) -> BoxFuture<'a, Result<Vec<Waiter>, ClientError>>;
    /// Cancels runs and says how many.
    fn cancel(&self, filter: RunFilter) -> BoxFuture<'_, Result<u64, ClientError>>;
    /// Lists runs.
    fn logs(&self, query: LogQuery) -> BoxFuture<'_, Result<LogPage, ClientError>>;
    /// Lists flow-control keys.
    fn flow_controls(&self) -> BoxFuture<'_, Result<Vec<FlowControlInfo>, ClientError>>;
    /// Looks at a flow-control key.
    fn flow_control<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<FlowControlInfo, ClientError>>;
    /// Changes a flow-control key.
    fn change_flow_control<'a>(
        &'a self,
        key: &'a str,
        change: FlowControlChange,
    ) -> BoxFuture<'a, Result<(), ClientError>>;
    /// Says how many deliveries are being made at once.
    fn global_parallelism(&self) -> BoxFuture<'_, Result<GlobalParallelism, ClientError>>;
    /// Reads the signing keys.
    fn signing_keys(&self) -> BoxFuture<'_, Result<SigningKeys, ClientError>>;
    /// Exchanges the signing keys.
    fn rotate_signing_keys(&self) -> BoxFuture<'_, Result<SigningKeys, ClientError>>;
    /// Lists runs that have failed, the last failure first.
    fn dead_letters(&self, query: DlqQuery) -> BoxFuture<'_, Result<DlqPage, ClientError>>;
    /// Shows one run that has failed.
    fn dead_letter<'a>(&'a self, dlq_id: &'a str) -> BoxFuture<'a, Result<Option<DlqMessage>, ClientError>>;
    /// Deletes entries of the dead letter queue.
    fn delete_dead_letters(
        &self,
        selection: DlqSelection,
    ) -> BoxFuture<'_, Result<DeletedLetters, ClientError>>;
    /// Starts new runs for failed ones; their entries of the dead letter queue are gone then.
    fn revive(
        &self,
        revival: Revival,
        selection: DlqSelection,
        changes: RunChanges,
    ) -> BoxFuture<'_, Result<RevivedRuns, ClientError>>;
    /// Tells of a failure again whose last attempt of it has failed.
    fn retry_failure_function<'a>(&'a self, dlq_id: &'a str)
    -> BoxFuture<'a, Result<Triggered, ClientError>>;
    /// Stops telling a failure that is being told.
    fn cancel_failure_function<'a>(
        &'a self,
        dlq_id: &'a str,
    ) -> BoxFuture<'a, Result<Triggered, ClientError>>;
}

/// A call of the client that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The engine refused: it says why. `status` is the HTTP status (also in process).
    #[error("the engine refused ({status}): {message}")]
    Refused {
        /// The HTTP status that stands for the reason: 400, 401, 404, 412, 413, ….
        status: u16,
        /// What happened and what to do.
        message: String,
    },
    /// A limit of the account is reached: the same request may succeed later.
    #[error("the engine refused (429): {message} (the {limit} is reached)")]
    RateLimited {
        /// Which limit.
        limit: RateLimit,
        /// What the engine says.
        message: String,
        /// When the limit allows more, if the engine says so.
        resets_at: Option<std::time::SystemTime>,
    },
    /// The engine could not be reached or did not answer.
    #[error("the engine at {url} could not be reached: {message}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// The run has ended without success, so that there is nothing that it has returned.
    #[error("the run `{run_id}` {reason}")]
    Unsuccessful {
        /// The run's id.
        run_id: String,
        /// What became of it.
        reason: String,
    },
    /// A value could not be turned into JSON, or an answer not read.
    #[error("{0}")]
    Encoding(String),
    /// The client was set up with values that cannot work.
    #[error("{0}")]
    Configuration(String),
}
